"""Real services for tests: each starts on loopback, in a folder of its own, and is stopped by its process id.

A file per service holds two things: a value that says how to reach it (`Kafka`), and the server that can be started,
stopped and killed (`KafkaServer`). `python -m tests.services` installs them, or keeps one of each running.
"""
