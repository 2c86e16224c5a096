"""PostgreSQL: its catalogue, its COPY, its errors."""
