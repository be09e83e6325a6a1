"""Rows of items that replace others: what was counted under the old ids, and what is counted now, in one.

Counts are not moved when an item is renamed: the old id's row may be another worker's, and a unit is a
function of its log. They are added up where they are read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.cooccurrence import RECENT_UPDATES, SHRINK, STEP_SHRINK
from stream.items.due import Wanted, push_wanted
from stream.items.facts import ELSEWHERE, Facts, stand_in
from stream.items.row import ITEM
from stream.state.jit import Row, kernel

CHAIN = 64
"""Rows of one item that are read: as many as one item may replace."""

_LONG_AGO = 10.0 * RECENT_UPDATES
"""Updates of the item's own row after which the old ones' recent sums are worth nothing (e^-10)."""


MET = 512
"""Different neighbours that are told apart while one row is joined; the heaviest of them are kept."""


class Joined(NamedTuple):
    """Rows that were joined, and room to join one: neighbours met so far, and an order of them."""

    row: NDArray[np.void]
    item: NDArray[np.int32]
    weight: NDArray[np.float32]
    step: NDArray[np.float32]
    recent: NDArray[np.float32]
    shoppers: NDArray[np.uint32]
    order: NDArray[np.int32]
    met: NDArray[np.int64]


def new_joined(rows: int) -> Joined:
    """Room for so many rows: 3 KB each, and 12 KB."""
    numbers, sums = np.zeros((2, MET), np.int32), np.zeros((3, MET), np.float32)
    return Joined(
        np.zeros(rows, ITEM), numbers[0], sums[0], sums[1], sums[2], np.zeros(MET, np.uint32), numbers[1],
        np.zeros(1, np.int64),
    )  # fmt: skip


@kernel
def is_whole(row: Row) -> bool:
    """Whether it is a copy of what another worker published, who has joined it already."""
    return row.foreign and row.viewed.item[0] > 0  # type: ignore[no-any-return]


@kernel
def joined(rows: NDArray[np.void], facts: Facts, number: int, room: Joined, place: int) -> Row:
    """The row of an item together with those of the items it replaces, as row `place` of `room`.

    Neighbours are what stands for them, each once, without the item itself. As if all events had named the
    new id, to rounding and to the recent sums, where ids lived side by side. 2 to 10 µs, the more the fuller
    the rows are and the less they have in common. Where nothing is joined (`Facts.also`), do not call it.
    """
    first, out = rows[number], room.row[place]
    if is_whole(first):
        return first
    out.foreign = False
    out.owned = True
    # A row that another stands for is told as it is: who joins it joins what it replaced as well.
    chain = CHAIN if facts.mark[number] != ELSEWHERE else 1
    viewed, bought, led_to = out.viewed, out.bought, out.led_to
    viewed.total = viewed.step_total = viewed.recent_total = bought.total = led_to.total = 0.0
    viewed.gain = bought.gain = led_to.gain = 0.0
    viewed.recent_gain = first.viewed.recent_gain if first.viewed.recent_gain > 0.0 else 1.0
    at, left = number + 1, chain
    while at > 0 and left > 0:
        row = rows[at - 1]
        if row.owned:
            viewed.gain = max(viewed.gain, row.viewed.gain)
            bought.gain = max(bought.gain, row.bought.gain)
            led_to.gain = max(led_to.gain, row.led_to.gain)
        at, left = facts.also[at - 1], left - 1
    _see_gain(viewed)
    _see_gain(bought)
    _see_gain(led_to)
    at, left = number + 1, chain
    recent = 1.0
    while at > 0 and left > 0:
        row = rows[at - 1]
        if at != number + 1 and row.viewed.recent_gain > 0.0:
            # In the units of the row that went on where this one had ended.
            recent /= row.viewed.recent_gain
        _meet_viewed(viewed, row.viewed, row.foreign, facts, number, recent, room)
        if first.viewed.total > _LONG_AGO * viewed.gain:
            recent = 0.0
        at, left = facts.also[at - 1], left - 1
    _keep(viewed, facts, room)
    for k in range(min(room.met[0], len(viewed.item))):
        viewed.step[k] = room.step[room.order[k]]
        viewed.recent[k] = room.recent[room.order[k]]
    room.met[0] = 0
    at, left = number + 1, chain
    while at > 0 and left > 0:
        _meet(bought, rows[at - 1].bought, rows[at - 1].foreign, facts, number, room)
        at, left = facts.also[at - 1], left - 1
    _keep(bought, facts, room)
    room.met[0] = 0
    at, left = number + 1, chain
    while at > 0 and left > 0:
        _meet(led_to, rows[at - 1].led_to, rows[at - 1].foreign, facts, number, room)
        at, left = facts.also[at - 1], left - 1
    _keep(led_to, facts, room)
    room.met[0] = 0
    return out


@kernel
def _place(room: Joined, facts: Facts, item: int) -> int:
    """Where `item` is among those met; -1 if there is no room for it."""
    if facts.met[item] > 0:
        return int(facts.met[item]) - 1
    n = room.met[0]
    if n >= MET:
        return -1
    facts.met[item] = n + 1
    room.item[n] = item
    room.weight[n] = 0.0
    room.step[n] = 0.0
    room.recent[n] = 0.0
    room.shoppers[n] = 0
    room.met[0] = n + 1
    return n  # type: ignore[no-any-return]


@kernel
def _keep(out: Row, facts: Facts, room: Joined) -> None:
    """Put the heaviest of those met into a row, in falling order (Shell's sort: they come in sorted runs)."""
    n, order, weight = room.met[0], room.order, room.weight
    for k in range(n):
        order[k] = k
        facts.met[room.item[k]] = 0
    gap = 121
    while gap > 0:
        for k in range(gap, n):
            c, j = order[k], k
            while j >= gap and weight[order[j - gap]] < weight[c]:
                order[j] = order[j - gap]
                j -= gap
            order[j] = c
        gap //= 3
    slots = len(out.item)
    for k in range(min(n, slots)):
        out.item[k] = room.item[order[k]] + 1
        out.weight[k] = weight[order[k]]
        out.error[k] = 0.0
        out.shoppers[k] = room.shoppers[order[k]]
    for k in range(n, slots):
        out.item[k] = 0


@kernel
def _meet(out: Row, row: Row, foreign: bool, facts: Facts, number: int, room: Joined) -> None:
    """Add one row's neighbours to those met."""
    # A copy's weights are shares: times what they are shares of.
    by = np.float32((row.total + SHRINK) * out.gain if foreign else 1.0)
    out.total += row.total * out.gain if foreign else row.total
    for k in range(len(row.item)):
        if row.item[k] == 0:
            break
        item, weight = stand_in(facts, row.item[k] - 1), row.weight[k] * by
        if item == number:
            out.total -= weight
            continue
        at = _place(room, facts, item)
        if at >= 0:
            room.weight[at] += weight
            room.shoppers[at] |= row.shoppers[k]


@kernel
def _meet_viewed(
    out: Row, row: Row, foreign: bool, facts: Facts, number: int, recent: float, room: Joined
) -> None:
    """As `_meet`; `recent`: what the row's recent sums are worth."""
    by, by_step, by_recent = np.float32(1.0), np.float32(1.0), np.float32(recent)
    if foreign:
        recent_total = min(row.total, np.float32(RECENT_UPDATES))
        by = np.float32((row.total + SHRINK) * out.gain)
        by_step = np.float32((row.step_total + STEP_SHRINK) * out.gain)
        by_recent = np.float32((recent_total + SHRINK) * recent)
        out.total += row.total * out.gain
        out.step_total += row.step_total * out.gain
        out.recent_total += recent_total * recent
    else:
        out.total += row.total
        out.step_total += row.step_total
        out.recent_total += row.recent_total * by_recent
    for k in range(len(row.item)):
        if row.item[k] == 0:
            break
        item, weight = stand_in(facts, row.item[k] - 1), row.weight[k] * by
        if item == number:
            out.total -= weight
            out.step_total -= row.step[k] * by_step
            out.recent_total -= row.recent[k] * by_recent
            continue
        at = _place(room, facts, item)
        if at >= 0:
            room.weight[at] += weight
            room.step[at] += row.step[k] * by_step
            room.recent[at] += row.recent[k] * by_recent
            room.shoppers[at] |= row.shoppers[k]


@kernel
def heaviest(rows: NDArray[np.void], facts: Facts, number: int) -> Row:
    """Of the rows of an item and of those it replaces, the one with the most events."""
    best = rows[number]
    if facts.stands[0] == 0:
        return best
    most = best.viewed.total / max(best.viewed.gain, np.float32(1e-30)) if facts.also[number] > 0 else 0.0
    at, left = facts.also[number], CHAIN
    while at > 0 and left > 0:
        row = rows[at - 1]
        events = row.viewed.total / max(row.viewed.gain, np.float32(1e-30))
        if row.viewed.item[0] > 0 and (events > most or best.viewed.item[0] == 0):
            best, most = row, events
        at, left = facts.also[at - 1], left - 1
    return best


@kernel
def want_replaced(wanted: Wanted, rows: NDArray[np.void], facts: Facts, number: int) -> None:
    """Queue other workers' rows of the items that `number` replaces, of which no copy is here."""
    if is_whole(rows[number]):
        return
    at, left = facts.also[number], CHAIN
    while at > 0 and left > 0:
        if not rows[at - 1].owned and not rows[at - 1].foreign:
            push_wanted(wanted, rows[at - 1], at - 1)
        at, left = facts.also[at - 1], left - 1


@kernel
def names_replaced(row: Row, facts: Facts) -> bool:
    """Whether another item stands for any of the neighbours that are published; 100 ns."""
    for k in range(len(row.viewed.item)):
        if row.viewed.item[k] == 0:
            break
        if facts.mark[row.viewed.item[k] - 1] == ELSEWHERE:
            return True
    for k in range(len(row.bought.item)):
        if row.bought.item[k] > 0 and facts.mark[row.bought.item[k] - 1] == ELSEWHERE:
            return True
    return False


@kernel
def _see_gain(row: Row) -> None:
    """Where nothing but copies of other workers' rows is there, an event is worth 1, as in them."""
    if row.gain == 0.0:
        row.gain = 1.0
