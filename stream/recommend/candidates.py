"""Which items could be next for a shopper: neighbours of the last items and theirs, what was looked at
before, what is trending, what is new and like the last one; and where all that is little, what is popular."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.items.ahead import ask_for_best, ask_for_neighbours
from stream.items.cooccurrence import per_recent, per_step, per_weight
from stream.items.due import Wanted, push_wanted
from stream.items.facts import TRENDING as HEARD_TRENDING
from stream.items.facts import Facts, stand_in
from stream.items.joined import heaviest, is_whole, joined, want_replaced
from stream.items.row import BOUGHT as BY_BASKET
from stream.items.row import LED_TO as BY_PURCHASE
from stream.items.row import VIEWED as BY_VIEW
from stream.recommend.cold import POPULAR, start_cold
from stream.recommend.pool import (
    BOUGHT,
    FILL,
    HOP,
    LAST,
    LED_TO,
    LOOK_BACK,
    OWNED,
    RECENT,
    SEEN,
    SHARE,
    STEP,
    VISITED,
    Pool,
    ban,
    fill,
    first_slot,
    put,
)
from stream.recommend.popular import Leaders
from stream.recommend.sources import POPULARITY, TREND
from stream.state.jit import Row, small_kernel

NEAREST = (48, 24, 16, 16)
"""Neighbours read of each of them, the best: a row of `VIEWED_TOGETHER` is in falling order."""

VIA, OF_EACH = 8, 16
"""The last item's best neighbours whose own best neighbours are candidates, and how many of each: where rows
are thin, the second step finds what nobody took at once (-.013 of hit rate without, -.08 where sessions are
short)."""

TRENDING_ITEMS, TRENDING_SHARE = 64, 0.002
"""Trending items among the candidates, and the share of all late events that each must have: on a news site
they are half of what is read next, in a shop of many items there are few of them."""

ENOUGH = 40
"""Candidates below which popular items follow."""

CATEGORY, TRENDING, RELATED, AGAIN, PINNED = 3, 4, 5, 6, 7
"""Reasons beside the kinds of co-occurrence, and those of `stream.recommend.cold` and of
`stream.recommend.in_cohort`."""

REASONS = (
    "viewed", "bought", "led_to", "category", "trending", "related", "again", "pinned",
    "alike", "interest", "new", "popular",
    "cohort",
)  # fmt: skip
"""Names of reasons by code, as published."""


@small_kernel
def ask_ahead(rows: NDArray[np.void], shopper: Row, item: int) -> None:
    """Ask for the rows that a list of this shopper will read, if `item` (a number, -1: none) is looked at
    before."""
    rank = 0
    if item >= 0 and shopper.recent[0] != item + 1:
        ask_for_neighbours(rows, item, NEAREST[0], True)
        rank = 1
    for k in range(LOOK_BACK - rank):
        if shopper.recent[k] == 0:
            break
        ask_for_neighbours(rows, shopper.recent[k] - 1, NEAREST[k + rank], k + rank == 0)


@small_kernel
def ask_for_second_step(rows: NDArray[np.void], item: int) -> None:
    """Ask for the rows of the best neighbours of `item`, whose own row is there."""
    best = rows[item].viewed.item
    for n in range(VIA):
        if best[n] == 0:
            break
        ask_for_best(rows, best[n] - 1, OF_EACH)


@small_kernel
def gather(
    pool: Pool,
    uses: NDArray[np.bool_],
    rows: NDArray[np.void],
    wanted: Wanted,
    facts: Facts,
    leaders: Leaders,
    shopper: Row,
    history: Row,
) -> None:
    """Fill the pool with all candidates of one shopper, of the sources that are used
    (`stream.recommend.sources`).

    The item looked at now, hidden items, and items that are not for sale stay out. Bought ones are marked:
    where shoppers buy the same again, the model has learned so, and the plain order leaves them out. When
    others are few, popular items of the recent items' categories follow, then of the whole shop, so that a
    list is empty only while nothing at all is known.

    Rows that are not this worker's are used as last fetched, and queued in `wanted` to be fetched again.
    """
    if shopper.history > 0:
        for k in range(len(history.hidden)):
            ban(pool, facts, history.hidden[k])
    ban(pool, facts, shopper.recent[0])
    _neighbours(pool, uses, rows, wanted, facts, shopper)
    if uses[HOP] and shopper.recent[0] > 0:
        _two_hops(pool, rows, wanted, facts, row_read(pool, rows, facts, shopper.recent[0] - 1, 0))
    start_cold(pool, uses, facts, leaders, shopper, history)
    if uses[POPULARITY] and pool.size[0] < ENOUGH:
        _fill_up(pool, facts, leaders, shopper)
    if uses[TREND]:
        _trending(pool, facts)
    if uses[VISITED]:
        _visited(pool, facts, shopper)
    if uses[SEEN]:
        _seen(pool, facts, shopper)
    if uses[OWNED] and shopper.history > 0:
        _owned(pool, facts, history)


@small_kernel
def row_read(pool: Pool, rows: NDArray[np.void], facts: Facts, item: int, rank: int) -> Row:
    """The row of a last item as `gather` has read it; `rank`: 0 is the item looked at now."""
    if facts.stands[0] == 0:
        return rows[item]
    number = stand_in(facts, item)
    if facts.also[number] > 0 and not is_whole(rows[number]):
        return pool.joined.row[rank]
    return rows[number]


@small_kernel
def _neighbours(
    pool: Pool, uses: NDArray[np.bool_], rows: NDArray[np.void], wanted: Wanted, facts: Facts, shopper: Row
) -> None:
    by_view = uses[SHARE] or uses[RECENT] or uses[LAST] or uses[STEP]
    for rank in range(LOOK_BACK):
        if shopper.recent[rank] == 0:
            break
        number = stand_in(facts, shopper.recent[rank] - 1)
        row = rows[number]
        if not row.owned:
            push_wanted(wanted, row, number)
        if facts.also[number] > 0:
            want_replaced(wanted, rows, facts, number)
            row = joined(rows, facts, number, pool.joined, rank)
        if by_view:
            _viewed_together(pool, facts, row.viewed, rank, row.foreign)
        if uses[BOUGHT] and row.bought.item[0] > 0:
            _together(pool, facts, row.bought, rank, row.foreign, BY_BASKET, BOUGHT)
        if uses[LED_TO] and row.led_to.item[0] > 0:
            _together(pool, facts, row.led_to, rank, row.foreign, BY_PURCHASE, LED_TO)


@small_kernel
def _viewed_together(pool: Pool, facts: Facts, row: Row, rank: int, foreign: bool) -> None:
    by = np.float32(1.0 / (rank + 1))
    weight = by if foreign else np.float32(by * per_weight(row))
    recent = by if foreign else np.float32(by * per_recent(row))
    step = np.float32(1.0 if foreign else per_step(row))
    slot = first_slot(BY_VIEW, rank)
    for k in range(NEAREST[rank]):
        # What has decayed to nothing is no candidate.
        if row.item[k] == 0 or row.weight[k] <= 0.0:
            break
        c = put(pool, facts, row.item[k] - 1, BY_VIEW)
        if c < 0:
            continue
        if pool.by[c] == 0:
            pool.by[c] = slot + k
        share = row.weight[k] * weight
        pool.score[SHARE, c] += share
        pool.score[RECENT, c] += row.recent[k] * recent
        if rank == 0:
            # Two ids may be one item.
            pool.score[LAST, c] += share
            pool.score[STEP, c] += row.step[k] * step


@small_kernel
def _together(pool: Pool, facts: Facts, row: Row, rank: int, foreign: bool, kind: int, column: int) -> None:
    factor = np.float32((1.0 if foreign else per_weight(row)) / (rank + 1))
    slot = first_slot(kind, rank)
    for k in range(len(row.item)):
        if row.item[k] == 0:
            break
        if row.weight[k] <= 0.0:
            continue
        c = put(pool, facts, row.item[k] - 1, kind)
        if c >= 0:
            pool.score[column, c] += row.weight[k] * factor
            if pool.by[c] == 0:
                pool.by[c] = slot + k


@small_kernel
def _two_hops(pool: Pool, rows: NDArray[np.void], wanted: Wanted, facts: Facts, last: Row) -> None:
    """Add P(v | last) P(c | v) over the last item's best neighbours v."""
    mine = np.float32(1.0 if last.foreign else per_weight(last.viewed))
    for n in range(VIA):
        if last.viewed.item[n] == 0:
            break
        number = stand_in(facts, last.viewed.item[n] - 1)
        row = heaviest(rows, facts, number)
        if not row.owned and not row.foreign:
            # Only what nothing is known of: rows of last items are refreshed in their own turn.
            push_wanted(wanted, row, number)
        via = row.viewed
        share = last.viewed.weight[n] * mine
        if via.item[0] == 0 or share <= 0.0:
            continue
        by = share if row.foreign else np.float32(share * per_weight(via))
        for k in range(OF_EACH):
            if via.item[k] == 0:
                break
            if via.weight[k] <= 0.0:
                continue
            c = put(pool, facts, via.item[k] - 1, RELATED)
            if c >= 0:
                pool.score[HOP, c] += via.weight[k] * by


@small_kernel
def _trending(pool: Pool, facts: Facts) -> None:
    least = TRENDING_SHARE * facts.heard[HEARD_TRENDING]
    for k in range(TRENDING_ITEMS):
        if facts.hot[k] == 0 or facts.item[facts.hot[k] - 1].trending < least:
            break
        c = put(pool, facts, facts.hot[k] - 1, TRENDING)
        if c >= 0 and pool.score[FILL, c] == 0.0:
            pool.score[FILL, c] = np.float32(1e-7 / (k + 1))


@small_kernel
def _visited(pool: Pool, facts: Facts, shopper: Row) -> None:
    """Items of the window: they are often come back to."""
    for r in range(1, len(shopper.recent)):
        if shopper.recent[r] == 0:
            break
        c = put(pool, facts, shopper.recent[r] - 1, AGAIN)
        if c >= 0:
            pool.score[VISITED, c] = np.float32(1.0 / r)


@small_kernel
def _seen(pool: Pool, facts: Facts, shopper: Row) -> None:
    """Items of long ago."""
    for k in range(len(shopper.seen)):
        if shopper.seen[k] > 0:
            c = put(pool, facts, shopper.seen[k] - 1, AGAIN)
            if c >= 0:
                pool.score[SEEN, c] = np.float32(1.0)


@small_kernel
def _owned(pool: Pool, facts: Facts, history: Row) -> None:
    """What the shopper has bought."""
    slots = len(history.bought)
    for k in range(min(history.n_bought, slots)):
        item = history.bought[(history.n_bought - 1 - k) % slots] - 1
        if item >= 0:
            c = put(pool, facts, item, AGAIN)
            if c >= 0:
                pool.score[OWNED, c] = max(pool.score[OWNED, c], np.float32(1.0 / (k + 1)))


@small_kernel
def _fill_up(pool: Pool, facts: Facts, leaders: Leaders, shopper: Row) -> None:
    """Below any share, in falling order: popularity only fills up."""
    for rank in range(LOOK_BACK):
        if shopper.recent[rank] == 0 or pool.size[0] >= ENOUGH:
            break
        category = facts.item[shopper.recent[rank] - 1].category
        for k in range(leaders.by_category.shape[1]):
            item = leaders.by_category[category, k]
            if item == 0:
                break
            fill(pool, facts, item - 1, 1e-4 / (rank + 1) / (k + 1), CATEGORY)
    for k in range(len(leaders.overall)):
        item = leaders.overall[k]
        if item == 0 or pool.size[0] >= ENOUGH:
            break
        fill(pool, facts, item - 1, 1e-6 / (k + 1), POPULAR)
