-- The sample database of docker-compose.yml: every person, address and number is made up.
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text, card text);
INSERT INTO customers VALUES
    (1, 'Ada Byron', 'ada.byron@example.com', '219-09-9999', '4111 1111 1111 1111'),
    (2, 'Grace Murray', 'grace.murray@example.org', '457-55-5462', '5500 0000 0000 0004');
CREATE ROLE app LOGIN PASSWORD 'demo-only';
ALTER TABLE customers OWNER TO app;
