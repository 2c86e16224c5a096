"""The instant tests."""
