"""The candidates of one list: a small hash table that stays in the first-level cache, and a column of scores
by source, so that arithmetic on all candidates is vectorised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel

LIMIT = 1000
"""Candidates held while a list is made: four items have at most 4 x (64 + 24 + 24), and 128 come by two
hops."""

_PLACES = 2048
_SHIFT = np.uint64(21)

SHARE, RECENT, LAST, STEP, HOP, BOUGHT, LED_TO, VISITED, SEEN, OWNED, SUPPORT, FILL = range(12)
"""Columns of `Pool.score`, by source.

SHARE: of the rows of the last items, the r-th last counting 1/r; RECENT: the same of the rows' last updates;
LAST: of the last item's row alone; STEP: of what came directly after the last item; HOP: of its neighbours'
neighbours; BOUGHT, LED_TO: by basket and from view to purchase; VISITED: 1/place in the shopper's window;
SEEN: looked at before that; OWNED: 1/place among what the shopper bought, the last first; SUPPORT: how many
of the last items' rows hold it; FILL: popular, where others are few.
"""

COLUMNS = 12


class Pool(NamedTuple):
    """`key` holds item numbers + 1 by hash place (0: free), `at` their candidates (-1: banned); `place` and
    `item` are by candidate; `score[s, c]` is that of source s. `size` = candidates, banned items."""

    key: NDArray[np.int32]
    at: NDArray[np.int32]
    place: NDArray[np.int32]
    item: NDArray[np.int32]
    reason: NDArray[np.uint8]
    score: NDArray[np.float32]
    banned: NDArray[np.int32]
    size: NDArray[np.int64]


def new_pool() -> Pool:
    """An empty pool, 70 KB; it is reused."""
    return Pool(
        np.zeros(_PLACES, np.int32),
        np.zeros(_PLACES, np.int32),
        np.zeros(LIMIT, np.int32),
        np.zeros(LIMIT, np.int32),
        np.zeros(LIMIT, np.uint8),
        np.zeros((COLUMNS, LIMIT), np.float32),
        np.zeros(LIMIT, np.int32),
        np.zeros(2, np.int64),
    )


@kernel
def _place(pool: Pool, item: int) -> int:
    """Where the item is, or where it would be put."""
    h = (np.uint64(item) * np.uint64(2654435769) & np.uint64(0xFFFFFFFF)) >> _SHIFT
    while pool.key[h] != 0 and pool.key[h] != item + 1:
        h = (h + np.uint64(1)) & np.uint64(_PLACES - 1)
    return h  # type: ignore[return-value]


@kernel
def find(pool: Pool, item: int) -> int:
    """The candidate that is `item`; -1 if none is."""
    h = _place(pool, item)
    return pool.at[h] if pool.key[h] != 0 else -1


@kernel
def put(pool: Pool, item: int, reason: int) -> int:
    """The candidate that is `item`, which is made for `reason` if it is new; -1 if it is banned, or the pool
    is full."""
    h = _place(pool, item)
    if pool.key[h] != 0:
        return pool.at[h]  # type: ignore[no-any-return]
    c = pool.size[0]
    if c >= LIMIT:
        return -1
    pool.size[0] = c + 1
    pool.key[h] = item + 1
    pool.at[h] = c
    pool.place[c] = h
    pool.item[c] = item
    pool.reason[c] = reason
    return c  # type: ignore[no-any-return]


@kernel
def ban(pool: Pool, item: int) -> None:
    """Keep `item` (number + 1; 0 is ignored) out of this list. Before any candidate is put in."""
    if item > 0:
        h = _place(pool, item - 1)
        if pool.key[h] == 0 and pool.size[1] < LIMIT:
            pool.key[h] = item
            pool.at[h] = -1
            pool.banned[pool.size[1]] = h
            pool.size[1] += 1


@kernel
def banned_items(pool: Pool, out: NDArray[np.int32]) -> int:
    """Write the numbers of the items that are banned to `out`; how many."""
    for k in range(pool.size[1]):
        out[k] = pool.key[pool.banned[k]] - 1
    return pool.size[1]  # type: ignore[no-any-return]


@kernel
def clear(pool: Pool) -> None:
    """Make the pool ready for the next list: touch only what this one touched."""
    n = pool.size[0]
    for k in range(pool.size[1]):
        pool.key[pool.banned[k]] = 0
    for c in range(n):
        pool.key[pool.place[c]] = 0
    for s in range(COLUMNS):
        for c in range(n):
            pool.score[s, c] = 0.0
    pool.size[0] = 0
    pool.size[1] = 0
