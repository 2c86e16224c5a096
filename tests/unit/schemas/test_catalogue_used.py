"""Whatever the programs say went wrong, the catalogue knows."""

import ast
import re
from collections.abc import Iterator

import pytest

from schemas.catalogue import catalogue
from tests.unit import house

ERROR_TABLES = [
    name for name in house.modules() if name.startswith("worker.connectors.sql.") and name.endswith(".errors")
]


def fault_codes(module: house.Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(
                func=ast.Name(id="Fault" | "Undecodable" | "UnfitError"),
                args=[ast.Constant(value=str(code)), *_],
            ):
                yield code
            case ast.Compare(left=ast.Attribute(attr="code"), comparators=[right]):
                yield from (text for each in ast.walk(right) for text in _texts(each))


@pytest.mark.parametrize("module", house.product(), ids=lambda module: module.name)
def test_every_code_that_a_module_names_is_in_the_catalogue(module: house.Module) -> None:
    assert set(fault_codes(module)) <= catalogue().keys()


@pytest.mark.parametrize("name", ERROR_TABLES)
def test_every_code_in_a_table_of_errors_is_in_the_catalogue(name: str) -> None:
    assigned = [
        node.value for node in house.modules()[name].tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
    ]
    tables = [table for table in assigned if isinstance(table, ast.Dict | ast.Tuple | ast.Call)]
    words = {text for table in tables for each in ast.walk(table) for text in _texts(each)}
    codes = {word for word in words if re.fullmatch(r"[a-z_]{4,}", word)}
    assert codes
    assert codes <= catalogue().keys()


def _texts(node: ast.AST) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


@pytest.mark.parametrize("module", house.product(), ids=lambda module: module.name)
def test_every_parameter_of_a_fault_has_a_place_in_its_message(module: house.Module) -> None:
    for code, names in fault_parameters(module):
        assert names <= set(re.findall(r"\{(\w+)\}", catalogue()[code].message)), code


def fault_parameters(module: house.Module) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(
                func=ast.Name(id="Fault"), args=[ast.Constant(value=str(code)), ast.Dict(keys=keys), *_]
            ):
                yield code, {text for key in keys if key is not None for text in _texts(key)}
            case ast.Call(
                func=ast.Name(id="UnfitError" | "_fault"),
                args=[ast.Constant(value=str(code)), *_],
                keywords=named,
            ):
                yield code, {each.arg for each in named if each.arg is not None}
