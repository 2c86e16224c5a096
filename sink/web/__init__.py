"""The sink on HTTP: health and metrics, the API, the pages, and who may do what."""
