"""The JSON API, a file a resource."""

PREFIX = "/api/v1"
