"""What was published to a sample of shoppers, kept until their next step tells how good it was.

A ring of fixed size a unit. When the shopper's next item comes, the list is *labelled*: where did
that item stand in the published list, in the plain list, among the popular items? That is the live
quality, and a few rows of it are what the ranking model learns from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.recommend.candidates import POOL, Scratch
from stream.recommend.features import N_FEATURES
from stream.recommend.popular import Leaders
from stream.recommend.rank import LENGTH, Ranking, Scorer
from stream.state.jit import Row, kernel

RING = 2048
"""Lists that wait for their label, a unit: 2,048 x 2 KiB = 4 MiB."""

WINDOW_MS = 30 * 60_000
"""A list that led to nothing within 30 minutes is dropped unlabelled."""

NEGATIVES = 4
"""Candidates that were passed over, learned from beside each one that was taken."""

EXPOSURE = np.dtype(
    [
        ("shopper", np.int32),
        ("size", np.int32),
        ("offset", np.int64),
        ("ts_ms", np.int64),
        ("active", np.bool_),
        ("confirmed", np.bool_),
        ("item", np.int32, (POOL,)),
        ("model_place", np.uint8, (POOL,)),
        ("shown", np.uint8, (POOL,)),
        ("features", np.float32, (POOL, N_FEATURES)),
    ],
    align=True,
)
"""One waiting list, in plain order. `shown` holds once an impression event `confirmed` it."""


class Examples(NamedTuple):
    """Labelled rows of one batch, and the places of each labelled list; `filled` = rows, lists used."""

    features: NDArray[np.float32]
    label: NDArray[np.uint8]
    places: NDArray[np.int16]
    filled: NDArray[np.int64]


PUBLISHED, PLAIN, MODEL, POPULAR = 0, 1, 2, 3
"""Columns of `Examples.places`: place of the item that came, from 0; -1 if it was not among the first
`LENGTH`. The model's place is known also while its order is not the one that is published."""


def new_examples(events: int) -> Examples:
    """Room for the labels of a batch of `events`."""
    rows = events * (NEGATIVES + 1)
    return Examples(
        np.zeros((rows, N_FEATURES), np.float32),
        np.zeros(rows, np.uint8),
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
    scratch: Scratch,
    ranking: Ranking,
    scorer: Scorer,
) -> None:
    """Put a list into slot `at` of the ring, in place of what was there."""
    slot = ring[at]
    slot.shopper = shopper
    slot.offset = offset
    slot.ts_ms = ts_ms
    slot.active = scorer.active[0]
    slot.confirmed = False
    slot.size = ranking.size[0]
    for k in range(ranking.size[0]):
        slot.item[k] = scratch.item[ranking.place[k]]
        slot.shown[k] = False
        for f in range(N_FEATURES):
            slot.features[k, f] = ranking.features[k, f]
    for place in range(ranking.size[0]):
        slot.model_place[ranking.order[place]] = place


@kernel
def confirm(ring: NDArray[np.void], at: int, items: NDArray[np.int32]) -> None:
    """An impression says that `items` of the list in slot `at` were really seen by the shopper."""
    slot = ring[at]
    for k in range(slot.size):
        for item in items:
            if slot.item[k] == item:
                slot.shown[k] = True
                slot.confirmed = True


@kernel
def _within(place: int) -> int:
    return place if place < LENGTH else -1


@kernel
def label(slot: Row, item: int, last_item: int, leaders: Leaders, draw: np.uint64, out: Examples) -> None:
    """Turn a waiting list into examples: `item` is what came next. `draw` is a hash, the only chance.

    Learned from: the candidate that was taken, and `NEGATIVES` others of the published list (of those
    confirmed as seen, if the app said so). A list without the item teaches nothing about ranking.
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
    plain = _within(hit) if hit >= 0 else -1
    model = _within(slot.model_place[hit]) if hit >= 0 else -1
    out.places[n, PUBLISHED] = model if slot.active else plain
    out.places[n, PLAIN] = plain
    out.places[n, MODEL] = model
    out.places[n, POPULAR] = popular
    out.filled[1] += 1
    if hit < 0 or slot.size < 2:
        return
    _teach(slot, hit, 1, out)
    # Others of the pool at equal distances from a drawn start: without repeats, all places alike.
    others = min(NEGATIVES, slot.size - 1)
    start = np.int64(draw % np.uint64(slot.size))
    taken = 0
    for step in range(slot.size):
        k = (start + step * 7) % slot.size if slot.size % 7 else (start + step) % slot.size
        if k == hit or (slot.confirmed and not slot.shown[k]):
            continue
        _teach(slot, k, 0, out)
        taken += 1
        if taken == others:
            break


@kernel
def _teach(slot: Row, k: int, outcome: int, out: Examples) -> None:
    n = out.filled[0]
    for f in range(N_FEATURES):
        out.features[n, f] = slot.features[k, f]
    out.label[n] = outcome
    out.filled[0] += 1
