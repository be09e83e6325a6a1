"""`yoochoose`: clicks of the RecSys Challenge 2015 as session-rec prepares them (tab separated).

The files are grouped by session, so they are read whole and sorted by time (stable). The data know no
shoppers: a session is its own shopper.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream.events.readers.base import Reader, ReadResult, RowError, columns_error
from stream.events.readers.fields import epoch_ms, event_id, identifier
from stream.events.readers.lines import Log
from stream.events.readers.rows import MS_PER_S, UNTIMED, columns, in_time_order
from stream.events.types import View

COLUMNS = ("SessionId", "ItemId", "Time")


def _read(log: Log) -> Iterator[ReadResult]:
    where = columns(log, "\t", COLUMNS, "a yoochoose file")
    width = log.first.count("\t") + 1
    return _events(log, where, width)


def _events(log: Log, where: list[int], width: int) -> Iterator[ReadResult]:
    session_at, item_at, time_at = where

    def ts_ms(line: str) -> int:
        try:
            return epoch_ms(line.split("\t")[time_at], MS_PER_S, "Time")
        except (RowError, IndexError):
            return UNTIMED

    timed = (
        (ts_ms(line), (number, line)) for number, line in enumerate(log.lines(), 1) if line and number > 1
    )
    for ts, (number, line) in in_time_order(timed):
        cells = line.split("\t")
        try:
            if len(cells) != width:
                raise columns_error(len(cells), width)
            session = identifier(cells[session_at], "SessionId")
            result = View(
                event_id=event_id(line, number),
                ts=ts if ts != UNTIMED else epoch_ms(cells[time_at], MS_PER_S, "Time"),
                user_id=session,
                session_id=session,
                item_id=identifier(cells[item_at], "ItemId"),
            )
        except RowError as error:
            yield error.bad(line, number)
        else:
            yield result


YOOCHOOSE = Reader("RecSys Challenge 2015 clicks, prepared: SessionId, ItemId, Time by tabs", _read)
