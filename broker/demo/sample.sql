-- Sample data of the demo: a small shop. Every person, address and number is made up.
CREATE TABLE customers (
    id    int PRIMARY KEY,
    name  text NOT NULL,
    email text NOT NULL UNIQUE,
    ssn   text,
    card  text
);
CREATE TABLE orders (
    id       int PRIMARY KEY,
    customer int NOT NULL REFERENCES customers,
    item     text NOT NULL,
    cents    int NOT NULL,
    placed   timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE refunds (
    id       int PRIMARY KEY,
    order_id int NOT NULL REFERENCES orders,
    status   text NOT NULL
);
INSERT INTO customers VALUES
    (1, 'Ada Byron',     'ada.byron@example.com',    '219-09-9999', '4111 1111 1111 1111'),
    (2, 'Grace Murray',  'grace.murray@example.org', '457-55-5462', '5500 0000 0000 0004'),
    (3, 'Linus Bell',    'linus.bell@example.net',   '078-05-1120', '340000000000009'),
    (4, 'Radia Spanner', 'radia@example.com',        '612-34-5678', '6011 0000 0000 0004');
INSERT INTO orders SELECT n, 1 + n % 4, (ARRAY['kettle','lamp','chair','rope'])[1 + n % 4], 990 + n * 25
    FROM generate_series(1, 40) n;
INSERT INTO refunds SELECT n, n, CASE WHEN n % 3 = 0 THEN 'dup' ELSE 'done' END
    FROM generate_series(1, 12) n;
CREATE ROLE app LOGIN PASSWORD 'APP_PASSWORD';
GRANT USAGE, CREATE ON SCHEMA public TO app;
ALTER TABLE customers OWNER TO app;
ALTER TABLE orders OWNER TO app;
ALTER TABLE refunds OWNER TO app;
