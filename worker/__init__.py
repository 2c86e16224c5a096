"""Consumes record changes, applies them to the other app, reports what could not be applied."""
