"""How requests name entries: by the parameters of a list, or in the body of an action."""

from typing import Annotated

from fastapi import Query
from pydantic import Field, model_validator

from sink.desk.selection import Selection
from sink.desk.wire import Form
from sink.web.api.strict import Word

MOST_IDS = 10_000
MOST_WORDS = 200

Words = Annotated[list[Word], Field(max_length=MOST_WORDS)]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[
    str | None, Query(max_length=200, description="Where the page before ended, as it said in `after`.")
]

_STATE = "open, waiting, replaying, unconfirmed, resolved, discarded. Left out: all that is not closed."
_OLDER = "What last failed longer ago, such as 7d or 12h."


class EntryFilter(Form):
    """Which entries are meant; a part that is left out leaves all. Several values of one part: any of them."""

    state: Words = Field(default=[], description=_STATE)
    mapping: Words = Field(default=[])
    category: Words = Field(default=[], description="Such as data or setup.")
    code: Words = Field(default=[], description="Error codes of the catalogue.")
    record: Words = Field(default=[], description="Ids of source records.")
    group: Words = Field(default=[], description="Ids of groups; the first digits suffice.")
    fixer: Words = Field(default=[], description="Who can put it right: user, admin, developer, nobody.")
    text: Word | None = Field(
        default=None, description="Stands in the message, or the record's id begins with it."
    )
    older_than: Word | None = Field(default=None, description=_OLDER)
    newer_than: Word | None = Field(default=None, description="What failed since then, such as 30m.")

    def selection(self, ids: tuple[str, ...] = ()) -> Selection:
        """Return what is selected."""
        return Selection(
            ids=ids,
            states=tuple(self.state),
            mappings=tuple(self.mapping),
            categories=tuple(self.category),
            codes=tuple(self.code),
            records=tuple(self.record),
            groups=tuple(self.group),
            fixers=tuple(self.fixer),
            text=self.text,
            older_than=self.older_than,
            newer_than=self.newer_than,
        )


class SelectionForm(Form):
    """Which entries an action is for: either by id or by filter; the list is frozen when the action begins."""

    ids: Annotated[list[Word], Field(min_length=1, max_length=MOST_IDS)] | None = None
    filter: EntryFilter | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "SelectionForm":
        if (self.ids is None) == (self.filter is None):
            raise ValueError("name the entries either by `ids` or by a `filter`")
        if self.filter is not None and not self.filter.model_dump(exclude_defaults=True):
            raise ValueError(
                'an empty filter would mean every entry; {"state": ["open"]} selects all that are open'
            )
        return self

    def selection(self) -> Selection:
        """Return what is selected."""
        return (self.filter or EntryFilter()).selection(tuple(self.ids or ()))
