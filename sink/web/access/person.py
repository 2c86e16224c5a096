"""Who asks, and what that person may do. Pure."""

from dataclasses import dataclass

from sink.roles import Role

__all__ = ["Person", "Role"]


@dataclass(frozen=True, slots=True)
class Person:
    """The one behind a request: `name` of the token, `via` is "page" or "api", as in the audit log.

    `csrf` is what a form of the page must bring along, None for requests that need none (those with a bearer token).
    `last_visit_us` is when the visit before this one ended, None when there was none or nobody can know.
    """

    name: str
    role: Role
    via: str
    csrf: str | None
    last_visit_us: int | None = None

    @property
    def sees_values(self) -> bool:
        """Whether field values are shown to this person."""
        return self.role.covers(Role.OPERATOR)

    @property
    def sees_bytes(self) -> bool:
        """Whether the raw bytes of messages are shown to this person."""
        return self.role.covers(Role.ADMIN)
