"""The page docs/api.md, made from the OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any

from sink.web.api.document import ADDRESS, ApiApp, operations

_INTRODUCTION = f"""\
<!-- Generated from the OpenAPI document by `make docs`. -->
# HTTP API

The sink serves it at its port, below `/api/v1`; the OpenAPI document is at `{ADDRESS}`. It does what the commands of
`instep errors` and `instep replays` do, by the same code: with `--url` they work through it.

```
curl -H "Authorization: Bearer $INSTEP_TOKEN" "https://sink.example:8080/api/v1/entries?mapping=customers&limit=10"
```

- **Token**: `instep token create NAME --role viewer|operator|admin` makes one. Each operation below says which role it is for; a
  higher role may do what a lower one may. While there is no token the sink answers on its own machine only, and to everybody there.
- **Pages** follow each other by `after`: send what the page before answered in `after`, until that is null. What fails again
  meanwhile moves to the front.
- **Parameters** that an operation does not have are refused, with the name that may have been meant. A parameter that may be given more
  than once means any of its values.
- **Changes** of one thing take `If-Match` with the `ETag` that it had when you looked at it; 412 says that it has changed since.
- **Actions** take an `Idempotency-Key` of your choice: the same request under the same key is carried out once within 24 hours, and
  answered the same again. A request that was refused leaves its key free. 409 says that it is under way, 422 that the key was used for
  another request.
- **Problems** are `application/problem+json` (RFC 9457): `type` is stable, `detail` is for people, `wrong` names the parts of the request,
  `refused` is a stable word. 503 says that the database is away, with `Retry-After`. No problem holds a value of a record.
- **Limits**: a body has at most 1 MiB and has to arrive within seconds; one action takes at most 10,000 ids, or a filter.
"""


def api_page() -> str:
    """Return the whole page as Markdown, a section for each operation and each form."""
    document = ApiApp().openapi()
    found = list(operations(document))
    contents = "".join(
        f"- [{_title(*each)}](#{_anchor(_title(*each))}): {each[2]['summary']}\n" for each in found
    )
    sections = "".join(_section(*each) for each in found)
    forms = "".join(_form(name, form) for name, form in sorted(document["components"]["schemas"].items()))
    return f"{_INTRODUCTION}\n## Operations\n\n{contents}{sections}\n## Forms\n{forms}"


def _title(address: str, method: str, _operation: Mapping[str, Any]) -> str:
    return f"`{method} {address}`"


def _anchor(title: str) -> str:
    return "".join(each for each in title.lower().replace(" ", "-") if each.isalnum() or each in "-_")


def _section(address: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"| `{each['name']}` | {each['in']} | {_kind(each['schema'])} | {_words(each)} |\n"
        for each in operation.get("parameters", ())
    )
    table = f"\n| | | | |\n| --- | --- | --- | --- |\n{rows}" if rows else ""
    body = "".join(
        f"\nBody: {_kind(content['schema'])}\n"
        for content in operation.get("requestBody", {}).get("content", {}).values()
    )
    answers = ", ".join(_answers(operation["responses"]))
    return f"\n### {_title(address, method, operation)}\n\n{operation['description']}\n{table}{body}\nAnswers: {answers}\n"


def _answers(responses: Mapping[str, Any]) -> Iterator[str]:
    for status, response in sorted(responses.items()):
        if status == "default":
            continue
        for kind, content in response["content"].items():
            form = f" {_kind(content['schema']) if content.get('schema') else kind}"
            yield f"{status}{form if int(status) < 300 else ''}"


def _form(name: str, form: Mapping[str, Any]) -> str:
    needed = form.get("required", ())
    rows = "".join(
        f"| `{field}`{'' if field in needed else ' (optional)'} | {_kind(schema)} | {_words(schema)} |\n"
        for field, schema in form.get("properties", {}).items()
    )
    words = " ".join(form.get("description", "").split())
    listed = ", ".join(f"`{each}`" for each in form.get("enum", ()))
    table = f"\n| | | |\n| --- | --- | --- |\n{rows}" if rows else ""
    return f"\n### {name}\n\n{words}{f' One of {listed}.' if listed else ''}\n{table}"


def _words(schema: Mapping[str, Any]) -> str:
    default = schema.get("schema", schema).get("default")
    shown = f" Default: `{default}`." if default not in (None, [], False) else ""
    return f"{' '.join(schema.get('description', '').split())}{shown}".replace("|", "\\|").strip()


def _kind(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": options}:
            return " or ".join(_kind(each) for each in options)
        case {"type": "array", "items": items}:
            return f"list of {_kind(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map to {_kind(values)}"
        case {"type": str(kind)}:
            return "time" if schema.get("format") == "date-time" else kind
        case _:
            return "anything"
