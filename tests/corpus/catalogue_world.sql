-- The database behind catalogue_cases.yaml and tests/broker/postgres/test_lookup.py,
-- on top of the sample of tests/fixtures/postgres.py.
CREATE SCHEMA secret; CREATE SCHEMA app;
CREATE TABLE secret.keys (id int PRIMARY KEY, key text);
CREATE VIEW keys_view AS SELECT id, key FROM secret.keys WHERE id > 0;
CREATE VIEW over_it AS SELECT k.id, o.total FROM keys_view k JOIN orders o ON o.id = k.id;
CREATE VIEW harmless_view AS SELECT id, upper(note) AS note FROM orders;
CREATE VIEW "odd.view" AS SELECT key FROM secret.keys;
CREATE MATERIALIZED VIEW stored AS SELECT * FROM secret.keys;
CREATE TABLE events (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE secret.events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);
CREATE TABLE cities (name text);
CREATE TABLE secret.capitals (since int) INHERITS (cities);
CREATE TABLE ruled (a int);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO secret.keys VALUES (new.a, 'x');
CREATE TABLE ruled_2 (a int);
CREATE RULE also AS ON UPDATE TO ruled_2 WHERE new.a > 5 DO ALSO DELETE FROM customers;
CREATE VIEW instead AS SELECT 1 AS a;
CREATE RULE instead_of AS ON DELETE TO instead DO INSTEAD DELETE FROM secret.keys;
CREATE FUNCTION trigger_code() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE VIEW triggered AS SELECT id FROM orders;
CREATE TRIGGER t INSTEAD OF UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION trigger_code();
CREATE FUNCTION add_one(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION read_keys() RETURNS SETOF secret.keys LANGUAGE sql AS 'SELECT * FROM secret.keys';
CREATE FUNCTION app.twice_removed() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM read_keys()';
CREATE FUNCTION purge() RETURNS void LANGUAGE sql AS 'DELETE FROM customers';
CREATE FUNCTION loops() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION loops() RETURNS int LANGUAGE sql AS 'SELECT loops()';
CREATE FUNCTION atomic(x int) RETURNS int
    BEGIN ATOMIC SELECT count(*)::int + x FROM secret.keys; END;
CREATE FUNCTION just(x int) RETURNS int RETURN x * 2;
CREATE FUNCTION opaque(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION definer(int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION moved(int) RETURNS int LANGUAGE sql SET search_path = secret AS 'SELECT 1';
CREATE FUNCTION mixed(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION mixed(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION full_name(customers) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION label(customers) RETURNS text LANGUAGE sql AS 'SELECT upper(($1).name)';
CREATE FUNCTION plus(int, text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE OPERATOR +| (LEFTARG = int, RIGHTARG = text, FUNCTION = plus);
CREATE OPERATOR app.+ (LEFTARG = int, RIGHTARG = text, FUNCTION = plus);
CREATE AGGREGATE gathered(text) (SFUNC = plus, STYPE = int, INITCOND = '0');
CREATE FUNCTION checked(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE DOMAIN guarded AS int CHECK (checked(VALUE));
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CAST (text AS pair) WITH FUNCTION to_pair(text);
CREATE VIEW runs_code AS SELECT opaque(id) FROM orders;
CREATE VIEW reads_file AS SELECT pg_read_file('/etc/passwd') AS line;
CREATE VIEW casts AS SELECT id::guarded FROM orders;
CREATE TABLE located (id int, place pair);
GRANT USAGE, CREATE ON SCHEMA secret, app, public TO app;
GRANT ALL ON ALL TABLES IN SCHEMA secret, app, public TO app;
GRANT pg_read_server_files TO app;

DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'secret') AND c.relkind IN ('r', 'p')
    LOOP EXECUTE 'ALTER TABLE ' || t || ' OWNER TO app'; END LOOP;
END $$;
ALTER FUNCTION add_one(int) OWNER TO app;
