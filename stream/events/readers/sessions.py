"""`sessions`: one session a line, item ids separated by white space, no times (Diginetica, SPMF, ...).

The file says nothing about who and when, so: the shopper and the session are the line's number, every
item is a view, and one second passes from each view to the next through the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream.events.readers.base import Reader, ReadResult, RowError
from stream.events.readers.fields import event_id, identifier
from stream.events.readers.lines import Log
from stream.events.types import ID_MAX_CHARS, View

START_MS = 1_420_070_400_000
"""2015-01-01: late enough for the 20 years that the decoder accepts, and with room for 300 million
views before they would reach into the future."""

STEP_MS = 1000


def _read(log: Log) -> Iterator[ReadResult]:
    ts_ms = START_MS
    for number, line in enumerate(log.lines(), 1):
        items = line.split()
        try:
            # What a line as a whole satisfies, its items satisfy.
            if not (line.isprintable() and len(line) <= ID_MAX_CHARS):
                for item in items:
                    identifier(item, "item")
        except RowError as error:
            yield error.bad(line, number)
            continue
        prefix = event_id(line, number)
        shopper = str(number)
        for place, item in enumerate(items):
            yield View(
                event_id=f"{prefix}-{place}", ts=ts_ms, user_id=shopper, session_id=shopper, item_id=item
            )
            ts_ms += STEP_MS


SESSIONS = Reader("one session a line, items separated by spaces, 1 s an event", _read)
