"""Records that cannot be applied, each with the code of the one entry that it must end in; `hush` marks their values."""

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.acceptance.world import change

DATA = Path("tests/data/debezium")
MEGABYTE = 1_000_000
TABLES = (
    """create table customers (
        number varchar(20) primary key, name varchar(10) not null, stars smallint, credit decimal(8, 2),
        ratio DOUBLE, tax_id varchar(10) unique, since date, notes text
    )""",
    "create table orders (id int primary key, customer varchar(20) not null references customers (number))",
)
UNKNOWN_SCHEMA_ID = 987_654


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad message of the topic `customers`; `code` None: no entry. `key` and `value` are its bytes."""

    title: str
    code: str | None
    value: bytes | None
    key: bytes | None

    @property
    def number(self) -> str:
        """The record that it is about, if that can be known."""
        return self.title.replace(" ", "-")[:20]


def bad(title: str, code: str | None, value: bytes | None, key: bytes | None = b"") -> Bad:
    """A bad message; its key names the record unless another is given."""
    made = Bad(title, code, value, key)
    return replace(made, key=json.dumps({"number": made.number}).encode()) if key == b"" else made


def bad_row(title: str, code: str | None, /, **values: Any) -> Bad:
    """A message that can be read well; `values` are what is wrong with the customer in it."""
    number = Bad(title, None, None, None).number
    row = {"number": number, "name": "fine", **values}
    return bad(title, code, change("c", None, row))


def deep(levels: int) -> bytes:
    """A change whose row holds an array in an array, and so on."""
    return change("c", None, {"number": "deep", "name": "hush", "notes": 0}).replace(
        b'"notes": 0', b'"notes": ' + b"[" * levels + b"]" * levels
    )


def undecodable(schema_id: int, other_schema_id: int) -> list[Bad]:
    """What is no change; the two ids are of Avro schemas for customers and for something else."""
    avro = avro_change()
    own, other, unknown = (
        b"\x00" + number.to_bytes(4, "big") for number in (schema_id, other_schema_id, UNKNOWN_SCHEMA_ID)
    )
    whole = change("c", None, {"number": "x", "name": "hush"})
    return [
        bad("empty", "undecodable", b""),
        bad("random bytes", "undecodable", b"\xfe\x07hush\x9c\x00\x11\xb2\xff"),
        bad("truncated avro", "undecodable", own + avro[:40]),
        bad("wrong schema id", "undecodable", other + avro),
        bad("unknown schema", "unknown_schema", unknown + avro),
        bad("schema id cut off", "undecodable", own[:3]),
        bad("invalid utf-8", "undecodable", whole.replace(b"hush", b"hush\xff\xfe")),
        bad("invalid json", "undecodable", whole[:-20]),
        bad("no object", "undecodable", b'["hush"]'),
        bad("nested deep", "undecodable", deep(10_000)),
        bad("unknown op", "unknown_operation", change("q", None, {"number": "unknown-op", "name": "hush"})),
        bad("nothing known", "undecodable", b"\xfehush", key=None),
        bad("unreadable key", "undecodable", b"\xfehush", key=b"\xfe\xff"),
    ]


def unidentified() -> list[Bad]:
    """Changes of which it is not told whose they are."""
    return [
        bad(
            "null key field",
            "key_missing",
            change("c", None, {"number": None, "name": "hush"}),
            key=b'{"number": null}',
        ),
        bad("key field missing", "key_missing", change("c", None, {"name": "hush"})),
        bad("key of objects", "key_missing", change("c", None, {"number": {"a": "hush"}, "name": "hush"})),
        bad("delete of nobody", "key_missing", change("d", None, None), key=None),
    ]


def unfit(dialect: str) -> list[Bad]:
    """Changes that can be read, with values that the target does not take."""
    return [
        bad_row("too long", "too_long", name="hush hush hush"),
        bad_row("one megabyte", "too_long", name="hush" * (MEGABYTE // 4 - 200)),
        bad_row("out of range", "out_of_range", stars=40_000),
        bad_row("too many digits", "out_of_range", credit="12345678.99"),
        bad_row("not a number", None if dialect == "postgres" else "out_of_range", ratio="NaN"),
        # JSON has no such thing
        bad_row("a literal nan", "undecodable", ratio=math.nan),
        bad_row("wrong type", "wrong_type", stars="hush"),
        bad_row("wrong date", "wrong_type", since="hush"),
        bad_row("null", "required_missing", name=None),
        bad_row("unique elsewhere", "duplicate_key", tax_id="hush-2"),
        bad_row("unique freed", "duplicate_key", tax_id="hush-1"),
        bad_row("nul character", "wrong_type" if dialect == "postgres" else None, name="a\x00hush"),
    ]


def all_bad(dialect: str, schema_id: int = 0, other_schema_id: int = 0) -> list[Bad]:
    """Every kind of bad message."""
    return undecodable(schema_id, other_schema_id) + unidentified() + unfit(dialect)


def no_failure() -> list[Bad]:
    """What looks odd and is right."""
    return [
        bad("tombstone alone", None, None),
        bad("no key", None, change("c", None, {"number": "no-key", "name": "fine"}), key=None),
        bad_row("much text", None, notes="x" * 60_000),
    ]


def avro_change() -> bytes:
    """The Avro body of a real change of a customer, without its framing."""
    for line in (DATA / "debezium-avro.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["topic"].endswith(".customers") and record["value"] is not None:
            return base64.b64decode(record["value"])[5:]
    raise LookupError


def avro_schemas() -> Mapping[str, Any]:
    """The schemas of the real changes, by the id that they had."""
    schemas: Mapping[str, Any] = json.loads((DATA / "debezium-avro-schemas.json").read_text())
    return schemas


def register_schemas(register: Callable[[str, str], int], subject: str) -> tuple[int, int]:
    """Register the schemas of customers and of lines; returns their ids."""
    schemas = avro_schemas()
    own = register(f"{subject}.customers-value", json.dumps(schemas["2"]))
    other = register(f"{subject}.order_lines-value", json.dumps(schemas["6"]))
    return own, other
