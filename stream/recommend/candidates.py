"""Which items could be next for a shopper: the neighbours of the last items, then what is popular."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.cooccurrence import per_weight
from stream.items.due import Wanted, push_wanted
from stream.items.row import BOUGHT, LED_TO, VIEWED
from stream.items.table import Facts
from stream.recommend.popular import Leaders
from stream.state.arena import reserve
from stream.state.jit import Row, kernel

LOOK_BACK = 4
"""Recent items whose neighbours are candidates; the r-th last counts 1/r. A fifth adds .0006 of hit rate
on one log, nothing on another, and a quarter to the cost."""

LIMIT = 1024
"""Candidates held while a list is made: four items have at most 4 x (64 + 24 + 24)."""

POOL = 40
"""Candidates that reach the ranking model, the best by plain share."""

CATEGORY, TRENDING = 3, 4
"""Reasons beside the kinds of co-occurrence."""

REASONS = ("viewed", "bought", "led_to", "category", "trending")
"""Names of reasons by code, as published."""


class Scratch(NamedTuple):
    """Working memory of one ranking, reused: `place` maps item numbers to candidates (0: none)."""

    place: NDArray[np.int32]
    item: NDArray[np.int32]
    score: NDArray[np.float64]
    parts: NDArray[np.float64]
    reason: NDArray[np.uint8]
    size: NDArray[np.int64]


def new_scratch(max_items: int) -> Scratch:
    """Scratch for items numbered below `max_items`. `parts` columns: last item, basket, purchase."""
    return Scratch(
        reserve(max_items, np.int32),
        np.zeros(LIMIT, np.int32),
        np.zeros(LIMIT),
        np.zeros((LIMIT, 3)),
        np.zeros(LIMIT, np.uint8),
        np.zeros(1, np.int64),
    )


@kernel
def ban(scratch: Scratch, item: int) -> None:
    """Keep `item` (number + 1; 0 is ignored) out of this list."""
    if item > 0:
        scratch.place[item - 1] = -1


@kernel
def clear(scratch: Scratch, shopper: Row, history: Row) -> None:
    """Make the scratch ready for the next list: touch only what this one touched."""
    for c in range(scratch.size[0]):
        scratch.place[scratch.item[c]] = 0
    scratch.size[0] = 0
    if shopper.recent[0] > 0:
        scratch.place[shopper.recent[0] - 1] = 0
    if shopper.history > 0:
        for k in range(len(history.bought)):
            if history.bought[k] > 0:
                scratch.place[history.bought[k] - 1] = 0
        for k in range(len(history.hidden)):
            if history.hidden[k] > 0:
                scratch.place[history.hidden[k] - 1] = 0


@kernel
def offer(scratch: Scratch, item: int, score: float, reason: int) -> int:
    """Add `score` to a candidate, which is made if it is new; its place, or -1 if it is banned."""
    at = scratch.place[item]
    if at < 0 or (at == 0 and scratch.size[0] >= LIMIT):
        return -1
    if at == 0:
        at = scratch.size[0] + 1
        scratch.size[0] = at
        scratch.place[item] = at
        scratch.item[at - 1] = item
        scratch.score[at - 1] = 0.0
        # One by one: assigning a slice costs more than all the rest of this function.
        scratch.parts[at - 1, 0] = 0.0
        scratch.parts[at - 1, 1] = 0.0
        scratch.parts[at - 1, 2] = 0.0
        scratch.reason[at - 1] = reason
    scratch.score[at - 1] += score
    return at - 1  # type: ignore[no-any-return]


@kernel
def _offer_row(scratch: Scratch, facts: Facts, row: Row, kind: int, rank: int, foreign: bool) -> None:
    factor = (1.0 if foreign else per_weight(row)) / (rank + 1)
    for k in range(len(row.item)):
        if row.item[k] == 0:
            break
        item = row.item[k] - 1
        if facts.withdrawn[item]:
            continue
        worth = row.weight[k] * factor
        # What has decayed to nothing is no candidate (and 0 as the best score would divide by 0).
        if worth <= 0.0:
            continue
        at = offer(scratch, item, worth, kind)
        if at < 0:
            continue
        if kind == VIEWED and rank == 0:
            scratch.parts[at, 0] = worth
        elif kind == BOUGHT:
            scratch.parts[at, 1] += worth
        elif kind == LED_TO:
            scratch.parts[at, 2] += worth


@kernel
def gather(
    scratch: Scratch,
    rows: NDArray[np.void],
    wanted: Wanted,
    facts: Facts,
    leaders: Leaders,
    shopper: Row,
    history: Row,
) -> None:
    """Fill the scratch with all candidates of one shopper.

    The item looked at now, bought and hidden items, and items that are not for sale stay out. When
    neighbours are fewer than a pool, popular items of the recent items' categories follow, then of
    the whole shop, so that a list is empty only while nothing at all is known.

    Rows that are not this worker's are used as last fetched, and queued in `wanted` to be fetched again.
    """
    if shopper.history > 0:
        for k in range(len(history.bought)):
            ban(scratch, history.bought[k])
        for k in range(len(history.hidden)):
            ban(scratch, history.hidden[k])
    ban(scratch, shopper.recent[0])
    for rank in range(LOOK_BACK):
        if shopper.recent[rank] == 0:
            break
        row = rows[shopper.recent[rank] - 1]
        if not row.owned:
            push_wanted(wanted, row, shopper.recent[rank] - 1)
        _offer_row(scratch, facts, row.viewed, VIEWED, rank, row.foreign)
        if row.bought.item[0] > 0:
            _offer_row(scratch, facts, row.bought, BOUGHT, rank, row.foreign)
        if row.led_to.item[0] > 0:
            _offer_row(scratch, facts, row.led_to, LED_TO, rank, row.foreign)
    # Below any share, in falling order: popularity only fills up.
    for rank in range(LOOK_BACK):
        if shopper.recent[rank] == 0 or scratch.size[0] >= POOL:
            break
        category = facts.category[shopper.recent[rank] - 1]
        for k in range(leaders.by_category.shape[1]):
            item = leaders.by_category[category, k]
            if item == 0:
                break
            _fill(scratch, facts, item - 1, 1e-4 / (rank + 1) / (k + 1), CATEGORY)
    for k in range(len(leaders.overall)):
        item = leaders.overall[k]
        if item == 0 or scratch.size[0] >= POOL:
            break
        _fill(scratch, facts, item - 1, 1e-6 / (k + 1), TRENDING)


@kernel
def _fill(scratch: Scratch, facts: Facts, item: int, score: float, reason: int) -> None:
    if scratch.place[item] == 0 and not facts.withdrawn[item]:
        offer(scratch, item, score, reason)
