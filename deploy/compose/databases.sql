-- Run once by the PostgreSQL image when its volume is empty.
-- The integration user owns its databases and is no superuser.
\getenv instep_password INSTEP_DB_PASSWORD
create role instep login password :'instep_password';
create database instep_worker owner instep;
create database instep_sink owner instep;
create database crm owner instep;
\connect crm
set role instep;
create table account (
    account_number varchar(20) primary key,
    name varchar(100) not null,
    email varchar(254),
    city varchar(60)
);
