"""`retailrocket`: `events.csv` of the Retailrocket data set (views, carts, transactions).

The file is not in time order: it is read whole and sorted by time (stable). A transaction is a
purchase whose `transactionid` is the order. There are neither prices nor sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from stream.events.readers.base import Reader, ReadResult, RowError, columns_error
from stream.events.readers.fields import epoch_ms, event_id, identifier
from stream.events.readers.lines import Log
from stream.events.readers.rows import UNTIMED, Row, cells_of, columns, in_time_order, rows
from stream.events.types import Cart, Purchase, View

COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
TYPES: dict[str, type[View] | type[Cart] | type[Purchase]] = {
    "view": View,
    "addtocart": Cart,
    "transaction": Purchase,
}


def _read(log: Log) -> Iterator[ReadResult]:
    where = columns(log, ",", COLUMNS, "a retailrocket file")
    return _events(rows(log.lines(), ","), where)


def _events(table: Iterator[Row], where: list[int]) -> Iterator[ReadResult]:
    pick = itemgetter(*where)
    time = where[0]
    width = len(next(table)[2])

    def ts_ms(cells: list[str]) -> int:
        try:
            return epoch_ms(cells[time], 1, "timestamp") if len(cells) == width else UNTIMED
        except RowError:
            return UNTIMED

    # The text alone is kept: cells take five times its memory.
    timed = ((ts_ms(cells), (number, line)) for number, line, cells in table)
    for ts, (number, line) in in_time_order(timed):
        cells = cells_of(line, ",")
        try:
            if len(cells) != width:
                raise columns_error(len(cells), width)
            when, visitor, kind, item, order = pick(cells)
            event = TYPES.get(kind)
            if event is None:
                raise RowError("unknown-type", f"event {kind!r} is none of {', '.join(TYPES)}")
            result = event(
                event_id=event_id(line, number),
                ts=ts if ts != UNTIMED else epoch_ms(when, 1, "timestamp"),
                user_id=identifier(visitor, "visitorid"),
                item_id=identifier(item, "itemid"),
                order_id=identifier(order, "transactionid") if order else None,
            )
        except RowError as error:
            yield error.bad(line, number)
        else:
            yield result


RETAILROCKET = Reader("Retailrocket events.csv: timestamp, visitorid, event, itemid, transactionid", _read)
