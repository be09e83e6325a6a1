"""Item-to-item lists for publication: what goes with an item, by view and by basket."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.items.cooccurrence import per_recent, per_step, per_weight
from stream.items.distinct import publishable
from stream.items.facts import Facts
from stream.items.joined import Joined, joined, names_replaced
from stream.items.row import BOUGHT, VIEWED
from stream.recommend.encode import Evidence, Lists
from stream.recommend.rank import LENGTH
from stream.state.interner import Names
from stream.state.jit import Row, kernel, long_kernel


@kernel
def _insert(
    lists: Lists, n: int, names: Names, item: int, score: np.float32, shoppers: int, kind: int
) -> None:
    """Insert into list `n`, kept sorted; ties by the id's hash."""
    at = lists.size[n]
    if at == LENGTH:
        if not _before(lists, n, names, item, score, at - 1):
            return
        at -= 1
    else:
        lists.size[n] += 1
    while at > 0 and _before(lists, n, names, item, score, at - 1):
        lists.item[n, at] = lists.item[n, at - 1]
        lists.score[n, at] = lists.score[n, at - 1]
        lists.shoppers[n, at] = lists.shoppers[n, at - 1]
        at -= 1
    lists.item[n, at] = item
    lists.score[n, at] = score
    lists.shoppers[n, at] = shoppers
    lists.reason[n, at] = kind


@kernel
def _before(lists: Lists, n: int, names: Names, item: int, score: np.float32, at: int) -> bool:
    """Whether `item` goes before the one at place `at`; ties by the id's hash."""
    if score != lists.score[n, at]:
        return score > lists.score[n, at]  # type: ignore[no-any-return]
    return names.entries[item]["hash"] < names.entries[lists.item[n, at]]["hash"]  # type: ignore[no-any-return]


@kernel
def _fill(lists: Lists, n: int, facts: Facts, names: Names, row: Row, kind: int) -> None:
    lists.size[n] = 0
    factor = per_weight(row)
    for k in range(len(row.item)):
        if row.item[k] == 0:
            break
        item = row.item[k] - 1
        # As it is kept: compared in more digits than that, equals would not be equal.
        score = np.float32(row.weight[k] * factor)
        if score > 0 and not facts.item[item].withdrawn:
            _insert(lists, n, names, item, score, publishable(row.shoppers[k]), kind)
    for k in range(lists.size[n]):
        lists.reason[n, k] = kind


@kernel
def _tell(evidence: Evidence, viewed: Lists, n: int, row: Row) -> None:
    recent, step = per_recent(row), per_step(row)
    evidence.events[n] = row.total / row.gain if row.gain > 0.0 else 0.0
    evidence.steps[n] = row.step_total / row.gain if row.gain > 0.0 else 0.0
    for k in range(viewed.size[n]):
        for slot in range(len(row.item)):
            if row.item[slot] == viewed.item[n, k] + 1:
                evidence.recent[n, k] = row.recent[slot] * recent
                evidence.next[n, k] = row.step[slot] * step
                break


@long_kernel
def fill_lists(
    viewed: Lists,
    evidence: Evidence,
    bought: Lists,
    rows: NDArray[np.void],
    facts: Facts,
    names: Names,
    numbers: NDArray[np.int32],
    room: Joined,
) -> None:
    """Neighbours of each item by view and by basket, best first, at most `LENGTH`; about 2 µs an item.

    Where an item stands for others, what was counted of those is among it: `room` is for one such row."""
    for n in range(len(numbers)):
        row = rows[numbers[n]]
        if facts.stands[0] and (facts.also[numbers[n]] > 0 or names_replaced(row, facts)):
            row = joined(rows, facts, numbers[n], room, 0)
        _fill(viewed, n, facts, names, row.viewed, VIEWED)
        _tell(evidence, viewed, n, row.viewed)
        _fill(bought, n, facts, names, row.bought, BOUGHT)
