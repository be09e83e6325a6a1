"""Making room: a full bucket lets go of its least valuable eighth, and who is away for long is forgotten.

Least valuable are, of the quarter that was not seen for longest, the half with the fewest events: whoever is
new has time to come again, and who came often is kept longer than who came once. Both hang on the log
alone, wherever a batch happens to end: on the bucket's own rows, and on the unit's clock (the largest event
time so far).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.row import BUCKETS
from stream.state.arena import reserve
from stream.state.interner import Names
from stream.state.jit import Row, kernel

_SHARE = 8
"""One part in eight goes at once, so that the scan for the least recent is paid once in many rows."""

MIN_SHOPPERS = BUCKETS * _SHARE
"""A bucket holds at least `_SHARE` rows, whatever the cap of the unit."""


class Room(NamedTuple):
    """Rows by bucket, the cap of one bucket, the time after which the inactive are forgotten, and the
    shoppers evicted since `evicted[0]` was reset.

    `evicted[0]` is their count, their numbers follow; `free_histories` is laid out alike. `members`, `oldest`
    and `gone` are room to choose who goes.
    """

    size: NDArray[np.int64]
    cap: int
    inactive_ms: int
    evicted: NDArray[np.int32]
    free_histories: NDArray[np.int32]
    members: NDArray[np.int32]
    oldest: NDArray[np.int32]
    gone: NDArray[np.int32]


def new_room(max_shoppers: int, capacity: int, inactive_ms: int) -> Room:
    """Room for `max_shoppers` spread over the buckets by hash; `capacity` rows exist."""
    cap = max(_SHARE, max_shoppers // BUCKETS)
    return Room(
        np.zeros(BUCKETS, np.int64),
        cap,
        inactive_ms,
        reserve(capacity + 1, np.int32),
        reserve(capacity + 1, np.int32),
        reserve(cap, np.int32),
        reserve(2 * (cap // _SHARE), np.int32),
        reserve(cap // _SHARE, np.int32),
    )


@kernel
def admit(
    room: Room, rows: NDArray[np.void], names: Names, histories: NDArray[np.void], used: int, row: Row
) -> int:
    """Count a new row in its bucket, after evicting the least valuable rows if the bucket is full; how many.

    Which rows go depends on the bucket's rows alone: the least valuable eighth, ties by the id's hash.
    A scan of all rows, about 1 ms for a million.
    """
    bucket = row.bucket
    evicted = 0
    if room.size[bucket] >= room.cap:
        evicted = _least_valuable(room, rows, names, used, bucket)
        for k in range(evicted):
            drop(room, rows[room.gone[k]], histories, room.gone[k])
    room.size[bucket] += 1
    return evicted


@kernel
def expire(
    room: Room,
    rows: NDArray[np.void],
    histories: NDArray[np.void],
    used: int,
    clock_ms: int,
    positions: NDArray[np.int64],
    offset: int,
) -> int:
    """Forget who was not seen for `room.inactive_ms`, in buckets that stand before `offset`; how many.

    A scan of all rows, about 1 ms for a million.
    """
    forgotten = 0
    for i in range(used):
        row = rows[i]
        if row.events > 0 and row.last_ts_ms < clock_ms - room.inactive_ms and positions[row.bucket] < offset:
            drop(room, row, histories, i)
            forgotten += 1
    return forgotten


@kernel
def _least_valuable(room: Room, rows: NDArray[np.void], names: Names, used: int, bucket: int) -> int:
    """Put the least valuable eighth of a bucket into `room.gone`; how many."""
    size = members_of(rows, names, used, bucket, room.members)
    wanted = size // _SHARE
    oldest = _first(rows, names, room.members, size, 2 * wanted, False, room.oldest)
    return _first(rows, names, room.oldest, oldest, wanted, True, room.gone)


@kernel
def members_of(rows: NDArray[np.void], names: Names, used: int, bucket: int, out: NDArray[np.int32]) -> int:
    """Write the numbers below `used` of a bucket's rows into `out`; how many.

    The id's hash says which bucket is its: a sixth of the bytes to go through, and the row is looked at only
    where it may count.
    """
    n = 0
    for i in range(used):
        if np.int64(names.entries[i].hash >> np.uint64(58)) == bucket and rows[i].events > 0:
            out[n] = i
            n += 1
    return n


@kernel
def _first(
    rows: NDArray[np.void],
    names: Names,
    numbers: NDArray[np.int32],
    size: int,
    wanted: int,
    by_events: bool,
    heap: NDArray[np.int32],
) -> int:
    """Put the `wanted` of the first `size` numbers that go first into `heap` (the last of them on top)."""
    n = 0
    for k in range(size):
        number, at = numbers[k], n
        if n < wanted:
            n += 1
            while at > 0 and _goes_first(rows, names, heap[(at - 1) // 2], number, by_events):
                heap[at] = heap[(at - 1) // 2]
                at = (at - 1) // 2
        elif _goes_first(rows, names, number, heap[0], by_events):
            at = 0
            while True:
                child = 2 * at + 1
                if child + 1 < n and _goes_first(rows, names, heap[child], heap[child + 1], by_events):
                    child += 1
                if child >= n or not _goes_first(rows, names, number, heap[child], by_events):
                    break
                heap[at] = heap[child]
                at = child
        else:
            continue
        heap[at] = number
    return n


@kernel
def _goes_first(rows: NDArray[np.void], names: Names, a: int, b: int, by_events: bool) -> bool:
    """Whether row `a` goes before row `b`; ties by the id's hash, never by number."""
    if by_events and rows[a].events != rows[b].events:
        return rows[a].events < rows[b].events  # type: ignore[no-any-return]
    if rows[a].last_ts_ms != rows[b].last_ts_ms:
        return rows[a].last_ts_ms < rows[b].last_ts_ms  # type: ignore[no-any-return]
    return names.entries[a].hash < names.entries[b].hash  # type: ignore[no-any-return]


@kernel
def drop(room: Room, row: Row, histories: NDArray[np.void], number: int) -> None:
    """Forget a shopper: nothing of the row is left for whoever gets its number next."""
    room.size[row.bucket] -= 1
    if row.history > 0:
        history = histories[row.history]
        history.n_bought = 0
        history.n_hidden = 0
        history.bought[:] = 0
        history.bought_event[:] = np.uint64(0)
        history.quantity[:] = 0
        history.hidden[:] = 0
        history.cart[:] = 0
        history.shown[:] = 0
        history.n_shown = 0
        history.stated[:] = 0
        history.stated_words[:] = np.uint64(0)
        room.free_histories[0] += 1
        room.free_histories[room.free_histories[0]] = row.history
    row.events = 0
    row.last_ts_ms = 0
    row.session = np.uint64(0)
    row.order = np.uint64(0)
    row.recent[:] = 0
    row.seen[:] = 0
    row.basket[:] = 0
    row.in_session = 0
    row.n_seen = 0
    row.in_basket = 0
    row.history = 0
    row.exposure = 0
    row.explored = 0
    row.hour = 0
    row.in_hour = 0
    row.crowd = False
    row.asked[:] = np.uint64(0)
    row.terms[:] = 0
    row.cohorts[:] = 0
    room.evicted[0] += 1
    room.evicted[room.evicted[0]] = number
