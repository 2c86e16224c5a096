"""How both processes open Kafka, the registry, a database and their logs. Decides nothing."""
