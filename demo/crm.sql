-- The target: a CRM that is pickier than the ERP.
CREATE TABLE account (
    account_number VARCHAR(10) PRIMARY KEY,
    name           VARCHAR(30) NOT NULL,
    city           VARCHAR(40),
    email          VARCHAR(80),
    credit_limit   INTEGER
);
CREATE UNIQUE INDEX account_email ON account (email);

CREATE TABLE sales_order (
    order_number   VARCHAR(10) PRIMARY KEY,
    account_number VARCHAR(10) NOT NULL REFERENCES account,
    amount         DECIMAL(12, 2)
);

-- A business rule, whose limit an administrator of the CRM can change.
CREATE TABLE credit_rule (highest INTEGER NOT NULL);
INSERT INTO credit_rule VALUES (10000);

CREATE TRIGGER credit_of_new_account BEFORE INSERT ON account
WHEN new.credit_limit > (SELECT highest FROM credit_rule)
BEGIN
    SELECT RAISE(ABORT, 'the credit limit is higher than the credit rule allows');
END;

CREATE TRIGGER credit_of_account BEFORE UPDATE ON account
WHEN new.credit_limit > (SELECT highest FROM credit_rule)
BEGIN
    SELECT RAISE(ABORT, 'the credit limit is higher than the credit rule allows');
END;
