"""Debezium's change events: JSON with and without schemas, and Avro. Pure."""
