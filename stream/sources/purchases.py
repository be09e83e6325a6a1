"""Purchase histories: what those bought who bought the same, over all sessions.

User-based collaborative filtering (Resnick et al., 1994) on what was bought or liked::

    similarity(v) = Σ of a_i · ln(1 + N / n_i)  over the items i that both had  /  √(|P_v|)
    score(j)      = Σ similarity(v) · a_vj  over the 50 shoppers v most alike

a halves with every year since the purchase: tastes last. n_i is how many had i of N shoppers who had
anything. A shopper without a history is judged by the items of the visit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import LIKE, PURCHASE, RETURN
from stream.sources.base import Base, mask_of, strike, within
from stream.sources.pool import Pool, add, best, clear, find, new_pool, put
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.state.arena import reserve
from stream.state.jit import kernel

HISTORY = 32
"""Latest purchases of a shopper."""
BUYERS = 64
"""Latest shoppers of an item."""
NEAREST = 50
HALF_LIFE_MS = 365 * 86_400_000.0


class PurchasesState(NamedTuple):
    """Who had what, both ways, in rings."""

    item: NDArray[np.int32]
    """(shoppers, HISTORY): item + 1."""
    ts_ms: NDArray[np.int64]
    """When, beside `item`."""
    bought: NDArray[np.int64]
    """(shoppers): how many ever."""
    buyer: NDArray[np.int32]
    """(items, BUYERS): shopper + 1."""
    sold: NDArray[np.int64]
    """(items): how many ever."""
    counts: NDArray[np.int64]
    """Shoppers who had anything; the time of the latest event, ms."""


@kernel
def learn(state: PurchasesState, events: Interactions) -> None:
    """Take in events: about .1 µs each."""
    for k in range(len(events.item)):
        shopper, item, code = events.shopper[k], events.item[k], events.code[k]
        if shopper < 0 or shopper >= len(state.item) or item < 0 or item >= len(state.buyer):
            continue
        state.counts[1] = max(state.counts[1], events.ts_ms[k])
        if code == RETURN:
            _drop(state.item[shopper], item)
            _drop(state.buyer[item], shopper)
        elif code == PURCHASE or code == LIKE:
            if state.bought[shopper] == 0:
                state.counts[0] += 1
            # Again: it moves to the end.
            _drop(state.item[shopper], item)
            _drop(state.buyer[item], shopper)
            at = state.bought[shopper] % HISTORY
            state.item[shopper, at] = item + 1
            state.ts_ms[shopper, at] = events.ts_ms[k]
            state.bought[shopper] += 1
            state.buyer[item, state.sold[item] % BUYERS] = shopper + 1
            state.sold[item] += 1


@kernel
def _drop(row: NDArray[np.int32], number: int) -> None:
    for k in range(len(row)):
        if row[k] == number + 1:
            row[k] = 0


@kernel
def propose(
    state: PurchasesState, ties: NDArray[np.uint64], alike: Pool, pool: Pool, visit: Visit, out: Proposals
) -> int:
    """Proposals for a visit: about 20 µs."""
    me = visit.shopper if 0 <= visit.shopper < len(state.item) else -1
    had = 0
    if me >= 0:
        # The oldest first: sums do not depend on where the ring begins.
        for b in range(HISTORY):
            at = (state.bought[me] + b) % HISTORY
            if state.item[me, at] != 0:
                had += 1
                _ask(state, alike, me, state.item[me, at] - 1, _age(state, state.ts_ms[me, at]))
    if had == 0:
        for r in range(len(visit.recent)):
            if 0 <= visit.recent[r] < len(state.buyer):
                _ask(state, alike, me, visit.recent[r], 1.0 / (r + 1.0))
    for _ in range(NEAREST):
        c = _take(alike)
        if c < 0:
            break
        shopper = alike.item[c]
        for b in range(HISTORY):
            at = (state.bought[shopper] + b) % HISTORY
            item = state.item[shopper, at] - 1
            if item >= 0:
                add(pool, item, alike.score[c] * _age(state, state.ts_ms[shopper, at]))
        alike.score[c] = 0.0
    clear(alike)
    if me >= 0:
        for b in range(HISTORY):
            c = find(pool, state.item[me, b] - 1) if state.item[me, b] != 0 else -1
            if c >= 0:
                pool.score[c] = 0.0
    last = visit.recent[0] if len(visit.recent) else -1
    return best(pool, ties, last, visit.length, out)


@kernel
def _age(state: PurchasesState, ts_ms: int) -> float:
    return 2.0 ** ((ts_ms - state.counts[1]) / HALF_LIFE_MS)  # type: ignore[no-any-return]


@kernel
def _ask(state: PurchasesState, alike: Pool, me: int, item: int, weight: float) -> None:
    """All buyers of an item are more alike."""
    sold = min(state.sold[item], BUYERS)
    value = weight * math.log(1.0 + state.counts[0] / max(state.sold[item], 1))
    for b in range(sold):
        shopper = state.buyer[item, (state.sold[item] - 1 - b) % BUYERS] - 1
        if shopper >= 0 and shopper != me:
            c = put(alike, shopper)
            if c >= 0:
                if alike.evidence[c] == 0:
                    alike.evidence[c] = min(max(state.bought[shopper], 1), HISTORY)
                alike.score[c] += np.float32(value / math.sqrt(alike.evidence[c]))


@kernel
def _take(alike: Pool) -> int:
    """The shopper most alike that is left; of equal ones the first that was found."""
    found = -1
    for c in range(alike.size[0]):
        if alike.score[c] > 0.0 and (found < 0 or alike.score[c] > alike.score[found]):
            found = c
    return found


class Purchases(Base[PurchasesState]):
    """`Source` by purchase histories. 264 bytes an item, 392 a shopper.

    Evidence is the number of like shoppers who had the item. What a shopper had is not proposed to them.
    """

    name = "purchases"

    def __init__(self, room: Room) -> None:
        items, shoppers = room.items, room.shoppers
        state = PurchasesState(
            reserve(shoppers * HISTORY, np.int32).reshape(shoppers, HISTORY),
            reserve(shoppers * HISTORY, np.int64).reshape(shoppers, HISTORY),
            reserve(shoppers, np.int64),
            reserve(items * BUYERS, np.int32).reshape(items, BUYERS),
            reserve(items, np.int64),
            np.zeros(2, np.int64),
        )
        self._alike, self._pool = new_pool(), new_pool()
        super().__init__(room, state, (self._alike, self._pool))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        learn(self.state, events)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._alike, self._pool, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        state = self.state
        items = within(items, self.room.items)
        shoppers = np.unique(within(shoppers, self.room.shoppers))
        if len(items):
            strike(state.item.reshape(-1), mask_of(items, self.room.items))
            state.buyer[items] = 0
            state.sold[items] = 0
        if len(shoppers):
            strike(state.buyer.reshape(-1), mask_of(shoppers, self.room.shoppers))
            state.counts[0] -= int((state.bought[shoppers] > 0).sum())
            state.item[shoppers] = 0
            state.bought[shoppers] = 0
