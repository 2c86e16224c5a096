"""/tokens: by which persons and programs are known."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from pydantic_core import PydanticCustomError

from schemas.config.scalar import parse_duration
from sink.desk.selection import WrongUse
from sink.desk.wire import Form, Times, moment, moment_or_none
from sink.roles import Role
from sink.store.tokens import Token, TokenState, read_tokens
from sink.token_actions import TokenRefused, create_token, revoke_token
from sink.web.access.need import Admin
from sink.web.api.acting import actor_of
from sink.web.api.once import IdempotencyKey, OnceRoute
from sink.web.api.strict import Word
from sink.web.problem import ProblemError, documented
from sink.web.web import WebDep

router = APIRouter(prefix="/tokens", tags=["tokens"], responses=documented(401, 403, 422, 503))
# a secret is answered once: no answer of `create` is kept
repeatable = APIRouter(
    prefix="/tokens", tags=["tokens"], route_class=OnceRoute, responses=documented(401, 403, 422, 503)
)


class TokenView(BaseModel):
    """One token, without its secret."""

    id: str
    name: str
    role: Role
    state: TokenState
    created_at: Times
    created_by: str
    expires_at: Times | None
    revoked_at: Times | None
    used_at: Times | None = Field(description="When it was last used, to the minute.")


class NewTokenView(TokenView):
    """A token that was made just now."""

    secret: str = Field(description="Shown this once and stored nowhere.")


class TokenForm(Form):
    """The token to make."""

    name: Annotated[Word, Field(max_length=100)]
    role: Role
    expires: Word | None = Field(
        default=None, description="After how long it opens nothing more, such as 90d; null: never."
    )


@router.get("")
def list_tokens(_person: Admin, web: WebDep) -> list[TokenView]:
    """List the tokens, the newest first, without their secrets."""
    with web.store.reading() as connection:
        found = read_tokens(connection)
    return [_view(token, web.clock_us()) for token in found]


@router.post("", status_code=201, responses=documented(409))
def create(form: TokenForm, person: Admin, web: WebDep) -> NewTokenView:
    """Make a token. Its secret is in this answer and nowhere else, so this action takes no `Idempotency-Key`."""
    made = create_token(web.store, form.name, form.role, _lifetime(form.expires), actor_of(person))
    if isinstance(made, TokenRefused):
        raise ProblemError(409, "refused", f"{made.reason}.")
    return NewTokenView(**dict(_view(made.token, web.clock_us())), secret=made.secret)


@repeatable.post("/{token}/revoke", responses=documented(409))
def revoke(token: str, person: Admin, web: WebDep, _key: IdempotencyKey = None) -> TokenView:
    """Revoke a token, by name or id, and end its sessions."""
    revoked = revoke_token(web.store, token, actor_of(person))
    if isinstance(revoked, TokenRefused):
        raise ProblemError(409, "refused", f"{revoked.reason}.")
    return _view(revoked, web.clock_us())


def _lifetime(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise WrongUse(f"expires {error.message()}") from None


def _view(token: Token, now_us: int) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        role=token.role,
        state=token.state(now_us),
        created_at=moment(token.created_us),
        created_by=token.created_by,
        expires_at=moment_or_none(token.expires_us),
        revoked_at=moment_or_none(token.revoked_us),
        used_at=moment_or_none(token.used_us),
    )
