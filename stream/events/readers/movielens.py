"""`movielens`: ratings of MovieLens in the forms it is passed around in.

======================================  ==================================================
RecBole ``.inter``                      header ``user_id:token item_id:token ...``, tabs
``u.data`` (100K)                       no header, tabs
``ratings.dat`` (1M, 10M)               no header, ``::``
``ratings.csv`` (20M, 25M, latest)      header ``userId,movieId,rating,timestamp``
======================================  ==================================================

All hold shopper, item, rating and epoch seconds in this order, grouped by shopper or in no order at
all: the file is read whole and sorted by time (stable).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stream.errors import InputError
from stream.events.readers.base import Reader, ReadResult, RowError, columns_error
from stream.events.readers.fields import epoch_ms, event_id, identifier, number
from stream.events.readers.lines import Log
from stream.events.readers.rows import MS_PER_S, UNTIMED, in_time_order
from stream.events.types import Rating

HEADERS = {
    "user_id:token\titem_id:token\trating:float\ttimestamp:float": "\t",
    "userId,movieId,rating,timestamp": ",",
}
RATING_MAX = 100.0
_BARE = re.compile(r"\d+(\t|::)\d+\1[\d.]+\1\d+")
_WIDTH = 4


def _read(log: Log) -> Iterator[ReadResult]:
    delimiter = HEADERS.get(log.first)
    if delimiter is not None:
        return _events(log, delimiter, skip=1)
    bare = _BARE.fullmatch(log.first)
    if bare is not None:
        return _events(log, bare[1], skip=0)
    raise InputError(
        f"{log.path} is not a movielens file: its first line must be a RecBole .inter header, the header of "
        f"ratings.csv or a rating of u.data or ratings.dat, and is {log.first[:120] or 'nothing'!r}; choose "
        "another --format, or describe the file in a mapping file."
    )


def _events(log: Log, delimiter: str, skip: int) -> Iterator[ReadResult]:
    def ts_ms(line: str) -> int:
        try:
            return epoch_ms(line.rsplit(delimiter, 1)[-1], MS_PER_S, "timestamp")
        except RowError:
            return UNTIMED

    timed = ((ts_ms(line), (row, line)) for row, line in enumerate(log.lines(), 1) if line and row > skip)
    for ts, (row, line) in in_time_order(timed):
        cells = line.split(delimiter)
        try:
            if len(cells) != _WIDTH:
                raise columns_error(len(cells), _WIDTH)
            user, item, stars, when = cells
            rating = number(stars, "rating")
            if not 0.0 <= rating <= RATING_MAX:
                raise RowError("invalid-field", f"rating {stars!r} is not between 0 and {RATING_MAX:.0f}")
            result = Rating(
                event_id=event_id(line, row),
                ts=ts if ts != UNTIMED else epoch_ms(when, MS_PER_S, "timestamp"),
                user_id=identifier(user, "user_id"),
                item_id=identifier(item, "item_id"),
                rating=rating,
            )
        except RowError as error:
            yield error.bad(line, row)
        else:
            yield result


MOVIELENS = Reader("MovieLens ratings: RecBole .inter, u.data, ratings.dat or ratings.csv", _read)
