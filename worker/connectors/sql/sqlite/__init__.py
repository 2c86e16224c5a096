"""SQLite: its catalogue, its statements, its errors."""
