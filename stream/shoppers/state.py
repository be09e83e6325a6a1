"""The state of the shopper stage and one batch of its events, as kernels see them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.recommend.exposures import Waiting
from stream.shoppers.duplicates import Seen
from stream.shoppers.evict import Room
from stream.state.interner import Names
from stream.state.jit import Row, kernel

APPLIED, OPENED = 1, 2
"""Bits of `Events.did`: the event changed its shopper's row, it opened a session."""

ACCEPTED, DUPLICATES, CROWDED, SESSIONS, EMPTY, EVICTED, FORGOTTEN, MERGED, EXPLORED, SUCCEEDED = range(10)
"""Positions in `Shoppers.counts`; those from `EVICTED` to `MERGED` count rows, the last two lists that
explored, and those of them whose item was taken next."""


class Shoppers(NamedTuple):
    """State of one unit as kernels see it. Row 0 of the histories stays empty: it stands for none."""

    rows: NDArray[np.void]
    names: Names
    histories: NDArray[np.void]
    next_history: NDArray[np.int64]
    room: Room
    seen: Seen
    waiting: Waiting
    clock_ms: NDArray[np.int64]
    counts: NDArray[np.int64]
    positions: NDArray[np.int64]
    """By bucket, the last offset that was in it when it was loaded: a replay changes what lies above."""


class Events(NamedTuple):
    """One batch as kernels see it: see `stream.events.decode.Batch`; `shopper` and `item` are numbers, `sold`
    that of the variant if `item` is its product; `gain` is what an event adds to sums that decay as
    popularity does, `left` what visitors left to shoppers of the batch, `shown` what its impressions say
    (`stream.shoppers.impressed`), `said` what profiles and searches say (`stream.shoppers.stated`),
    `cohorts[e]` hashes of cohorts (0: not told; no rows where no event of the batch tells any). `did`
    becomes what came of each event: bits, 0 for one that was passed over."""

    offset: NDArray[np.int64]
    ts_ms: NDArray[np.int64]
    code: NDArray[np.uint8]
    event: NDArray[np.uint64]
    session: NDArray[np.uint64]
    order: NDArray[np.uint64]
    quantity: NDArray[np.int32]
    request: NDArray[np.int64]
    shopper: NDArray[np.int32]
    item: NDArray[np.int32]
    sold: NDArray[np.int32]
    gain: NDArray[np.float64]
    left: NDArray[np.void]
    shown: NDArray[np.void]
    said: NDArray[np.void]
    cohorts: NDArray[np.uint32]
    did: NDArray[np.uint8]


@kernel
def history_of(shoppers: Shoppers, row: Row) -> Row:
    """The shopper's history for writing, made if there is none."""
    if row.history == 0:
        free = shoppers.room.free_histories
        if free[0] > 0:
            row.history = free[free[0]]
            free[0] -= 1
        else:
            shoppers.next_history[0] += 1
            row.history = shoppers.next_history[0]
    return shoppers.histories[row.history]
