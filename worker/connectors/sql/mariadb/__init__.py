"""MariaDB and MySQL: their catalogue, their literals, their errors."""
