"""Read a table's description from PostgreSQL's catalogue."""

from collections.abc import Iterator
from typing import Any

import psycopg

from schemas.change import Kind
from worker.connectors.protocol import Column, Description
from worker.connectors.sql.quoting import double_quoted, split_entity
from worker.connectors.sql.table import Check, ForeignKey, Table, UniqueIndex

_FIND = """
select c.oid, n.nspname, c.relname, c.relkind = 'r' from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'f') and c.relname = %(table)s
and (n.nspname = %(schema)s or %(schema)s::text is null and pg_catalog.pg_table_is_visible(c.oid)) limit 1"""

# A domain or an array is described by the type at the bottom of it; whether it takes null is a matter of all domains on the way.
_COLUMNS = """
with recursive part (attnum, step, oid, modifier, in_array) as (
  select attnum, 1, atttypid, atttypmod, false from pg_catalog.pg_attribute where attrelid = %(oid)s
  union all
  select p.attnum, p.step + 1, case when t.typtype = 'd' then t.typbasetype else t.typelem end,
         coalesce(nullif(p.modifier, -1), t.typtypmod), p.in_array or t.typtype <> 'd'
  from part p join pg_catalog.pg_type t on t.oid = p.oid
  where t.typtype = 'd' or t.typcategory = 'A' and t.typelem <> 0)
select a.attname, (array_agg(t.typname order by p.step desc))[1], (array_agg(p.modifier order by p.step desc))[1],
       a.attnotnull or bool_or(t.typnotnull and not p.in_array),
       a.atthasdef or a.attidentity <> '' or bool_or(t.typdefault is not null and not p.in_array),
       a.attgenerated <> '', a.attidentity = 'a', bool_or(p.in_array), coalesce(bool_and(l.collisdeterministic), true)
from part p join pg_catalog.pg_attribute a on a.attrelid = %(oid)s and a.attnum = p.attnum
join pg_catalog.pg_type t on t.oid = p.oid
left join pg_catalog.pg_collation l on l.oid = a.attcollation
where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped
group by a.attrelid, a.attnum, a.attname, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated order by a.attnum"""

_UNIQUE = """
select i.relname, array(select a.attname from unnest(x.indkey[:x.indnkeyatts - 1]) with ordinality k(n, o)
       join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.n order by k.o)::text[], x.indimmediate
from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
where x.indrelid = %(oid)s and x.indisunique and x.indisvalid and x.indpred is null and x.indexprs is null
order by not x.indisprimary, i.relname"""

_FOREIGN = """
select f.conname, cn.nspname, c.relname, pn.nspname, p.relname, f.conrelid, f.confdeltype,
  array(select a.attname from unnest(f.conkey) with ordinality k(n, o)
        join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.n order by k.o)::text[],
  array(select a.attname from unnest(f.confkey) with ordinality k(n, o)
        join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.n order by k.o)::text[]
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.conrelid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
join pg_catalog.pg_class p on p.oid = f.confrelid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
where f.contype = 'f' and f.conparentid = 0 and {side} = %(oid)s order by f.conname"""

_CHECKS = """
select conname, pg_catalog.pg_get_expr(conbin, conrelid) from pg_catalog.pg_constraint
where contype = 'c' and convalidated and conrelid = %(oid)s order by conname"""

# Those for each row, before an insert or an update, that are switched on.
_TRIGGERED = """
select exists (select from pg_catalog.pg_trigger where tgrelid = %(oid)s and not tgisinternal
  and tgtype & 3 = 3 and tgtype & 20 <> 0 and tgenabled in ('O', 'A'))"""

# It is asked for in every write, so by indexes only; a foreign key of a child shows in our triggers.
_FINGERPRINT = """
select concat_ws('/', t.oid,
  (select string_agg(a.xmin::text || '.' || a.attnum, ' ' order by a.attnum) from pg_catalog.pg_attribute a
   where a.attrelid = t.oid and a.attnum > 0),
  (select string_agg(f.oid::text || '.' || f.xmin::text, ' ' order by f.oid) from pg_catalog.pg_constraint f
   where f.conrelid = t.oid),
  (select string_agg(g.oid::text || '.' || g.xmin::text, ' ' order by g.oid) from pg_catalog.pg_trigger g
   where g.tgrelid = t.oid),
  (select string_agg(x.indexrelid::text, ' ' order by x.indexrelid) from pg_catalog.pg_index x
   where x.indrelid = t.oid)) from (select to_regclass(%(name)s)::oid as oid offset 0) t"""

_KINDS = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext"), Kind.TEXT),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), Kind.INTEGER),
    **dict.fromkeys(("float4", "float8"), Kind.FLOAT),
    **dict.fromkeys(("json", "jsonb"), Kind.JSON),
    **dict.fromkeys(("time", "timetz"), Kind.TIME),
    "numeric": Kind.DECIMAL,
    "bool": Kind.BOOLEAN,
    "date": Kind.DATE,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.TIMESTAMP_TZ,
    "interval": Kind.INTERVAL,
    "uuid": Kind.UUID,
    "bytea": Kind.BYTES,
}
_CLOCKS = frozenset({"time", "timetz", "timestamp", "timestamptz", "interval"})
_DECIMALS, _MICROS = 0xFFFF, 6
_RANGES = {
    "int2": (-(2**15), 2**15 - 1),
    "int4": (-(2**31), 2**31 - 1),
    "int8": (-(2**63), 2**63 - 1),
    "oid": (0, 2**32 - 1),
}
# These compare as PostgreSQL shows them; of the others some are equal while they differ (interval, citext) or have
# no equality at all (json, xml, point).
_EXACT = frozenset(_KINDS) - {"json", "interval", "citext"}


def describe(connection: psycopg.Connection[Any], entity: str) -> Table | None:
    """Return the description of a table or view, None if there is none that we may see."""
    schema, table = split_entity(entity)
    found = connection.execute(_FIND, {"schema": schema, "table": table}).fetchone()
    if found is None:
        return None
    oid, schema, table, plain = found
    name = f"{double_quoted(schema)}.{double_quoted(table)}"
    first = fingerprint(connection, name)  # what changes while we read shows in the next one
    rows = connection.execute(_COLUMNS, {"oid": oid}).fetchall()
    columns = {row[0]: _column(row) for row in rows}
    unique = [
        UniqueIndex(index, tuple(names), immediate)
        for index, names, immediate in connection.execute(_UNIQUE, {"oid": oid})
    ]
    return Table(
        name=name,
        description=Description(entity, columns, tuple(index.columns for index in unique)),
        unique=tuple(unique),
        foreign_keys=tuple(_foreign_keys(connection, oid, "f.conrelid")),
        referenced_by=tuple(_foreign_keys(connection, oid, "f.confrelid")),
        checks=tuple(Check(*row) for row in connection.execute(_CHECKS, {"oid": oid})),
        inexact={row[0]: "text" for row in rows if not _compares_exactly(row[1], row[8])},
        always_identity=frozenset(row[0] for row in rows if row[6]),
        fingerprint=first,
        plain=plain,
        triggered=(connection.execute(_TRIGGERED, {"oid": oid}).fetchone() or (False,))[0],
        schema=schema,
    )


def fingerprint(connection: psycopg.Connection[Any], name: str) -> str:
    """Return what changes whenever the definition of the table with this quoted name does."""
    row = connection.execute(_FINGERPRINT, {"name": name}).fetchone()
    return str(row[0]) if row else ""


def _compares_exactly(type_name: str, deterministic: bool) -> bool:
    return deterministic and type_name in _EXACT


def _column(row: tuple[Any, ...]) -> Column:
    name, type_name, modifier, not_null, has_default, generated, _always, is_array, _deterministic = row
    kind = _KINDS.get(type_name, Kind.UNKNOWN)
    limits = _limits(type_name, modifier)
    low, high = _RANGES.get(type_name, (None, None))
    return Column(
        name=name,
        kind=Kind.ARRAY if is_array else kind,
        nullable=not not_null,
        has_default=has_default,
        generated=generated,
        minimum=low,
        maximum=high,
        element=kind if is_array else None,
        zoned=type_name == "timetz",
        **limits,
    )


def _limits(type_name: str, modifier: int) -> dict[str, Any]:
    if modifier < 0:
        return {"max_length": 63} if type_name == "name" else {}
    if type_name in {"varchar", "bpchar"}:
        return {"max_length": modifier - 4}
    if type_name == "numeric":
        scale = (modifier - 4) & 0x7FF
        return {
            "precision": ((modifier - 4) >> 16) & 0xFFFF,
            "scale": scale - 2048 if scale >= 1024 else scale,
        }
    # The upper half of an interval's says which fields it has; a lower half of ones is no limit of the decimals.
    return {"scale": modifier & _DECIMALS} if type_name in _CLOCKS and modifier & _DECIMALS < _MICROS else {}


def _foreign_keys(connection: psycopg.Connection[Any], oid: int, side: str) -> Iterator[ForeignKey]:
    for row in connection.execute(_FOREIGN.format(side=side), {"oid": oid}):
        name, child_schema, child, parent_schema, parent, _child_oid, on_delete, columns, parent_columns = row
        yield ForeignKey(
            name=name,
            child=f"{double_quoted(child_schema)}.{double_quoted(child)}",
            child_name=child,
            columns=tuple(columns),
            parent=f"{double_quoted(parent_schema)}.{double_quoted(parent)}",
            parent_name=parent,
            parent_columns=tuple(parent_columns),
            restricts=on_delete in {"a", "r"},
        )
