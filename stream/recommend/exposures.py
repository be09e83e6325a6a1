"""What was published to a sample of shoppers, kept until their next step tells how good it was.

A ring of fixed size a unit. When what came of a list is known it is *labelled*: where did the item that
was taken stand in the published list, in the plain list, among the popular items? That is the live quality,
and the list with its features is what the ranking model learns from.

What comes of a list: an event whose `request_id` is the list's version; else, where no impression said
that the list was seen, the shopper's next item. A list may be labelled again, by a cart and a purchase.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import CART, PURCHASE
from stream.recommend.features import HELD, N_FEATURES, Description
from stream.recommend.pool import Pool
from stream.recommend.popular import Leaders
from stream.recommend.rank import KEPT, LENGTH, Ranking
from stream.state.jit import Row, kernel

RING = 2048
"""Lists that wait for their label, a unit: 2,048 x 2.2 KB = 4.5 MB."""

WINDOW_MS = 30 * 60_000
"""A list that led to nothing within 30 minutes is dropped unlabelled."""

BY_OFFSET = 8192
"""Places of the table that finds a waiting list by its offset. Of two lists so many offsets apart the later
one has the place: with a fiftieth of lists measured that is one in fifty of those still in the ring."""

NOT_SHOWN = 255
"""Position of what no impression has named; positions from 254 on are all 254."""

CLICKED, IN_CART, BOUGHT = 1, 2, 4
"""Bits of what a candidate of a list has led to: each of them teaches once."""

STEPS_PER_UNIT = 2048.0
"""Features are kept as int16 in steps of 1/2048: all of them are less than 16."""

EXPOSURE = np.dtype(
    [
        ("shopper", np.int32),
        ("size", np.int32),
        ("offset", np.int64),
        ("ts_ms", np.int64),
        ("active", np.bool_),
        ("confirmed", np.bool_),
        ("labelled", np.bool_),
        ("context", np.uint8, (HELD,)),
        ("item", np.int32, (KEPT,)),
        ("plain_place", np.uint8, (KEPT,)),
        ("shown", np.uint8, (KEPT,)),
        ("led_to", np.uint8, (KEPT,)),
        ("value", np.int16, (KEPT, N_FEATURES)),
    ],
    align=True,
)
"""One waiting list, in the model's order. `shown` holds positions once an impression event `confirmed` it."""


class Waiting(NamedTuple):
    """The lists of a unit that wait: the ring, slots taken so far, and by an offset's last bits slot + 1."""

    ring: NDArray[np.void]
    next_slot: NDArray[np.int64]
    by_offset: NDArray[np.int32]


def new_waiting(ring: NDArray[np.void]) -> Waiting:
    """No list waits yet; `ring`: `RING` rows of `EXPOSURE`."""
    return Waiting(ring, np.zeros(1, np.int64), np.zeros(BY_OFFSET, np.int32))


class Examples(NamedTuple):
    """Labelled lists of one batch: of the first ``filled[0]`` rows the model learns (`value` in steps,
    `taken` the candidate that was taken, `weight` what that is worth, `shown` positions, `again` 1 where the
    list was labelled before); ``filled[1]`` rows of `places`, one for a list's first label."""

    value: NDArray[np.int16]
    context: NDArray[np.uint8]
    size: NDArray[np.uint8]
    taken: NDArray[np.uint8]
    weight: NDArray[np.uint8]
    shown: NDArray[np.uint8]
    again: NDArray[np.uint8]
    places: NDArray[np.int16]
    filled: NDArray[np.int64]


PUBLISHED, PLAIN, MODEL, POPULAR = 0, 1, 2, 3
"""Columns of `Examples.places`: place of the item that came, from 0; -1 if it was not among the first
`LENGTH`. The model's place is known also while its order is not the one that is published; the plain one
only of the model's first `KEPT`."""

WORTH = np.ones(256, np.uint8)
WORTH[CART], WORTH[PURCHASE] = 3, 10
"""Weight of what a list led to, by the event's code."""


def new_examples(events: int) -> Examples:
    """Room for the labels of a batch of `events`."""
    return Examples(
        np.zeros((events, KEPT, N_FEATURES), np.int16),
        np.zeros((events, HELD), np.uint8),
        np.zeros(events, np.uint8),
        np.zeros(events, np.uint8),
        np.zeros(events, np.uint8),
        np.zeros((events, KEPT), np.uint8),
        np.zeros(events, np.uint8),
        np.zeros((events, 4), np.int16),
        np.zeros(2, np.int64),
    )


@kernel
def remember(
    waiting: Waiting,
    shopper: int,
    offset: int,
    ts_ms: int,
    pool: Pool,
    description: Description,
    ranking: Ranking,
    active: bool,
) -> int:
    """Put a list that was measured into the ring's oldest slot, whose number + 1 is returned; about 1 µs.

    It is the ranking's, before any rule of the shop: those say nothing of what shoppers want.
    """
    at = waiting.next_slot[0] % RING
    waiting.next_slot[0] += 1
    waiting.by_offset[offset % BY_OFFSET] = at + 1
    slot = waiting.ring[at]
    slot.shopper = shopper
    slot.offset = offset
    slot.ts_ms = ts_ms
    slot.active = active
    slot.confirmed = False
    slot.labelled = False
    slot.size = min(ranking.size[0], KEPT)
    for k in range(HELD):
        slot.context[k] = description.context[k]
    for k in range(slot.size):
        c = ranking.order[k]
        slot.item[k] = pool.item[c]
        slot.shown[k] = NOT_SHOWN
        slot.led_to[k] = 0
        slot.plain_place[k] = ranking.plain_place[c]
        for f in range(N_FEATURES):
            steps = description.value[f, c] * np.float32(STEPS_PER_UNIT)
            slot.value[k, f] = np.int16(min(max(steps, np.float32(-32768.0)), np.float32(32767.0)))
    return at + 1  # type: ignore[no-any-return]


@kernel
def find(waiting: Waiting, shopper: int, offset: int) -> int:
    """The slot + 1 of the list that was made for a shopper at this offset; 0 if none waits."""
    if offset < 0:
        return 0
    at = waiting.by_offset[offset % BY_OFFSET]
    if at == 0 or waiting.ring[at - 1].offset != offset or waiting.ring[at - 1].shopper != shopper:
        return 0
    return at  # type: ignore[no-any-return]


@kernel
def confirm(
    waiting: Waiting, shopper: int, offset: int, items: NDArray[np.int32], positions: NDArray[np.int32]
) -> None:
    """An impression says that `items` of the list made at `offset` were seen by the shopper, and where."""
    at = find(waiting, shopper, offset)
    if at == 0:
        return
    slot = waiting.ring[at - 1]
    for k in range(slot.size):
        for i in range(len(items)):
            if slot.item[k] == items[i]:
                slot.shown[k] = min(positions[i], NOT_SHOWN - 1)
                slot.confirmed = True


@kernel
def _within(place: int) -> int:
    return place if place < LENGTH else -1


@kernel
def join(
    waiting: Waiting,
    row: Row,
    shopper: int,
    item: int,
    code: int,
    request: int,
    ts_ms: int,
    leaders: Leaders,
    out: Examples,
) -> None:
    """Label the list that led to an event: the one made at offset `request` - 1 (its `request_id`), or else
    the one that waits for the shopper's next item, unless an impression confirmed that one: who says what was
    shown says what was clicked. `row`: the shopper before the event."""
    at = find(waiting, shopper, request - 1)
    if at == 0:
        at = row.exposure
        if at == 0 or row.recent[0] == item + 1 or waiting.ring[at - 1].confirmed:
            return
    if at == row.exposure:
        row.exposure = 0
    slot = waiting.ring[at - 1]
    if slot.shopper == shopper and ts_ms - slot.ts_ms <= WINDOW_MS:
        label(slot, item, code, row.recent[0] - 1, leaders, out)


@kernel
def label(slot: Row, item: int, code: int, last_item: int, leaders: Leaders, out: Examples) -> None:
    """Turn a waiting list into an example: `item` was taken, by an event of kind `code`.

    Learned from: the candidate that was taken against all others (of those confirmed as seen, if the app said
    so), once by each kind of event. A list without the item teaches nothing about ranking. The live quality
    counts a list once.
    """
    hit = -1
    for k in range(slot.size):
        if slot.item[k] == item:
            hit = k
            break
    popular = -1
    place = 0
    for k in range(len(leaders.overall)):
        if leaders.overall[k] == 0 or place >= LENGTH:
            break
        if leaders.overall[k] - 1 == item:
            popular = place
            break
        if leaders.overall[k] - 1 != last_item:
            place += 1
    again = slot.labelled
    slot.labelled = True
    if not again:
        _place(slot, hit, popular, out)
    led_to = BOUGHT if code == PURCHASE else IN_CART if code == CART else CLICKED
    if hit >= 0 and not slot.led_to[hit] & led_to:
        slot.led_to[hit] |= led_to
        _teach(slot, hit, code, again, out)


@kernel
def _place(slot: Row, hit: int, popular: int, out: Examples) -> None:
    n = out.filled[1]
    plain = _within(slot.plain_place[hit]) if hit >= 0 else -1
    model = _within(hit) if hit >= 0 else -1
    out.places[n, PUBLISHED] = model if slot.active else plain
    out.places[n, PLAIN] = plain
    out.places[n, MODEL] = model
    out.places[n, POPULAR] = popular
    out.filled[1] += 1


@kernel
def _teach(slot: Row, hit: int, code: int, again: bool, out: Examples) -> None:
    """What was taken without having been shown was not clicked at a place: no positions then."""
    n, size = out.filled[0], 0
    placed = slot.confirmed and slot.shown[hit] != NOT_SHOWN
    for k in range(slot.size):
        if k != hit and slot.confirmed and slot.shown[k] == NOT_SHOWN:
            continue
        out.shown[n, size] = slot.shown[k] if placed else NOT_SHOWN
        if k == hit:
            out.taken[n] = size
        for f in range(N_FEATURES):
            out.value[n, size, f] = slot.value[k, f]
        size += 1
    if size < 2:
        return
    for k in range(HELD):
        out.context[n, k] = slot.context[k]
    out.size[n] = size
    out.weight[n] = WORTH[code]
    out.again[n] = again
    out.filled[0] += 1
