-- The source: an ERP without limits of its own.
CREATE TABLE customers (
    number       TEXT PRIMARY KEY,
    name         TEXT,
    city         TEXT,
    email        TEXT,
    credit_limit INTEGER
);

CREATE TABLE orders (
    number   TEXT PRIMARY KEY,
    customer TEXT,
    amount   REAL
);
