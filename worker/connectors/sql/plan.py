"""What one bulk write to one table needs to know, and the statements over its staged rows. Pure.

Rows wait in a *stage* (`s`), keys to delete in *drops* (`d`): temporary tables with the columns' own types, led by
`_n`, the row's number. Every statement works on the rows numbered `lo` to `hi`.
"""

# ruff: noqa: S608  the parts of these statements are quoted names, our own words and numbers

from collections.abc import Callable
from dataclasses import dataclass

from worker.connectors.sql.table import Check, ForeignKey, Table, UniqueIndex

PARAMETER = "\x01"
"""Stands for a parameter until the statement is finished in the driver's own style."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """How a database writes what differs: names, equality that counts nulls as equal, UPDATE over a join."""

    quoted: Callable[[str], str]
    same: str
    exact: Callable[[str, str | None], str]
    joins_in_update: bool
    parameter: str

    def finish(self, sql: str) -> str:
        """Return the statement with the driver's own parameter marks."""
        if self.parameter == "%s":
            sql = sql.replace("%", "%%")
        return sql.replace(PARAMETER, self.parameter)


@dataclass(frozen=True, slots=True)
class Plan:
    """One table, the key and the columns that are written; `picks` are their places in the rows of the write.

    `narrows` says that the rows have more columns than are written.
    """

    table: Table
    key: tuple[str, ...]
    columns: tuple[str, ...]
    picks: tuple[int, ...]
    stage: str
    drops: str
    narrows: bool = False

    @classmethod
    def make(cls, table: Table, key: tuple[str, ...], columns: tuple[str, ...], number: int) -> "Plan":
        """Return the plan for these columns; what the database generates is left out."""
        picks = tuple(place for place, name in enumerate(columns) if not table.columns[name].generated)
        written = tuple(columns[place] for place in picks)
        return cls(
            table,
            key,
            written,
            picks,
            f"instep_stage_{number}",
            f"instep_drops_{number}",
            len(written) < len(columns),
        )

    @property
    def updated(self) -> tuple[str, ...]:
        """The columns that an update sets."""
        fixed = {*self.key, *self.table.always_identity}
        return tuple(name for name in self.columns if name not in fixed)

    @property
    def key_is_unique(self) -> bool:
        """Whether a unique index stands behind the key."""
        return any(set(index.columns) == set(self.key) and index.immediate for index in self.table.unique)

    @property
    def can_insert(self) -> bool:
        """Whether the columns have all that a new row needs."""
        return all(
            column.nullable or column.has_default or column.generated or name in self.columns
            for name, column in self.table.columns.items()
        )

    @property
    def key_is_exact(self) -> bool:
        """Whether keys that compare equal are equal: not so for text in a collation that ignores case."""
        return not set(self.key) & set(self.table.inexact)

    @property
    def other_unique(self) -> tuple[UniqueIndex, ...]:
        """The unique indexes that a written row can offend; the key's own only if it takes different keys for equal."""
        return tuple(
            index
            for index in self.table.unique
            if index.columns
            and set(index.columns) <= set(self.columns)
            and not (self.key_is_exact and set(index.columns) == set(self.key))
        )

    @property
    def refers_to_itself(self) -> bool:
        """Whether rows of this table have their parents in the same table."""
        return any(foreign.parent == self.table.name for foreign in self.table.foreign_keys)

    @property
    def own_parents(self) -> tuple[ForeignKey, ...]:
        """The foreign keys by which rows of this table have their parents in the same table."""
        return tuple(
            foreign
            for foreign in self.table.foreign_keys
            if foreign.parent == self.table.name
            and {*foreign.columns, *foreign.parent_columns} <= set(self.columns)
        )


def names(flavour: Flavour, columns: tuple[str, ...], of: str = "") -> str:
    """Return the quoted columns, comma-separated, each led by `of` and a dot if given."""
    lead = f"{of}." if of else ""
    return ", ".join(lead + flavour.quoted(name) for name in columns)


def joined(flavour: Flavour, columns: tuple[str, ...], left: str, right: str) -> str:
    """Return the condition that two tables are equal in all these columns."""
    return " AND ".join(f"{left}.{flavour.quoted(name)} = {right}.{flavour.quoted(name)}" for name in columns)


def same_key(flavour: Flavour, plan: Plan, left: str, right: str) -> str:
    """Return the condition that two tables have the same key, to the letter."""
    exactly = [
        f" AND {flavour.exact(f'{left}.{flavour.quoted(name)}', cast)} = "
        f"{flavour.exact(f'{right}.{flavour.quoted(name)}', cast)}"
        for name in plan.key
        if (cast := plan.table.inexact.get(name))
    ]
    return joined(flavour, plan.key, left, right) + "".join(exactly)


def differs(flavour: Flavour, plan: Plan, new: str) -> str:
    """Return the condition that a row of the target differs from `new` in a column that an update sets."""
    same = " AND ".join(
        f"{flavour.exact(f't.{flavour.quoted(name)}', plan.table.inexact.get(name))} {flavour.same} "
        f"{flavour.exact(f'{new}.{flavour.quoted(name)}', plan.table.inexact.get(name))}"
        for name in plan.updated
    )
    return f"NOT ({same})"


def between(of: str) -> str:
    """Return the condition on the row numbers; its two parameters are `lo` and `hi`."""
    return f"{of}._n BETWEEN {PARAMETER} AND {PARAMETER}"


def update(flavour: Flavour, plan: Plan) -> str:
    """Update the rows that are there and differ."""
    join = same_key(flavour, plan, "t", "s")
    where = f"{between('s')} AND {differs(flavour, plan, 's')}"
    if flavour.joins_in_update:
        sets = ", ".join(f"t.{flavour.quoted(name)} = s.{flavour.quoted(name)}" for name in plan.updated)
        return f"UPDATE {plan.table.name} t JOIN {plan.stage} s ON {join} SET {sets} WHERE {where}"
    sets = ", ".join(f"{flavour.quoted(name)} = s.{flavour.quoted(name)}" for name in plan.updated)
    return f"UPDATE {plan.table.name} AS t SET {sets} FROM {plan.stage} s WHERE {join} AND {where}"


def insert(flavour: Flavour, plan: Plan, overriding: str = "") -> str:
    """Insert the rows that are not there."""
    return (
        f"INSERT INTO {plan.table.name} ({names(flavour, plan.columns)}) {overriding}"
        f"SELECT {names(flavour, plan.columns, 's')} FROM {plan.stage} s WHERE {between('s')} AND NOT EXISTS "
        f"(SELECT 1 FROM {plan.table.name} t WHERE {same_key(flavour, plan, 't', 's')}) ORDER BY s._n"
    )


def absent(flavour: Flavour, plan: Plan) -> str:
    """Select the staged rows that are not in the target."""
    there = f"SELECT 1 FROM {plan.table.name} t WHERE {same_key(flavour, plan, 't', 's')}"
    return f"SELECT s._n FROM {plan.stage} s WHERE {between('s')} AND NOT EXISTS ({there})"


def insert_level(flavour: Flavour, plan: Plan) -> str:
    """Insert the rows that are not there and whose parents in the same table are: once for each level of a tree."""
    ready = "".join(
        f" AND ({missing} OR {itself} OR EXISTS (SELECT 1 FROM {plan.table.name} p WHERE {match}))"
        for missing, itself, match in (_parents(flavour, foreign) for foreign in plan.own_parents)
    )
    rows, order = insert(flavour, plan).rsplit(" ORDER BY ", 1)
    return f"{rows}{ready} ORDER BY {order}"


def _parents(flavour: Flavour, foreign: ForeignKey) -> tuple[str, str, str]:
    pairs = list(zip(foreign.columns, foreign.parent_columns, strict=True))
    missing = " OR ".join(f"s.{flavour.quoted(child)} IS NULL" for child, _ in pairs)
    itself = " AND ".join(
        f"s.{flavour.quoted(child)} = s.{flavour.quoted(parent)}" for child, parent in pairs
    )
    match = " AND ".join(f"p.{flavour.quoted(parent)} = s.{flavour.quoted(child)}" for child, parent in pairs)
    return missing, f"({itself})", match


def delete(flavour: Flavour, plan: Plan) -> str:
    """Delete the rows whose keys are among the drops."""
    join = same_key(flavour, plan, "t", "d")
    if flavour.joins_in_update:
        return f"DELETE t FROM {plan.table.name} t JOIN {plan.drops} d ON {join} WHERE {between('d')}"
    keys = f"SELECT {names(flavour, plan.key, 'd')} FROM {plan.drops} d WHERE {between('d')}"
    statement = f"DELETE FROM {plan.table.name} AS t WHERE ({names(flavour, plan.key, 't')}) IN ({keys})"
    if plan.key_is_exact:
        return statement
    return f"{statement} AND EXISTS (SELECT 1 FROM {plan.drops} d WHERE {join})"


def parentless(flavour: Flavour, plan: Plan, foreign: ForeignKey) -> str:
    """Select the staged rows whose parent is not in the parent table."""
    given = " AND ".join(f"s.{flavour.quoted(child)} IS NOT NULL" for child in foreign.columns)
    return f"SELECT s._n FROM {plan.stage} s WHERE {given} AND {_no_parent(flavour, foreign, foreign.parent)}"


def orphans(flavour: Flavour, plan: Plan, foreign: ForeignKey) -> str:
    """Select the staged rows whose parent is neither in the parent table nor, when it is the same, in the stage."""
    sql = parentless(flavour, plan, foreign)
    if foreign.parent == plan.table.name and set(foreign.parent_columns) <= set(plan.columns):
        sql += f" AND {_no_parent(flavour, foreign, plan.stage)}"
    return sql


def _no_parent(flavour: Flavour, foreign: ForeignKey, among: str) -> str:
    pairs = zip(foreign.columns, foreign.parent_columns, strict=True)
    match = " AND ".join(f"p.{flavour.quoted(parent)} = s.{flavour.quoted(child)}" for child, parent in pairs)
    return f"NOT EXISTS (SELECT 1 FROM {among} p WHERE {match})"


def taken(flavour: Flavour, plan: Plan, index: UniqueIndex) -> str:
    """Select the staged rows whose unique value another row of the target has, which is not in the stage."""
    return (
        f"SELECT s._n FROM {plan.stage} s JOIN {plan.table.name} t ON {joined(flavour, index.columns, 't', 's')} "
        f"WHERE NOT ({same_key(flavour, plan, 't', 's')}) AND NOT EXISTS "
        f"(SELECT 1 FROM {plan.stage} h WHERE {same_key(flavour, plan, 'h', 't')})"
    )


def twins(flavour: Flavour, plan: Plan, index: UniqueIndex) -> str:
    """Select the staged rows whose unique value an earlier staged row has."""
    given = " AND ".join(f"{flavour.quoted(name)} IS NOT NULL" for name in index.columns)
    return (
        f"SELECT _n FROM (SELECT _n, row_number() OVER (PARTITION BY {names(flavour, index.columns)} ORDER BY _n) AS nth "
        f"FROM {plan.stage} WHERE {given}) x WHERE nth > 1"
    )


def unruly(plan: Plan, check: Check) -> str:
    """Select the staged rows that offend a rule of the table; no query where the rule needs a column left out."""
    return f"SELECT s._n FROM {plan.stage} s WHERE ({check.condition}) IS FALSE"


def referenced(flavour: Flavour, plan: Plan, foreign: ForeignKey) -> str:
    """Select the drops that rows of a child table still refer to, unless those rows are dropped as well."""
    pairs = list(zip(foreign.columns, foreign.parent_columns, strict=True))
    match = " AND ".join(f"c.{flavour.quoted(child)} = t.{flavour.quoted(parent)}" for child, parent in pairs)
    sql = (
        f"SELECT DISTINCT d._n FROM {plan.drops} d JOIN {plan.table.name} t ON {same_key(flavour, plan, 't', 'd')} "
        f"JOIN {foreign.child} c ON {match}"
    )
    if foreign.child == plan.table.name:
        sql += f" WHERE NOT EXISTS (SELECT 1 FROM {plan.drops} e WHERE {same_key(flavour, plan, 'e', 'c')})"
    return sql


def locked(flavour: Flavour, plan: Plan, stage: str) -> tuple[str, str]:
    """Select the numbers of the rows of `stage` that are in the target; and of those that nobody has locked."""
    found = f"SELECT s._n FROM {stage} s JOIN {plan.table.name} t ON {same_key(flavour, plan, 't', 's')}"
    return (
        found,
        f"{found} FOR UPDATE SKIP LOCKED"
        if flavour.joins_in_update
        else f"{found} FOR UPDATE OF t SKIP LOCKED",
    )
