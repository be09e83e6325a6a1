"""What is on the rise: items whose pace is above their own of before.

Two decayed weights an item give its pace in events an hour, of the last hours and of the last week. The score
is by how many deviations the recent count exceeds what the long pace lets expect (a Poisson count):
``(f - e) / √(e + 1)`` with f the recent count and e the expected one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.sources.base import Base, mask_of, strike, unwanted, within
from stream.sources.leaders import gain_at
from stream.sources.pool import Pool, best, new_pool, put
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.state.arena import reserve
from stream.state.jit import kernel

FAST_MS = 2 * 3_600_000.0
SLOW_MS = 7 * 86_400_000.0
"""Half-lives: two hours show what this morning brought, a week is an item's usual pace at all hours."""
LATEST = 512
"""Items with the latest events are those that can have risen: only they are looked at."""


class RisingState(NamedTuple):
    """Decayed counts by item, and a ring of those last seen."""

    fast: NDArray[np.float64]
    slow: NDArray[np.float64]
    ring: NDArray[np.int32]
    """Item + 1 of the latest events."""
    fast_clock: NDArray[np.float64]
    slow_clock: NDArray[np.float64]
    """Landmark, ms, and what an event is worth now."""
    counts: NDArray[np.int64]
    """Events so far; time of the first, ms."""


@kernel
def learn(state: RisingState, events: Interactions) -> None:
    """Take in events: about .1 µs each."""
    for k in range(len(events.item)):
        item = events.item[k]
        if item < 0 or item >= len(state.fast) or unwanted(events.code[k]):
            continue
        ts_ms = events.ts_ms[k]
        state.fast[item] += gain_at(state.fast_clock, state.fast, ts_ms, FAST_MS)
        state.slow[item] += gain_at(state.slow_clock, state.slow, ts_ms, SLOW_MS)
        if state.counts[0] == 0:
            state.counts[1] = ts_ms
        state.ring[state.counts[0] % LATEST] = item + 1
        state.counts[0] += 1


@kernel
def propose(state: RisingState, ties: NDArray[np.uint64], pool: Pool, visit: Visit, out: Proposals) -> int:
    """Proposals for a visit: about 5 µs."""
    last = visit.recent[0] if len(visit.recent) else -1
    # Both windows begin with the log: before it has run for long they hold nearly the same.
    now_ms = state.slow_clock[0] + np.log2(max(state.slow_clock[1], 1e-300)) * SLOW_MS
    age_ms = max(now_ms - state.counts[1], 0.0)
    fast_ms = FAST_MS * (1.0 - 2.0 ** (-age_ms / FAST_MS))
    slow_ms = SLOW_MS * (1.0 - 2.0 ** (-age_ms / SLOW_MS))
    expected = fast_ms / slow_ms if slow_ms > 0.0 else 1.0
    for k in range(LATEST):
        if state.ring[k] == 0:
            continue
        item = state.ring[k] - 1
        c = put(pool, item)
        if pool.evidence[c] == 0:
            fast = state.fast[item] / state.fast_clock[1]
            e = state.slow[item] / state.slow_clock[1] * expected
            pool.score[c] = np.float32((fast - e) / np.sqrt(e + 1.0))
            pool.evidence[c] = -1
    return best(pool, ties, last, visit.length, out)


class Rising(Base[RisingState]):
    """`Source` by rate of change. 16 bytes an item."""

    name = "rising"

    def __init__(self, room: Room) -> None:
        state = RisingState(
            reserve(room.items, np.float64),
            reserve(room.items, np.float64),
            np.zeros(LATEST, np.int32),
            np.zeros(2, np.float64),
            np.zeros(2, np.float64),
            np.zeros(2, np.int64),
        )
        self._pool = new_pool()
        super().__init__(room, state, (self._pool,))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        learn(self.state, events)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._pool, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        items = within(items, self.room.items)
        self.state.fast[items] = 0.0
        self.state.slow[items] = 0.0
        strike(self.state.ring, mask_of(items, self.room.items))
