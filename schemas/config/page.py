"""The page docs/configuration.md, made from the model's own descriptions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.config.model import config_schema
from schemas.config.transform import PLAIN_NAMES

EXAMPLE = """\
kafka:
  bootstrap: kafka-1:9093,kafka-2:9093
  group: erp-crm
  security:
    protocol: SASL_SSL
    mechanism: SCRAM-SHA-512
    username: instep
    password: ${file:/run/secrets/kafka-password}
    ca_file: /etc/instep/ca.pem
apps:
  erp: {}                       # no connector: it only sends events
  crm:
    connector: sql
    url: postgresql+psycopg://sync:${CRM_PASSWORD}@crm-db/crm
mappings:
  customers:
    source: {app: erp, entity: customers, topic: erp.customers, key: number, link: "https://erp.example/customer/{number}"}
    target: {app: crm, entity: account, key: account_number}
    on_delete: propagate
    where: "blocked = false and country in ('NL', 'BE')"
    fields:
      - name                    # the same name on both sides
      - {source: displayName, target: label, transform: [trim, {substring: {length: 40}}]}
      - {source: status, target: state, options: {Open: 0, Blocked: 1}}
      - {constant: erp, target: origin_system}
worker:
  state: {url: "postgresql+psycopg://instep:${STATE_PASSWORD}@state-db/instep"}
sink:
  store: {url: "postgresql+psycopg://instep:${STATE_PASSWORD}@state-db/instep"}
  retention: {closed: 30d, payload: 7d}
"""

_INTRODUCTION = f"""\
<!-- Generated from schemas/config by `make docs`. -->
# Configuration

One YAML file for workers, sink and command line. Name it with `-c FILE` or `INSTEP_CONFIG`. An editor that knows
JSON Schema completes and checks it while you type:

```
instep config schema > instep.schema.json
instep config check -c instep.yaml            # everything that is wrong, at once
instep config check -c instep.yaml --connect  # … and what the target apps say
```

```yaml
{EXAMPLE}```

## Secrets

`${{NAME}}` is the environment variable NAME, `${{file:/run/secrets/x}}` the text of a file; both stand in any value, alone or
as a part of it. In a URL, a value before the `@` is percent-encoded for you, so a password may hold any character: give it
as it is. `$${{` is a literal `${{`.

## Durations, addresses and names

- A duration is a number and a unit: `250ms`, `45s`, `30m`, `12h`, `7d`.
- An address to listen on is `host:port`; an IPv6 host stands in brackets.
- A name (of an app, a mapping, a group) has letters, digits, `.`, `_` and `-`, 100 at most.
- A text may stand without quotes, but for what YAML takes for something else: `"0123"`, `"true"`, `"2024-01-01"`.

## `where`

An SQL condition over fields of the source, spelled as the source spells them; a name that is no plain word stands in double
quotes. Supported are `and`, `or`, `not`, `=`, `<>`, `<`, `<=`, `>`, `>=`, `in`, `between`, `like`, `is null`, texts, numbers, `true`, `false` and
`null`. As in SQL, a comparison with null is unknown, and so is one between values of unlike types; a record is synced only
where the whole condition is true. Dates and timestamps compare with texts: `changed >= '2024-01-01'` (without a zone: UTC).
`true` and `false` equal 1 and 0. `like` is case-sensitive.

## Transformations

Without parameters: {", ".join(f"`{name}`" for name in PLAIN_NAMES)}. With parameters, in the form
`{{substring: {{start: 0, length: 3}}}}`: see `transform` below. Steps run in the order in which they are written. Null stays null but
for `default`. A value that a step cannot work on is a failure of its record.

## Keys
"""


def configuration_page() -> str:
    """Return the whole page as Markdown."""
    schema = config_schema()
    return _INTRODUCTION + "".join(_part("", schema, schema))


def _part(path: str, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the section of one mapping of the file, and then those of the mappings in it."""
    if path:
        yield f"\n### `{path}`\n\n{_prose(part)}\n"
    yield "\n| key | is | default | |\n| --- | --- | --- | --- |\n"
    inner: list[tuple[str, Mapping[str, Any]]] = []
    for name, key in part["properties"].items():
        default = "**needed**" if name in part.get("required", ()) else _default(key)
        yield f"| `{name}` | {_kind(key, schema)} | {default} | {_described(key, schema)} |\n"
        inner += _inner(f"{path}.{name}" if path else name, key, schema)
    for inner_path, inner_part in inner:
        yield from _part(inner_path, inner_part, schema)


def _inner(
    path: str, key: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the mappings that a key holds, and the paths at which they stand."""
    for form in _forms(key, schema):
        if "properties" in form:
            yield path, form
        elif form.get("type") == "array":
            yield from _inner(f"{path}[]", form["items"], schema)
        else:
            for named in form.get("patternProperties", {}).values():
                yield from _inner(f"{path}.<name>", named, schema)


def _forms(key: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in key:
        yield schema["$defs"][key["$ref"].rsplit("/", 1)[1]]
    elif "anyOf" in key:
        for form in key["anyOf"]:
            yield from _forms(form, schema)
    else:
        yield key


def _kind(key: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    kinds = [_form_kind(form) for form in _forms(key, schema) if form.get("type") != "null"]
    return " or ".join(dict.fromkeys(kinds))


def _form_kind(form: Mapping[str, Any]) -> str:
    if "enum" in form or "const" in form:
        return ", ".join(f"`{choice}`" for choice in form.get("enum", [form.get("const")]))
    if isinstance(form.get("type"), list):
        return "value"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
    }
    limits = [
        f"{words} {form[limit]}" for limit, words in (("minimum", "from"), ("maximum", "to")) if limit in form
    ]
    return " ".join([names.get(str(form.get("type")), "mapping"), *limits])


def _default(key: Mapping[str, Any]) -> str:
    default = key.get("default")
    return (
        ""
        if default in (None, [], {})
        else f"`{json.dumps(default) if not isinstance(default, str) else default}`"
    )


def _described(key: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    # Where a key and the part it holds are told in the same words, the JSON Schema has them at the part alone.
    return _prose(key) or _prose(next(_forms(key, schema)))


def _prose(key: Mapping[str, Any]) -> str:
    return " ".join(str(key.get("description", "")).split()).replace("|", "\\|")
