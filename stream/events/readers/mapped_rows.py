"""Rows of a shop's own file into events, by a plan made from its mapping file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, Final, get_args

import msgspec

from stream.errors import InputError
from stream.events.readers.base import ReadResult, RowError, columns_error, reason
from stream.events.readers.fields import (
    ID_FIELDS,
    epoch_ms,
    event_id,
    identifier,
    iso_ms,
    number,
    price,
    text,
)
from stream.events.readers.lines import Log
from stream.events.readers.rows import UNTIMED, cells_of, columns, header, in_time_order, rows
from stream.events.types import Item, ShopEvent

Row = list[str] | dict[str, Any]
"""What one row holds: cells by position, or a JSON object."""

Source = tuple[int, str, Row | RowError]
"""Line number, text, and what the row holds, or why it holds nothing."""

Get = Callable[[Any], Any]
"""The cell of one column in a row: "" or None where the row has none."""

Step = tuple[str, Get, Callable[[Any], Any]]
"""One field, where its cell is, and how the cell becomes the field's value."""

TEXT_MAX_CHARS: Final = {"category": 256, "brand": 256}
PRICES: Final = frozenset({"price", "list_price", "cost", "floor", "ceiling"})
WHOLE: Final = frozenset({"quantity", "stock"})
NUMBERS: Final = frozenset({"rating"})
# Converting to the one class costs 1 µs, to the union of all 20 µs: it is analysed anew at each call.
KINDS: Final[dict[str, type[ShopEvent]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(ShopEvent)
}
AS_IS: Final = frozenset({"items", "context"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a mapping file says, checked. `fields` and `facts`: field = column."""

    fields: Mapping[str, str]
    facts: Mapping[str, str]
    constants: Mapping[str, str | int | float]
    types: Mapping[str, str]
    time_format: str | None
    time_unit_ms: float | None
    price_scale: float
    price_decimal: str
    sort_by_time: bool

    @property
    def columns(self) -> list[str]:
        """Every column that is read, once."""
        return list(dict.fromkeys([*self.fields.values(), *self.facts.values()]))

    def convert(self, field: str) -> Callable[[Any], Any]:
        """How a cell becomes `field` of the wire contract; it raises RowError where it cannot."""
        if field in AS_IS:
            return _as_is
        if field == "ts":
            if self.time_unit_ms is not None:
                unit_ms = self.time_unit_ms
                return lambda cell: epoch_ms(_text(cell, "ts"), unit_ms, "ts")
            return lambda cell: iso_ms(_text(cell, "ts"), "ts", self.time_format)
        if field == "type":
            return self._type
        if field in ID_FIELDS:
            return lambda cell: identifier(_text(cell, field), field)
        if field in PRICES:
            return partial(self._price, field)
        if field in WHOLE:
            return partial(_whole, field)
        if field in NUMBERS:
            return lambda cell: number(_text(cell, field), field)
        return lambda cell: text(_text(cell, field), field, TEXT_MAX_CHARS.get(field, 1024))

    def steps(self, wanted: Mapping[str, str], get: Callable[[str], Get]) -> list[Step]:
        """The fields of `wanted` with their columns looked up once and for all rows."""
        return [(field, get(column), self.convert(field)) for field, column in wanted.items()]

    def _type(self, cell: Any) -> str:
        shown = _text(cell, "type")
        kind = self.types.get(shown)
        if kind is None:
            raise RowError("unknown-type", f"type {shown!r} is not in the mapping file's [types]")
        return kind

    def _price(self, field: str, cell: Any) -> float:
        shown = _text(cell, field)
        if self.price_decimal != ".":
            shown = shown.replace(".", "").replace(self.price_decimal, ".")
        value = price(shown, field)
        # 1999 x 0.01 is 19.990000000000002: the product is rounded to a hundredth of a cent.
        return value if self.price_scale == 1.0 else round(value * self.price_scale, 4)


def _as_is(cell: Any) -> Any:
    return cell


def _whole(field: str, cell: Any) -> int:
    shown = _text(cell, field)
    amount = number(shown, field)
    if not amount.is_integer():
        raise RowError("invalid-field", f"{field} {shown!r} is not a whole number")
    return int(amount)


def _text(cell: Any, field: str) -> str:
    """A cell as text: JSON files also write ids, prices and times as numbers."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return repr(cell)
    raise RowError("invalid-field", f"{field} is neither text nor a number: {cell!r:.80}")


def read_csv(plan: Plan, delimiter: str, names: Sequence[str] | None, log: Log) -> Iterator[ReadResult]:
    """Events of delimited text; `names` are its columns where it has no header."""
    if names is None:
        columns(log, delimiter, plan.columns, "what the mapping file describes")
        found = header(log, delimiter)
    else:
        found = list(names)
        for column in plan.columns:
            if column not in found:
                raise InputError(
                    f"The mapping file reads the column {column!r} and does not list it under "
                    f"`columns`: add it there ({log.path} has no header)."
                )
    where = {name: position for position, name in enumerate(found)}
    width = len(found)

    def parse(line: str) -> Row | RowError:
        return _checked(cells_of(line, delimiter), width)

    table = rows(log.lines(), delimiter)
    sources = (
        (line_number, line, _checked(cells, width))
        for line_number, line, cells in islice(table, 1 if names is None else 0, None)
    )
    return _events(plan, sources, parse, lambda column: itemgetter(where[column]))


def _checked(cells: list[str], width: int) -> Row | RowError:
    return cells if len(cells) == width else columns_error(len(cells), width)


def read_json(plan: Plan, log: Log) -> Iterator[ReadResult]:
    """Events of JSON lines. A dotted column is a path into nested objects."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode

    def parse(line: str) -> Row | RowError:
        try:
            return decode(line)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            return RowError("malformed-json", str(error))

    sources = (
        (line_number, line, parse(line))
        for line_number, line in enumerate(log.lines(), 1)
        if line and not line.isspace()
    )
    return _events(plan, sources, parse, lambda column: partial(_member, column, column.split(".")))


def _member(column: str, path: list[str], row: dict[str, Any]) -> Any:
    if column in row:
        return row[column]
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _events(
    plan: Plan, sources: Iterable[Source], parse: Callable[[str], Row | RowError], get: Callable[[str], Get]
) -> Iterator[ReadResult]:
    fields = plan.steps(plan.fields, get)
    facts = plan.steps(plan.facts, get)
    if plan.sort_by_time and "ts" in plan.fields:
        time = plan.steps({"ts": plan.fields["ts"]}, get)
        # The text alone is kept: what is parsed from it takes five times its memory.
        timed = ((_ts_ms(time, row), (line_number, line)) for line_number, line, row in sources)
        sources = ((line_number, line, parse(line)) for _, (line_number, line) in in_time_order(timed))
    known: dict[str, dict[str, Any]] = {}
    for line_number, line, row in sources:
        try:
            if isinstance(row, RowError):
                raise row
            values = {**plan.constants, **_values(fields, row)}
            if "event_id" not in values:
                values["event_id"] = event_id(line, line_number)
            if "type" not in values:
                raise RowError("missing-field", "type is empty")
            event = msgspec.convert(values, KINDS[values["type"]])
            item = None
            if facts and event.item_id is not None:
                # What this row does not say stays as the last row said it.
                before = known.get(event.item_id, {})
                after = {**before, **_values(facts, row)}
                if after != before:
                    item = msgspec.convert({"item_id": event.item_id, **after}, Item)
                    known[event.item_id] = after
        except RowError as error:
            yield error.bad(line, line_number)
        except msgspec.ValidationError as error:
            yield RowError(reason(error), str(error)).bad(line, line_number)
        else:
            if item is not None:
                yield item
            yield event


def _values(steps: list[Step], row: Row) -> dict[str, Any]:
    values = {}
    for field, get, convert in steps:
        cell = get(row)
        if cell is not None and cell != "":
            values[field] = convert(cell)
    return values


def _ts_ms(time: list[Step], row: Row | RowError) -> int:
    if isinstance(row, RowError):
        return UNTIMED
    try:
        return int(_values(time, row).get("ts", UNTIMED))
    except RowError:
        return UNTIMED
