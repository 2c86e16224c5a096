"""Where the sink keeps its entries: one file per concern, PostgreSQL or SQLite."""
