"""The contract: event types, Avro schemas, wire formats, error catalogue. Opens nothing."""
