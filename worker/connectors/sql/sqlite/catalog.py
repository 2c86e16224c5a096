"""Read a table's description from SQLite's pragmas and from the declared types, which SQLite itself does not enforce."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from schemas.change import Kind
from worker.connectors.protocol import Column, Description
from worker.connectors.sql.quoting import double_quoted, split_entity
from worker.connectors.sql.table import ForeignKey, Table, UniqueIndex

# Not plain: a trigger or a conflict clause can leave rows out, so that what was there before does not tell the counts.
_FIND = """
select name, type = 'table' and sql not like '%on conflict%' and not exists (
  select 1 from {schema}.sqlite_master where type = 'trigger' and tbl_name = m.name collate nocase)
from {schema}.sqlite_master m where type in ('table', 'view') and name = ? collate nocase"""
_COLUMNS = 'select name, type, "notnull", dflt_value, pk, hidden from pragma_table_xinfo(?, ?)'
_INDEXES = """
select l.name, i.name, i.coll, l.partial from pragma_index_list(?, ?) l, pragma_index_xinfo(l.name, ?) i
where l."unique" and i.key order by l.origin <> 'pk', l.name, i.seqno"""
_TRIGGERED = "select 1 from {schema}.sqlite_master where type = 'trigger' and tbl_name = ? collate nocase"
_FOREIGN = """
select m.name, f.id, f."table", f."from", f."to", f.on_delete
from {schema}.sqlite_master m, pragma_foreign_key_list(m.name, ?) f
where m.type = 'table' and lower({side}) = lower(?) order by m.name, f.id, f.seq"""

# The first that is found in the declared type decides, as in https://www.sqlite.org/datatype3.html (3.1), refined.
_KINDS = (
    ("BOOL", Kind.BOOLEAN),
    ("TIMESTAMPTZ", Kind.TIMESTAMP_TZ),
    ("WITH TIME ZONE", Kind.TIMESTAMP_TZ),
    ("TIMESTAMP", Kind.TIMESTAMP),
    ("DATETIME", Kind.TIMESTAMP),
    ("DATE", Kind.DATE),
    ("TIME", Kind.TIME),
    ("INTERVAL", Kind.INTERVAL),
    ("UUID", Kind.UUID),
    ("JSON", Kind.JSON),
    ("INT", Kind.INTEGER),
    ("CHAR", Kind.TEXT),
    ("CLOB", Kind.TEXT),
    ("TEXT", Kind.TEXT),
    ("STRING", Kind.TEXT),
    ("ENUM", Kind.TEXT),
    ("BLOB", Kind.BYTES),
    ("BYTEA", Kind.BYTES),
    ("BINARY", Kind.BYTES),
    ("REAL", Kind.FLOAT),
    ("FLOA", Kind.FLOAT),
    ("DOUB", Kind.FLOAT),
    ("NUMERIC", Kind.DECIMAL),
    ("DEC", Kind.DECIMAL),
)
_BITS = {"TINYINT": 8, "SMALLINT": 16, "INT2": 16, "MEDIUMINT": 24, "INT4": 32}
# Columns declared as these keep text as text; others that we take for text make a number of what looks like one.
_AS_TEXT = re.compile("CHAR|CLOB|TEXT|BLOB")
_INTEGER = re.compile(r"-?\d{1,40}", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_EXACT_DIGITS = 15
_LIMITS = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


def describe(connection: sqlite3.Connection, entity: str) -> Table | None:
    """Return the description of a table or view, None if there is none."""
    schema, wanted = split_entity(entity)
    schema = schema or "main"
    found = connection.execute(_FIND.format(schema=double_quoted(schema)), (wanted,)).fetchone()
    if found is None:
        return None
    table, plain = found
    first = fingerprint(connection, schema)  # what changes while we read shows in the next one
    columns = connection.execute(_COLUMNS, (table, schema)).fetchall()
    indexes = connection.execute(_INDEXES, (table, schema, schema)).fetchall()
    key = tuple(row[0] for row in sorted((row for row in columns if row[4]), key=itemgetter(4)))
    unique = tuple(_unique(key, indexes))
    folded = {row[1] for row in indexes if row[1] is not None and str(row[2]).upper() != "BINARY"}
    return Table(
        name=f"{double_quoted(schema)}.{double_quoted(table)}",
        description=Description(
            entity,
            {row[0]: _column(row, key) for row in columns},
            tuple(index.columns for index in unique if index.columns),
        ),
        unique=unique,
        foreign_keys=tuple(_foreign_keys(connection, schema, table, "m.name")),
        referenced_by=tuple(_foreign_keys(connection, schema, table, 'f."table"')),
        inexact=dict.fromkeys(folded, "BINARY"),
        fingerprint=first,
        plain=bool(plain),
        triggered=connection.execute(_TRIGGERED.format(schema=double_quoted(schema)), (table,)).fetchone()
        is not None,
        schema=schema,
    )


def fingerprint(connection: sqlite3.Connection, schema: str) -> str:
    """Return what changes whenever a definition in the database does."""
    return str(connection.execute(f"PRAGMA {double_quoted(schema)}.schema_version").fetchone()[0])


def _column(row: tuple[Any, ...], key: tuple[str, ...]) -> Column:
    name, declared, not_null, default, _position, hidden = row
    declared = str(declared).upper()
    kind = next((kind for word, kind in _KINDS if word in declared), Kind.UNKNOWN)
    found = _LIMITS.search(declared)
    first, second = (int(found[1]), int(found[2] or 0)) if found else (None, None)
    low, high = _range(declared) if kind is Kind.INTEGER else (None, None)
    numbered = declared == "INTEGER" and key == (name,)
    return Column(
        name=name,
        kind=kind,
        nullable=not not_null or numbered,
        has_default=default is not None or numbered,
        generated=hidden in {2, 3},
        max_length=first if kind in {Kind.TEXT, Kind.BYTES} else None,
        precision=first if kind is Kind.DECIMAL else None,
        scale=second if kind is Kind.DECIMAL else None,
        minimum=low,
        maximum=high,
        zoned="TIMETZ" in declared,
        misread=_number if kind in {Kind.TEXT, Kind.JSON} and not _AS_TEXT.search(declared) else None,
    )


def _number(text: str) -> str:
    """Say that a text becomes a number that is written in another way: such columns hold what looks like one as one."""
    if not _NUMBER.fullmatch(text):
        return ""
    if _INTEGER.fullmatch(text):
        same = text == str(int(text)) and -(2**63) <= int(text) < 2**63
    else:
        same = len(text) <= _EXACT_DIGITS and text == str(float(text)) and not float(text).is_integer()
    return "" if same else "text, unless it looks like a number"


def _range(declared: str) -> tuple[int, int]:
    bits = next((bits for word, bits in _BITS.items() if word in declared), 64)
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _unique(key: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Iterator[UniqueIndex]:
    listed = False
    for index, group in groupby(rows, key=itemgetter(0)):
        parts = list(group)
        whole = all(part[1] is not None and not part[3] for part in parts)
        columns = tuple(part[1] for part in parts) if whole else ()
        listed = listed or columns == key
        yield UniqueIndex(index, columns)
    if key and not listed:
        # The key of a rowid table has no index of its own.
        yield UniqueIndex("primary key", key)


def _foreign_keys(connection: sqlite3.Connection, schema: str, table: str, side: str) -> Iterator[ForeignKey]:
    rows = connection.execute(
        _FOREIGN.format(schema=double_quoted(schema), side=side), (schema, table)
    ).fetchall()
    for (child, _number), group in groupby(rows, key=lambda row: (row[0], row[1])):
        parts = list(group)
        parent = parts[0][2]
        columns = tuple(part[3] for part in parts)
        named = tuple(part[4] for part in parts)
        yield ForeignKey(
            name=f"{child}({', '.join(columns)})",
            child=f"{double_quoted(schema)}.{double_quoted(child)}",
            child_name=child,
            columns=columns,
            parent=f"{double_quoted(schema)}.{double_quoted(parent)}",
            parent_name=parent,
            parent_columns=named if all(named) else _primary_key(connection, schema, parent),
            restricts=parts[0][5] in {"NO ACTION", "RESTRICT"},
        )


def _primary_key(connection: sqlite3.Connection, schema: str, table: str) -> tuple[str, ...]:
    rows = connection.execute(
        "select name from pragma_table_xinfo(?, ?) where pk order by pk", (table, schema)
    )
    return tuple(row[0] for row in rows)
