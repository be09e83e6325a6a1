"""What was published to a sample of shoppers, kept until their next step tells how good it was.

A ring of fixed size a unit. When the shopper's next item comes, the list is *labelled*: where did
that item stand in the published list, in the plain list, among the popular items? That is the live
quality, and the list with its features is what the ranking model learns from.
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
        ("context", np.uint8, (HELD,)),
        ("item", np.int32, (KEPT,)),
        ("plain_place", np.uint8, (KEPT,)),
        ("shown", np.uint8, (KEPT,)),
        ("value", np.int16, (KEPT, N_FEATURES)),
    ],
    align=True,
)
"""One waiting list, in the model's order. `shown` holds once an impression event `confirmed` it."""


class Examples(NamedTuple):
    """Labelled lists of one batch: of the first ``filled[0]`` rows the model learns (`value` in steps,
    `taken` the candidate that came next, `weight` what that is worth); ``filled[1]`` rows of `places`."""

    value: NDArray[np.int16]
    context: NDArray[np.uint8]
    size: NDArray[np.uint8]
    taken: NDArray[np.uint8]
    weight: NDArray[np.uint8]
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
        np.zeros((events, 4), np.int16),
        np.zeros(2, np.int64),
    )


@kernel
def remember(
    ring: NDArray[np.void],
    at: int,
    shopper: int,
    offset: int,
    ts_ms: int,
    pool: Pool,
    description: Description,
    ranking: Ranking,
    active: bool,
) -> None:
    """Put a list that was measured into slot `at` of the ring, in place of what was there; about 1 µs.

    It is the ranking's, before any rule of the shop: those say nothing of what shoppers want.
    """
    slot = ring[at]
    slot.shopper = shopper
    slot.offset = offset
    slot.ts_ms = ts_ms
    slot.active = active
    slot.confirmed = False
    slot.size = min(ranking.size[0], KEPT)
    for k in range(HELD):
        slot.context[k] = description.context[k]
    for k in range(slot.size):
        c = ranking.order[k]
        slot.item[k] = pool.item[c]
        slot.shown[k] = 0
        slot.plain_place[k] = ranking.plain_place[c]
        for f in range(N_FEATURES):
            steps = description.value[f, c] * np.float32(STEPS_PER_UNIT)
            slot.value[k, f] = np.int16(min(max(steps, np.float32(-32768.0)), np.float32(32767.0)))


@kernel
def confirm(ring: NDArray[np.void], at: int, items: NDArray[np.int32]) -> None:
    """An impression says that `items` of the list in slot `at` were really seen by the shopper."""
    slot = ring[at]
    for k in range(slot.size):
        for item in items:
            if slot.item[k] == item:
                slot.shown[k] = 1
                slot.confirmed = True


@kernel
def _within(place: int) -> int:
    return place if place < LENGTH else -1


@kernel
def label(slot: Row, item: int, code: int, last_item: int, leaders: Leaders, out: Examples) -> None:
    """Turn a waiting list into an example: `item` is what came next, by an event of kind `code`.

    Learned from: the candidate that was taken against all others (of those confirmed as seen, if the app said
    so). A list without the item teaches nothing about ranking.
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
    n = out.filled[1]
    plain = _within(slot.plain_place[hit]) if hit >= 0 else -1
    model = _within(hit) if hit >= 0 else -1
    out.places[n, PUBLISHED] = model if slot.active else plain
    out.places[n, PLAIN] = plain
    out.places[n, MODEL] = model
    out.places[n, POPULAR] = popular
    out.filled[1] += 1
    if hit >= 0:
        _teach(slot, hit, code, out)


@kernel
def _teach(slot: Row, hit: int, code: int, out: Examples) -> None:
    n, size = out.filled[0], 0
    for k in range(slot.size):
        if k != hit and slot.confirmed and not slot.shown[k]:
            continue
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
    out.filled[0] += 1
