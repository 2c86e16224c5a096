"""Read a table's description from the information schema of MariaDB or MySQL."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from pymysql.connections import Connection

from schemas.change import Kind
from worker.connectors.protocol import Column, Description
from worker.connectors.sql.quoting import backquoted, split_entity
from worker.connectors.sql.table import Check, ForeignKey, Table, UniqueIndex

_FIND = """
select table_schema, table_name, table_type = 'BASE TABLE' from information_schema.tables
where table_schema = coalesce(%s, database()) and table_name = %s"""
_COLUMNS = """
select column_name, data_type, column_type, character_maximum_length, numeric_precision, numeric_scale,
  is_nullable = 'YES', coalesce(column_default, 'NULL') <> 'NULL' or extra like '%%auto_increment%%',
  coalesce(generation_expression, '') <> '', collation_name, datetime_precision
from information_schema.columns where table_schema = %s and table_name = %s order by ordinal_position"""
_UNIQUE = """
select index_name, column_name, sub_part from information_schema.statistics
where table_schema = %s and table_name = %s and non_unique = 0
order by index_name <> 'PRIMARY', index_name, seq_in_index"""
_FOREIGN = """
select k.constraint_name, k.table_schema, k.table_name, k.referenced_table_schema, k.referenced_table_name, r.delete_rule,
  k.column_name, k.referenced_column_name
from information_schema.key_column_usage k join information_schema.referential_constraints r
  on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name and r.table_name = k.table_name
where {side} order by k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"""
# MySQL has no table_name there, and needs none: its halving finds the rows.
_CHECKS = """
select constraint_name, check_clause from information_schema.check_constraints
where constraint_schema = %s and table_name = %s order by constraint_name"""
# Whoever may not make triggers is shown none.
_TRIGGERED = """
select 1 from information_schema.triggers where event_object_schema = %s and event_object_table = %s
and action_timing = 'BEFORE' and event_manipulation <> 'DELETE' limit 1"""
_OF_CHILD = "k.table_schema = %s and k.table_name = %s and k.referenced_table_name is not null"
_OF_PARENT = "k.referenced_table_schema = %s and k.referenced_table_name = %s"

_KINDS = {
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "inet4", "inet6"),
        Kind.TEXT,
    ),
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), Kind.INTEGER),
    **dict.fromkeys(("float", "double"), Kind.FLOAT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), Kind.BYTES),
    "decimal": Kind.DECIMAL,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "datetime": Kind.TIMESTAMP,
    "timestamp": Kind.TIMESTAMP_TZ,
    "uuid": Kind.UUID,
    "json": Kind.JSON,
}
_MICROS = 6
_NUMBER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_MEMBER = re.compile(r"'((?:[^']|'')*)'")
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def describe(connection: "Connection[Any]", entity: str, *, is_mariadb: bool) -> Table | None:
    """Return the description of a table or view, None if there is none that we may see."""
    found = _rows(connection, _FIND, split_entity(entity))
    if not found:
        return None
    schema, table, plain = found[0]
    name = f"{backquoted(schema)}.{backquoted(table)}"
    first = fingerprint(connection, name)  # what changes while we read shows in the next one
    rows = _rows(connection, _COLUMNS, (schema, table))
    unique = tuple(_unique(_rows(connection, _UNIQUE, (schema, table))))
    columns = {row[0]: _column(row) for row in rows}
    return Table(
        name=name,
        description=Description(entity, columns, tuple(index.columns for index in unique if index.columns)),
        unique=unique,
        foreign_keys=tuple(
            _foreign_keys(_rows(connection, _FOREIGN.format(side=_OF_CHILD), (schema, table)))
        ),
        referenced_by=tuple(
            _foreign_keys(_rows(connection, _FOREIGN.format(side=_OF_PARENT), (schema, table)))
        ),
        checks=tuple(Check(*row) for row in _rows(connection, _CHECKS, (schema, table)))
        if is_mariadb
        else (),
        # A collation counts texts equal that differ in case, accents or trailing spaces.
        inexact={row[0]: "binary" for row in rows if row[9] is not None},
        fingerprint=first,
        plain=bool(plain),
        triggered=bool(_rows(connection, _TRIGGERED, (schema, table))),
        schema=schema,
    )


def fingerprint(connection: "Connection[Any]", name: str) -> str:
    """Return what changes whenever the definition of the table with this quoted name does."""
    rows = _rows(connection, f"SHOW CREATE TABLE {name.replace('%', '%%')}", ())
    definition = str(rows[0][1]) if rows else ""
    return " ".join(word for word in definition.split() if not word.startswith("AUTO_INCREMENT="))


def _rows(connection: "Connection[Any]", statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _column(row: tuple[Any, ...]) -> Column:
    name, data_type, column_type, length, digits, scale, nullable, has_default, generated, _, decimals = row
    # Several bits come as text or as a number, which no kind of our own is.
    kind = Kind.INTEGER if column_type == "bit(1)" else _KINDS.get(data_type, Kind.UNKNOWN)
    low, high = _range(data_type, column_type)
    exact = kind is Kind.DECIMAL
    # Bytes are counted for text, blob and their relatives, so for text it is no more than an upper bound.
    limited = kind in {Kind.TEXT, Kind.BYTES} and data_type not in {"enum", "set"}
    return Column(
        name=name,
        kind=kind,
        nullable=bool(nullable),
        has_default=bool(has_default),
        generated=bool(generated),
        max_length=int(length) if limited and length is not None else None,
        precision=int(digits) if exact else None,
        scale=int(scale) if exact else _decimals(decimals),
        minimum=low,
        maximum=high,
        misread=_misread(data_type, column_type),
    )


def _decimals(digits: int | None) -> int | None:
    """The decimals of a second that a time has; None where it has all that there are."""
    return None if digits is None or digits >= _MICROS else int(digits)


@dataclass(frozen=True, slots=True)
class _Members:
    """The members of an ENUM or a SET: a text that is none, but a number, would be taken for the number of one."""

    members: frozenset[str]

    def __call__(self, value: str) -> str:
        mistaken = _NUMBER.fullmatch(value) and value.rstrip(" ") not in self.members
        return "its members by name, not by number" if mistaken else ""


def _short_year(value: int) -> str:
    return "the years 1901 to 2155, and 0" if 0 < value < 1901 else ""


def _misread(data_type: str, column_type: str) -> Callable[[Any], str] | None:
    if data_type in {"enum", "set"}:
        return _Members(frozenset(found.replace("''", "'") for found in _MEMBER.findall(column_type)))
    return _short_year if data_type == "year" else None


def _range(data_type: str, column_type: str) -> tuple[int | None, int | None]:
    if data_type == "year":
        return 0, 2155
    if data_type == "bit":
        return 0, 2 ** int(column_type.strip("bit()") or 1) - 1
    bits = _BITS.get(data_type)
    if bits is None:
        return None, None
    if "unsigned" in column_type:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _unique(rows: Iterable[tuple[Any, ...]]) -> Iterable[UniqueIndex]:
    for index, group in groupby(rows, key=itemgetter(0)):
        parts = list(group)
        # A unique prefix or expression is not a rule about whole columns: the halving finds who offends it.
        if all(part[1] is not None and part[2] is None for part in parts):
            yield UniqueIndex(index, tuple(part[1] for part in parts))
        else:
            yield UniqueIndex(index, ())


def _foreign_keys(rows: Iterable[tuple[Any, ...]]) -> Iterable[ForeignKey]:
    for _, group in groupby(rows, key=lambda row: (row[1], row[2], row[0])):
        parts = list(group)
        name, child_schema, child, parent_schema, parent, on_delete = parts[0][:6]
        yield ForeignKey(
            name=name,
            child=f"{backquoted(child_schema)}.{backquoted(child)}",
            child_name=child,
            columns=tuple(part[6] for part in parts),
            parent=f"{backquoted(parent_schema)}.{backquoted(parent)}",
            parent_name=parent,
            parent_columns=tuple(part[7] for part in parts),
            restricts=on_delete in {"RESTRICT", "NO ACTION"},
        )
