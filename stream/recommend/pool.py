"""The candidates of one list, and a column of scores by source, so that arithmetic on all candidates is
vectorised. Which candidate an item is, is marked beside its facts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import BANNED, ELSEWHERE, Facts, stand_in
from stream.items.joined import Joined, new_joined
from stream.state.jit import kernel, small_kernel

LIMIT = 512
"""Candidates held while a list is made; some 200 are usual."""

BANNED_MOST = 2048
"""Items kept out of a list: what a request does not want, and what its shopper hid, bought or has in the
cart."""

SHARE, RECENT, LAST, STEP, HOP, BOUGHT, LED_TO, VISITED, SEEN, OWNED, FILL = range(11)
"""Columns of `Pool.score`, by source.

SHARE: of the rows of the last items, the r-th last counting 1/r; RECENT: the same of the rows' last updates;
LAST: of the last item's row alone; STEP: of what came directly after the last item; HOP: of its neighbours'
neighbours; BOUGHT, LED_TO: by basket and from view to purchase; VISITED: 1/place in the shopper's window;
SEEN: looked at before that; OWNED: 1/place among what the shopper bought, the last first; FILL: popular,
where others are few.
"""

COLUMNS = 11

LOOK_BACK = 4
"""Recent items whose neighbours are candidates; the r-th last counts 1/r. A fifth adds .0006 of hit rate
on one log, nothing on another, and a quarter to the cost."""


class Pool(NamedTuple):
    """Item numbers and reasons by candidate; `score[s, c]` is that of source s, never negative, and `bits`
    the same seen as integers, which have the same order. `by`: as which neighbour of a last item it was first
    put (`put_by`). `banned`: item numbers; `size` = candidates, banned items; `joined`: rows of last items
    that replace others."""

    item: NDArray[np.int32]
    reason: NDArray[np.uint8]
    score: NDArray[np.float32]
    bits: NDArray[np.int32]
    by: NDArray[np.int16]
    banned: NDArray[np.int32]
    size: NDArray[np.int64]
    joined: Joined


def new_pool() -> Pool:
    """An empty pool, 55 KB; it is reused."""
    score = np.zeros((COLUMNS, LIMIT), np.float32)
    return Pool(
        np.zeros(LIMIT, np.int32),
        np.zeros(LIMIT, np.uint8),
        score,
        score.view(np.int32),
        np.zeros(LIMIT, np.int16),
        np.zeros(BANNED_MOST, np.int32),
        np.zeros(2, np.int64),
        new_joined(LOOK_BACK),
    )


@small_kernel
def put(pool: Pool, facts: Facts, item: int, reason: int) -> int:
    """The candidate that is `item`, or stands for it, which is made for `reason` if it is new; -1 if it is
    banned or withdrawn, or the pool is full."""
    known, n = int(facts.mark[item]), int(pool.size[0])
    if known == ELSEWHERE:
        item = facts.item[item].stands_for - 1
        known = int(facts.mark[item])
    if known > 0:
        return known - 1 if known != BANNED else -1
    if facts.item[item].withdrawn or n >= LIMIT:
        return -1
    facts.mark[item] = n + 1
    pool.item[n] = item
    pool.reason[n] = reason
    pool.size[0] = n + 1
    return n


_SLOT_BITS, _RANK_BITS = 7, 2


@small_kernel
def first_slot(kind: int, rank: int) -> int:
    """As `Pool.by`: slot 0 among the neighbours of `kind` of the last item but `rank`; slot k is k more."""
    return ((kind << _RANK_BITS | rank) << _SLOT_BITS) + 1


@small_kernel
def put_by(pool: Pool, c: int) -> tuple[int, int, int]:
    """Kind, rank and slot of the neighbour as which a candidate was first put; slot -1 if it was none."""
    by = int(pool.by[c]) - 1
    if by < 0:
        return 0, 0, -1
    return (
        by >> (_SLOT_BITS + _RANK_BITS),
        by >> _SLOT_BITS & ((1 << _RANK_BITS) - 1),
        by & ((1 << _SLOT_BITS) - 1),
    )


@small_kernel
def ban(pool: Pool, facts: Facts, item: int) -> None:
    """Keep `item` (number + 1; 0 is ignored) out of this list. Before any candidate is put in."""
    if item <= 0:
        return
    number = stand_in(facts, item - 1)
    if facts.mark[number] == 0 and pool.size[1] < len(pool.banned):
        facts.mark[number] = BANNED
        pool.banned[pool.size[1]] = number
        pool.size[1] += 1


@small_kernel
def clear(pool: Pool, facts: Facts) -> None:
    """Make the pool ready for the next list: touch only what this one touched."""
    n = pool.size[0]
    for k in range(pool.size[1]):
        facts.mark[pool.banned[k]] = 0
    for c in range(n):
        facts.mark[pool.item[c]] = 0
    for s in range(COLUMNS):
        for c in range(n):
            pool.score[s, c] = 0.0
    for c in range(n):
        pool.by[c] = 0
    pool.size[0] = 0
    pool.size[1] = 0


@kernel
def fill(pool: Pool, facts: Facts, item: int, score: float, reason: int) -> None:
    """Put in a candidate that only fills up, or raise its score for that."""
    c = put(pool, facts, item, reason)
    if c >= 0:
        pool.score[FILL, c] = max(pool.score[FILL, c], np.float32(score))
