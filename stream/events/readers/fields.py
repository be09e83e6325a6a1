"""Cells of text into the values of the wire contract, or a RowError that says what is wrong.

These hold what `stream/events/types.py` states, because structs built by their constructor are not
checked. Cost: about 0.1 µs a call for what is right.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zlib import crc32

from stream.events.readers.base import RowError
from stream.events.readers.lines import raw
from stream.events.types import ID_MAX_CHARS

PRICE_MAX = 1e12
QUANTITY_MAX = 1_000_000
NAN = float("nan")
"""Stands for text that is no number: it fails every comparison with a bound."""
EPOCH = datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
TS_MIN_MS = -62_135_596_800_000
"""0001-01-01, the first day that a datetime can hold."""
TS_MAX_MS = 253_402_300_799_999
"""The last millisecond of 9999."""

ID_FIELDS = ("event_id", "user_id", "session_id", "item_id", "order_id", "request_id")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def event_id(line: str, number: int) -> str:
    """An id that is the same whenever this line is read at this place, and differs between files.

    The line number keeps equal lines of one file apart; the checksum of the text keeps line 7 of one
    file apart from line 7 of another. A file that has grown keeps the ids of its old lines.
    """
    return f"{number}-{crc32(line.encode('utf-8', 'surrogateescape')):08x}"


def identifier(cell: str, field: str) -> str:
    """`cell` as an id: 1 to ID_MAX_CHARS characters, no control characters."""
    if cell.isprintable() and 0 < len(cell) <= ID_MAX_CHARS:
        return cell
    if not cell:
        raise RowError("invalid-field", f"{field} is empty")
    if len(cell) > ID_MAX_CHARS:
        raise RowError("invalid-field", f"{field} has {len(cell)} characters, more than {ID_MAX_CHARS}")
    if CONTROL.search(cell):
        raise RowError("invalid-field", f"{field} holds a control character: {cell!r}")
    return text(cell, field)


def text(cell: str, field: str, max_chars: int = ID_MAX_CHARS) -> str:
    """`cell` as free text, cut at `max_chars` (a title that is too long is still that title)."""
    if not cell.isprintable() and _SURROGATE.search(cell):
        raise RowError("malformed-row", f"{field} is not UTF-8: {raw(cell)!r}")
    return cell[:max_chars]


def price(cell: str, field: str) -> float:
    """A price of one unit in the main unit: finite, not negative, at most PRICE_MAX."""
    try:
        value = float(cell)
    except ValueError:
        value = NAN
    if 0.0 <= value <= PRICE_MAX:
        return value
    raise RowError("invalid-field", f"{field} {cell!r} is not a price between 0 and {PRICE_MAX:.0e}")


def quantity(cell: str, field: str) -> int:
    """A number of units, 1 to QUANTITY_MAX; "3.0" is 3."""
    try:
        value = float(cell)
    except ValueError:
        value = NAN
    if 1 <= value <= QUANTITY_MAX and value.is_integer():
        return int(value)
    raise RowError("invalid-field", f"{field} {cell!r} is not a whole number between 1 and {QUANTITY_MAX}")


def number(cell: str, field: str) -> float:
    """A number, possibly NaN or infinite: the caller states the bounds."""
    try:
        return float(cell)
    except ValueError:
        raise RowError("invalid-field", f"{field} {cell!r} is not a number") from None


def epoch_ms(cell: str, unit_ms: float, field: str) -> int:
    """Epoch milliseconds from a number of units since 1970, `unit_ms` milliseconds each."""
    try:
        value = float(cell) * unit_ms
    except ValueError:
        value = NAN
    if TS_MIN_MS <= value <= TS_MAX_MS:
        return round(value)
    raise RowError("invalid-field", f"{field} {cell!r} is not a number of time units in the years 1 to 9999")


# Logs are in time order or nearly, so that a few distinct seconds serve many rows.
@lru_cache(maxsize=4096)
def iso_ms(cell: str, field: str, format: str | None = None) -> int:
    """Epoch milliseconds from ISO 8601, or from a strptime `format`; without an offset: UTC."""
    try:
        when = datetime.strptime(cell, format) if format else datetime.fromisoformat(cell)
        return (when - (EPOCH if when.tzinfo is None else EPOCH_UTC)) // MILLISECOND
    except (ValueError, OverflowError):
        wanted = f"of the form {format}" if format else "in ISO 8601"
        raise RowError("invalid-field", f"{field} {cell!r} is not a time {wanted}") from None
