"""What a reader is, and what it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from stream.events.readers.lines import Log, raw
from stream.events.records import LogRecord, Refused
from stream.events.types import AnyEvent, Item


class Bad(NamedTuple):
    """A row that is no event. It is handed on, never dropped: it belongs in the dead letters.

    `raw` is the row as it stands in the file, without its line end. `reason` is a short fixed word
    (one of `REASONS`), `message` one sentence, `line` the row's first line in the file, from 1.
    """

    raw: bytes
    reason: str
    message: str
    line: int

    def refused(self, now_ms: int) -> Refused:
        """As a dead letter's record, in which the line stands for the offset."""
        return Refused(LogRecord(self.line, now_ms, None, self.raw), self.reason, self.message)


REASONS = {
    "malformed-row": "not UTF-8, or not the columns that the header promises",
    "malformed-json": "not a JSON object",
    "missing-field": "a field that this type of event requires is missing",
    "invalid-field": "a value is empty, of the wrong type or out of bounds",
    "unknown-type": "the kind of event is not one of the contract",
    "not-a-product": "a line of postage, bank charges or other bookkeeping",
    "stock-adjustment": "goods written off or found: no shopper did that",
}
"""Every reason that a reader gives, and what it means."""

ReadResult = AnyEvent | Item | Bad
"""One result: an event, facts of an item (before the event that showed them), or a bad row."""


class Reader(NamedTuple):
    """One format: `about` in a few words, and `read`, which checks the header before it returns.

    `read` raises InputError where the file is not of this format.
    """

    about: str
    read: Callable[[Log], Iterator[ReadResult]]


class RowError(Exception):
    """Why a row is no event: (reason, message). Readers turn it into a `Bad`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def bad(self, line: str, number: int) -> Bad:
        """The row `line`, number `number` of its file, refused for this reason."""
        return Bad(raw(line), self.reason, self.message, number)


def columns_error(found: int, expected: int) -> RowError:
    """The row does not have the header's number of columns (0: its quotes do not close)."""
    if found:
        return RowError("malformed-row", f"the row has {found} columns instead of {expected}")
    return RowError("malformed-row", "the row's quotes do not close or do not span whole cells")


def reason(error: msgspec.ValidationError) -> str:
    """Which of `REASONS` an error of the wire contract belongs to."""
    message = str(error)
    if message.endswith("`$.type`"):
        return "unknown-type"
    return "missing-field" if "missing required field" in message else "invalid-field"
