"""Online matrix factorisation by Bayesian personalised ranking, for sessions of anybody.

BPR (Rendle et al., 2009) with a shopper's factors that begin with what they looked at last, as in FISM
(Kabbur et al., 2013), so that a first session has some too::

    x(i) = b_i + q_i · h        h = p_u + Σ y_r / r  /  Σ 1 / r     r = 1.. over the last items
    for negatives j drawn from the latest events: raise ln σ(x(i) - x(j))

Steps are those of AdaGrad with one sum a row (Duchi et al., 2011): a new item's first steps are long.
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

CONTEXT = 4
"""Last items that count."""
NEGATIVES = 16
"""Drawn for each event. Those already ranked far below teach nothing and cost a product each."""
RATE = 0.15
SHRINK = 1e-4
"""What a step takes from a row's length: rows that are never right fade."""
START = 0.1


class FactorsState(NamedTuple):
    """Rows of `DIM` factors, and the sums of their squared steps."""

    q: NDArray[np.float32]
    y: NDArray[np.float32]
    p: NDArray[np.float32]
    bias: NDArray[np.float32]
    q_sum: NDArray[np.float32]
    y_sum: NDArray[np.float32]
    p_sum: NDArray[np.float32]
    recent: NDArray[np.int32]
    """(shoppers, CONTEXT): item + 1, newest first."""
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
    """While one event is learned: h, its gradient, that of the item, and of one row."""

    h: NDArray[np.float32]
    of_h: NDArray[np.float32]
    of_q: NDArray[np.float32]
    planes: NDArray[np.float32]


@kernel
def _index(state: FactorsState) -> Index:
    return Index(
        state.head, state.after, state.before, state.bucket, state.member, state.place, state.indexed
    )


@kernel
def learn(state: FactorsState, ties: NDArray[np.uint64], work: Work, events: Interactions) -> None:
    """Take in events: about 3 µs each."""
    index, latest = _index(state), Latest(state.ring, state.drawn)
    for k in range(len(events.item)):
        shopper, item = events.shopper[k], events.item[k]
        if shopper < 0 or shopper >= len(state.p):
            continue
        if item < 0 or item >= len(state.q) or unwanted(events.code[k]):
            continue
        if state.place[item] == 0:
            begin(state.q[item], ties[item], START)
            settle(index, work.planes, state.q, item)
        recent = state.recent[shopper]
        if recent[0] != 0 and recent[0] != item + 1:
            _context(state, recent, -1, shopper, work.h)
            _step(state, latest, work, shopper, item, recent)
            settle(index, work.planes, state.q, item)
        push(latest, item)
        at = CONTEXT - 1
        for r in range(CONTEXT):
            if recent[r] == item + 1:
                at = r
                break
        for r in range(at, 0, -1):
            recent[r] = recent[r - 1]
        recent[0] = item + 1


@kernel
def _context(
    state: FactorsState, recent: NDArray[np.int32], one: int, shopper: int, h: NDArray[np.float32]
) -> None:
    """The shopper's factors now. `recent` holds items, newest first, to which `one` is to be added."""
    total = np.float32(0.0)
    for d in range(DIM):
        h[d] = 0.0
    for r in range(min(len(recent), CONTEXT)):
        item = recent[r] + one
        if 0 <= item < len(state.y):
            weight = np.float32(1.0 / (r + 1.0))
            total += weight
            for d in range(DIM):
                h[d] += weight * state.y[item, d]
    for d in range(DIM):
        if total > 0.0:
            h[d] /= total
        if 0 <= shopper < len(state.p):
            h[d] += state.p[shopper, d]


@kernel
def _step(
    state: FactorsState, latest: Latest, work: Work, shopper: int, item: int, recent: NDArray[np.int32]
) -> None:
    h, of_h, of_q = work.h, work.of_h, work.of_q
    for d in range(DIM):
        of_h[d] = 0.0
    x = dot(state.q[item], h) + state.bias[item]
    pull = np.float32(0.0)
    for _ in range(NEGATIVES):
        other = draw(latest)
        if other < 0 or other == item:
            continue
        wrong = np.float32(1.0 / (1.0 + math.exp(x - dot(state.q[other], h) - state.bias[other])))
        if wrong < 0.02:
            continue
        pull += wrong
        for d in range(DIM):
            of_h[d] += wrong * (state.q[item, d] - state.q[other, d])
            of_q[d] = -wrong * h[d]
        _move(state.q[other], state.q_sum, other, of_q)
        state.bias[other] -= np.float32(0.02) * wrong
    if pull == 0.0:
        return
    for d in range(DIM):
        of_q[d] = pull * h[d]
    _move(state.q[item], state.q_sum, item, of_q)
    state.bias[item] += np.float32(0.02) * pull
    _move(state.p[shopper], state.p_sum, shopper, of_h)
    total = np.float32(0.0)
    for r in range(CONTEXT):
        total += np.float32(1.0 / (r + 1.0)) if recent[r] != 0 else np.float32(0.0)
    for r in range(CONTEXT):
        if recent[r] != 0:
            for d in range(DIM):
                of_q[d] = of_h[d] / (np.float32(r + 1.0) * total)
            _move(state.y[recent[r] - 1], state.y_sum, recent[r] - 1, of_q)


@kernel
def _move(
    row: NDArray[np.float32], sums: NDArray[np.float32], number: int, gradient: NDArray[np.float32]
) -> None:
    """One step up the gradient."""
    squares = np.float32(0.0)
    for d in range(DIM):
        squares += gradient[d] * gradient[d]
    sums[number] += squares / np.float32(DIM)
    rate = np.float32(RATE) / np.sqrt(sums[number] + np.float32(1e-4))
    for d in range(DIM):
        row[d] += rate * gradient[d] - np.float32(SHRINK) * row[d]


@kernel
def propose(state: FactorsState, ties: NDArray[np.uint64], work: Work, visit: Visit, out: Proposals) -> int:
    """Proposals for a visit: about 60 µs of 20,000 items."""
    last = visit.recent[0] if len(visit.recent) else -1
    if last < 0:
        return 0
    _context(state, visit.recent, 0, visit.shopper, work.h)
    return nearest(_index(state), work.planes, state.q, state.bias, work.h, ties, last, visit.length, out)


class Factors(Base[FactorsState]):
    """`Source` by factors. 300 bytes an item, 150 a shopper."""

    name = "factors"

    def __init__(self, room: Room) -> None:
        items, shoppers = room.items, room.shoppers
        state = FactorsState(
            reserve(items * DIM, np.float32).reshape(items, DIM),
            reserve(items * DIM, np.float32).reshape(items, DIM),
            reserve(shoppers * DIM, np.float32).reshape(shoppers, DIM),
            reserve(items, np.float32),
            reserve(items, np.float32),
            reserve(items, np.float32),
            reserve(shoppers, np.float32),
            reserve(shoppers * CONTEXT, np.int32).reshape(shoppers, CONTEXT),
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
        for rows in (state.q, state.y, state.bias, state.q_sum, state.y_sum):
            rows[items] = 0.0
        state.p[shoppers] = 0.0
        state.p_sum[shoppers] = 0.0
        state.recent[shoppers] = 0
        if len(items):
            gone = mask_of(items, self.room.items)
            strike(state.ring, gone)
            strike(state.recent.reshape(-1), gone)
