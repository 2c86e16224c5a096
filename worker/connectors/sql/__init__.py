"""The connector for SQL databases: PostgreSQL, MariaDB or MySQL, SQLite."""
