"""A mapping, compiled against what the target says of itself: from a source row to a target row in one call.

Pure. A `RowPlan` is made once for each shape of source rows and mapping, and kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Literal

from schemas.change import Kind, Shape
from worker.coerce import coercion
from worker.connectors.protocol import Column, Description
from worker.fault import Fault
from worker.where import Where

Row = tuple[Any, ...]
CONVERSION_ERRORS = (ValueError, OverflowError, RecursionError)
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One configured field: a source field or a constant, on its way to a target column."""

    target: str
    source: str | None
    constant: object = None
    transform: Convert | None = None
    options: Mapping[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class MappingPlan:
    """One mapping with everything that the steps need; `row_plans` is its cache, by shape.

    `fields` is None for every field that the target has under the same name.
    """

    name: str
    direction: str
    topic: str
    source_app: str
    source_entity: str
    source_key: tuple[str, ...]
    source_link: str | None
    target_app: str
    target_entity: str
    target_key: tuple[str, ...]
    target_link: str | None
    order: Literal["latest", "strict"]
    on_delete: Literal["propagate", "report", "ignore"]
    delete_on_tombstone: bool
    timestamp_unit: str
    where: Where | None
    fields: tuple[FieldPlan, ...] | None
    description: Description
    row_plans: dict[Shape, "RowPlan"] = field(default_factory=dict)

    def row_plan(self, shape: Shape) -> "RowPlan":
        """Return the plan for rows of a shape, made at its first use."""
        plan = self.row_plans.get(shape)
        if plan is None:
            plan = self.row_plans[shape] = compile_row_plan(self, shape)
        return plan

    def key_fields(self) -> tuple[FieldPlan, ...]:
        """Return the fields that make up the target's key, in its order; one that is not configured comes from the source's key."""
        configured = {each.target: each for each in self.fields or ()}
        pairs = zip(self.target_key, self.source_key, strict=True)
        return tuple(configured.get(target) or FieldPlan(target, source) for target, source in pairs)


@dataclass(frozen=True, slots=True)
class Cell:
    """How one target column gets its value: the source field's wire value through `convert`, or `constant`.

    Null stays null unconverted, but where `converts_null`: a transformation may fill it.
    """

    column: str
    source: str | None
    constant: object
    convert: Convert | None = None
    converts_null: bool = False


@dataclass(frozen=True, slots=True)
class RowPlan:
    """How source rows of one shape become target rows with `columns`, and what their key is.

    `carries` are the same columns as a set, `lacks` those that the source left out of rows of this shape.
    """

    columns: tuple[str, ...]
    carries: frozenset[str]
    lacks: frozenset[str]
    key: Callable[[Mapping[str, Any]], Row]
    row: Callable[[Mapping[str, Any]], Row]
    target_key: Callable[[Mapping[str, Any]], Row]
    key_of_row: Callable[[Row], Row]
    cells: tuple[Cell, ...]


def compile_row_plan(mapping: MappingPlan, shape: Shape) -> RowPlan:
    """Return the plan for one shape of source rows."""
    columns = mapping.description.columns
    keys = mapping.key_fields()
    taken = {each.target for each in keys}
    rest = mapping.fields if mapping.fields is not None else _same_named(mapping, shape)
    fields = keys + tuple(each for each in rest if each.target not in taken)
    present = [each for each in fields if each.source is None or each.source in shape.names]
    cells = tuple(_cell(each, shape, columns[each.target], mapping.timestamp_unit) for each in present)
    key_cells = tuple(_cell(each, shape, columns[each.target], mapping.timestamp_unit) for each in keys)
    names = tuple(cell.column for cell in cells)
    return RowPlan(
        columns=names,
        carries=frozenset(names),
        lacks=_lacking(mapping, shape) if shape.lacks else frozenset(),
        key=_source_key(mapping.source_key, shape),
        row=_row_maker(cells),
        target_key=_row_maker(key_cells),
        key_of_row=_tuple_getter([names.index(column) for column in mapping.target_key if column in names]),
        cells=cells,
    )


def find_fault(cells: tuple[Cell, ...], source: Mapping[str, Any]) -> Fault | None:
    """Return why a source row becomes no target row: the first field that can't be converted."""
    for cell in cells:
        if cell.source is None:
            continue
        value = source.get(cell.source)
        try:
            if cell.convert is not None and (value is not None or cell.converts_null):
                cell.convert(value)
        except OptionNotMappedError:
            return Fault("option_not_mapped", {"field": cell.source, "column": cell.column})
        except CONVERSION_ERRORS as error:
            parameters = {"field": cell.source, "column": cell.column, "reason": str(error)}
            return Fault("wrong_type", parameters, exception_type=type(error).__name__)
    return None


class OptionNotMappedError(ValueError):
    """The value is none of the mapping's options."""


def _lacking(mapping: MappingPlan, shape: Shape) -> frozenset[str]:
    if mapping.fields is None:
        return shape.lacks.intersection(mapping.description.columns)
    return frozenset(each.target for each in mapping.fields if each.source in shape.lacks)


def _same_named(mapping: MappingPlan, shape: Shape) -> tuple[FieldPlan, ...]:
    return tuple(
        FieldPlan(column.name, column.name)
        for column in mapping.description.columns.values()
        if column.name in shape.names and not column.generated
    )


def _cell(plan: FieldPlan, shape: Shape, column: Column, timestamp_unit: str) -> Cell:
    if plan.source is None:
        return Cell(column.name, None, constant_for(column, plan.constant))
    kind = shape.kinds.get(plan.source, Kind.UNKNOWN) if shape.kinds else None
    reader = shape.readers.get(plan.source)
    converts: list[Convert] = [] if reader is None else [reader]
    if plan.transform is not None:
        converts = [_with_null(converts, plan.transform)]
        kind = Kind.UNKNOWN if shape.kinds else None
    if plan.options is not None:
        converts.append(_option_lookup(plan.options))
        kind = Kind.UNKNOWN
    last = coercion(kind, column.kind, timestamp_unit)
    if last is not None:
        converts.append(last)
    return Cell(column.name, plan.source, None, _in_turn(converts), plan.transform is not None)


def constant_for(column: Column, constant: object) -> object:
    """Return a configured constant as the column takes it; raises what CONVERSION_ERRORS lists."""
    convert = coercion(Kind.UNKNOWN, column.kind)
    return convert(constant) if convert is not None and constant is not None else constant


def _with_null(before: Sequence[Convert], transform: Convert) -> Convert:
    """Return a transformation that null comes to as well."""
    if not before:
        return transform
    (read,) = before
    return lambda value: transform(value if value is None else read(value))


def _in_turn(converts: Sequence[Convert]) -> Convert | None:
    """Return one conversion for several, of which the later ones leave null alone."""
    if len(converts) < 2:
        return converts[0] if converts else None
    first, *rest = converts

    def convert(value: Any) -> Any:
        value = first(value)
        for each in rest:
            if value is None:
                return None
            value = each(value)
        return value

    return convert


def _option_lookup(options: Mapping[Any, Any]) -> Convert:
    by_text = {str(key): value for key, value in options.items()}

    def look_up(value: object) -> object:
        try:
            return by_text[str(value)]
        except KeyError:
            raise OptionNotMappedError from None

    return look_up


def _source_key(names: tuple[str, ...], shape: Shape) -> Callable[[Mapping[str, Any]], Row]:
    """Return what reads the exact key values of a row; it raises KeyError where the row lacks one."""
    readers = [shape.readers.get(name) for name in names]
    if not any(readers):
        return _tuple_getter(names)

    def key(row: Mapping[str, Any]) -> Row:
        return tuple(
            reader(row[name]) if reader and row[name] is not None else row[name]
            for name, reader in zip(names, readers, strict=True)
        )

    return key


def _tuple_getter(items: Any) -> Callable[[Any], Row]:
    """Return an itemgetter that gives a tuple for one item also."""
    if len(items) == 1:
        only = items[0]
        return lambda row: (row[only],)
    return itemgetter(*items) if items else lambda _: ()


def _row_maker(cells: tuple[Cell, ...]) -> Callable[[Mapping[str, Any]], Row]:
    """Return what makes a target row: one C call for all fields, then the conversions that are needed."""
    names = [cell.source for cell in cells if cell.source is not None]
    constants = any(cell.source is None for cell in cells)
    converts = [(i, cell.convert, cell.converts_null) for i, cell in enumerate(cells) if cell.convert]
    pick = _tuple_getter(names)
    if not constants and not converts:
        return pick
    but_null = [(i, convert) for i, convert, null_too in converts if not null_too]
    every = [(i, convert) for i, convert, null_too in converts if null_too]
    fixed = [(i, cell.constant) for i, cell in enumerate(cells) if cell.source is None]

    def make(source: Mapping[str, Any]) -> Row:
        row = list(pick(source))
        for i, constant in fixed:
            row.insert(i, constant)
        for i, convert in but_null:
            if row[i] is not None:
                row[i] = convert(row[i])
        for i, convert in every:
            row[i] = convert(row[i])
        return tuple(row)

    return make
