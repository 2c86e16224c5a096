"""The one way in which a service's absence is told."""


class UnreachableError(Exception):
    """A service does not answer, or lets us not in; the text names the service and the reason, never a secret."""
