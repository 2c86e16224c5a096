"""Two small sample apps and a story with every kind of failure, on an embedded broker."""
