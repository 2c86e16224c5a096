"""The source tree as the rules of the house see it: modules, what they import, what they hold."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "plumbing", "worker", "sink", "demo", "instep")


@dataclass(frozen=True, slots=True)
class Module:
    """One source file; `name` is dotted."""

    name: str
    file: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """The parsed text; not before it is asked for, as every run of the tests lists the modules."""
        return _parse(self.text)

    @property
    def room(self) -> str:
        """The top folder."""
        return self.name.partition(".")[0]

    @property
    def docstring(self) -> str:
        """What the module says of itself."""
        return ast.get_docstring(self.tree) or ""


@cache
def modules() -> Mapping[str, Module]:
    """All modules of the product, the tests and the benchmarks, by name."""
    files = [file for room in (*ROOMS, "tests", "benchmarks") for file in (ROOT / room).rglob("*.py")]
    return {module.name: module for module in map(_read, files)}


def product() -> list[Module]:
    """The modules that are shipped."""
    return [module for module in modules().values() if module.room in ROOMS]


def imports(module: Module, *, anywhere: bool = True) -> set[str]:
    """Dotted names that a module imports, for types alone too; with `anywhere=False` only those at its top level."""
    nodes = ast.walk(module.tree) if anywhere else _top_level(module.tree)
    return {name for node in nodes for name in _imported(node, module)}


def own_imports(module: Module) -> set[str]:
    """The modules of this repository that a module imports directly."""
    return {name for name in imports(module) if name in modules()} - {module.name}


def reachable(module: Module) -> set[str]:
    """The module itself and every module of ours that it imports, directly or through others."""
    seen: set[str] = set()
    waiting = [module.name]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(own_imports(modules()[name]))
    return seen


def is_below(name: str, parents: frozenset[str]) -> bool:
    """Whether a dotted name is one of the parents or lies below one."""
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods."""
    return (n for n in ast.walk(module.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def catches_everything(module: Module) -> bool:
    """Whether the module has `except Exception`, `except BaseException` or a bare `except`."""
    handlers = [node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)]
    return any(
        handler.type is None
        or {getattr(n, "id", "") for n in ast.walk(handler.type)} & {"Exception", "BaseException"}
        for handler in handlers
    )


def calls(module: Module) -> set[str]:
    """What the module calls, as far as its name is written out: `open`, `path.open`, `datetime.now`."""
    return {ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}


def _read(file: Path) -> Module:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    text = file.read_text()
    return Module(name, file, text)


@cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def _top_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Statements that run (or count) at import: all that stands outside functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def _imported(node: ast.AST, module: Module) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=source, names=names, level=level):
            origin = _absolute(source, level, module)
            for alias in names:
                part = f"{origin}.{alias.name}"
                yield part if part in modules() or origin not in modules() else origin
        case _:
            return


def _absolute(source: str | None, level: int, module: Module) -> str:
    if level == 0:
        return source or ""
    package = module.name if module.file.name == "__init__.py" else module.name.rpartition(".")[0]
    parents = package.split(".")[: len(package.split(".")) - (level - 1)]
    return ".".join([*parents, *([source] if source else [])])
