"""Item embeddings: items are alike that are looked at in the same surroundings.

Skip-gram with negative sampling (Mikolov et al., 2013; of items: Grbovic et al., 2015), online: each event
makes pairs with the items before it in its session, both ways. For the pair of a centre c and a context o,
and for negatives j of the latest events::

    raise ln σ(in_c · out_o) + Σ ln σ(-in_c · out_j)

The score of an item is the inner product of its `out` vector with the sum of the `in` vectors of the visit's
last items, the newest weighing most: how much likelier it is in their company than anywhere.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.sources.base import Base, mask_of, strike, unwanted, within
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.sources.vectors import (
    DIM,
    Index,
    Latest,
    begin,
    dot,
    draw,
    leave,
    nearest,
    new_index,
    new_latest,
    new_planes,
    push,
    settle,
)
from stream.state.arena import reserve
from stream.state.jit import kernel

WINDOW = 4
"""Items of a session before an event that it makes pairs with."""
NEGATIVES = 5
RATE = 0.15
START = 0.3


class EmbeddingsState(NamedTuple):
    """Vectors of `DIM`, and the sums of their squared steps."""

    centre: NDArray[np.float32]
    context: NDArray[np.float32]
    centre_sum: NDArray[np.float32]
    context_sum: NDArray[np.float32]
    zeros: NDArray[np.float32]
    """(items): what is added to a product, nothing."""
    recent: NDArray[np.int32]
    """(shoppers, WINDOW): item + 1 of this session, newest first."""
    head: NDArray[np.int32]
    after: NDArray[np.int32]
    before: NDArray[np.int32]
    bucket: NDArray[np.int32]
    member: NDArray[np.int32]
    place: NDArray[np.int32]
    indexed: NDArray[np.int64]
    ring: NDArray[np.int32]
    drawn: NDArray[np.int64]


class Work(NamedTuple):
    """The gradients of one step, and what does not change."""

    of_centre: NDArray[np.float32]
    of_context: NDArray[np.float32]
    query: NDArray[np.float32]
    planes: NDArray[np.float32]


@kernel
def _index(state: EmbeddingsState) -> Index:
    return Index(
        state.head, state.after, state.before, state.bucket, state.member, state.place, state.indexed
    )


@kernel
def learn(state: EmbeddingsState, ties: NDArray[np.uint64], work: Work, events: Interactions) -> None:
    """Take in events: about 4 µs each."""
    index, latest = _index(state), Latest(state.ring, state.drawn)
    for k in range(len(events.item)):
        shopper, item = events.shopper[k], events.item[k]
        if shopper < 0 or shopper >= len(state.recent):
            continue
        recent = state.recent[shopper]
        if events.opens[k]:
            for r in range(WINDOW):
                recent[r] = 0
        if item < 0 or item >= len(state.centre) or unwanted(events.code[k]):
            continue
        if state.place[item] == 0:
            begin(state.centre[item], ties[item], START)
            begin(state.context[item], ties[item] ^ np.uint64(0x5555555555555555), START)
            settle(index, work.planes, state.context, item)
        for r in range(WINDOW):
            other = recent[r] - 1
            if other >= 0 and other != item:
                _pair(state, latest, work, other, item)
                _pair(state, latest, work, item, other)
                settle(index, work.planes, state.context, other)
        settle(index, work.planes, state.context, item)
        push(latest, item)
        at = WINDOW - 1
        for r in range(WINDOW):
            if recent[r] == item + 1:
                at = r
                break
        for r in range(at, 0, -1):
            recent[r] = recent[r - 1]
        recent[0] = item + 1


@kernel
def _pair(state: EmbeddingsState, latest: Latest, work: Work, centre: int, context: int) -> None:
    """One step for a pair and its negatives."""
    vector = state.centre[centre]
    for d in range(DIM):
        work.of_centre[d] = 0.0
    for n in range(NEGATIVES + 1):
        other = context if n == 0 else draw(latest)
        if other < 0 or (n > 0 and (other == context or other == centre)):
            continue
        row = state.context[other]
        sigma = 1.0 / (1.0 + math.exp(-dot(vector, row)))
        error = np.float32((1.0 if n == 0 else 0.0) - sigma)
        for d in range(DIM):
            work.of_centre[d] += error * row[d]
            work.of_context[d] = error * vector[d]
        _move(row, state.context_sum, other, work.of_context)
    _move(vector, state.centre_sum, centre, work.of_centre)


@kernel
def _move(
    row: NDArray[np.float32], sums: NDArray[np.float32], number: int, gradient: NDArray[np.float32]
) -> None:
    """One step of AdaGrad up the gradient."""
    squares = np.float32(0.0)
    for d in range(DIM):
        squares += gradient[d] * gradient[d]
    sums[number] += squares / np.float32(DIM)
    rate = np.float32(RATE) / np.sqrt(sums[number] + np.float32(1e-4))
    for d in range(DIM):
        row[d] += rate * gradient[d]


@kernel
def propose(
    state: EmbeddingsState, ties: NDArray[np.uint64], work: Work, visit: Visit, out: Proposals
) -> int:
    """Proposals for a visit: about 60 µs of 20,000 items."""
    known = 0
    for d in range(DIM):
        work.query[d] = 0.0
    for r in range(min(len(visit.recent), WINDOW)):
        item = visit.recent[r]
        if 0 <= item < len(state.centre) and state.place[item] != 0:
            known += 1
            for d in range(DIM):
                work.query[d] += state.centre[item, d] / np.float32(r + 1.0)
    if known == 0:
        return 0
    last = visit.recent[0]
    return nearest(
        _index(state), work.planes, state.context, state.zeros, work.query, ties, last, visit.length, out
    )


class Embeddings(Base[EmbeddingsState]):
    """`Source` by embeddings. 290 bytes an item, 16 a shopper."""

    name = "embeddings"

    def __init__(self, room: Room) -> None:
        items = room.items
        state = EmbeddingsState(
            reserve(items * DIM, np.float32).reshape(items, DIM),
            reserve(items * DIM, np.float32).reshape(items, DIM),
            reserve(items, np.float32),
            reserve(items, np.float32),
            reserve(items, np.float32),
            reserve(room.shoppers * WINDOW, np.int32).reshape(room.shoppers, WINDOW),
            *new_index(room),
            *new_latest(),
        )
        one, two, three = (np.zeros(DIM, np.float32) for _ in range(3))
        self._scratch = Work(one, two, three, new_planes())
        super().__init__(room, state, (self._scratch,))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        learn(self.state, self.room.ties, self._scratch, events)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._scratch, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        state = self.state
        items, shoppers = within(items, self.room.items), within(shoppers, self.room.shoppers)
        leave(_index(state), items)
        for rows in (state.centre, state.context, state.centre_sum, state.context_sum):
            rows[items] = 0.0
        state.recent[shoppers] = 0
        if len(items):
            gone = mask_of(items, self.room.items)
            strike(state.ring, gone)
            strike(state.recent.reshape(-1), gone)
