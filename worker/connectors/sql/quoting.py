"""Names in SQL. Pure."""


def double_quoted(name: str) -> str:
    """Return a name in double quotes, as standard SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def backquoted(name: str) -> str:
    """Return a name in backquotes, as MariaDB and MySQL have it."""
    return "`" + name.replace("`", "``") + "`"


def split_entity(entity: str) -> tuple[str | None, str]:
    """Return schema (None if left out) and table of `table` or `schema.table`; each may stand in double quotes."""
    match _parts(entity):
        case [schema, table]:
            return schema, table
        case [table]:
            return None, table
        case _:
            return None, entity


def _parts(entity: str) -> list[str]:
    parts, current, quoted = [], "", False
    for character in entity:
        if character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]
