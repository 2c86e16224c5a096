"""Turns failure events into a short, honest list of what is wrong now."""
