"""Session nearest neighbours: what was looked at in the past sessions most like this one.

VMIS-kNN (Kersbergen, Sprangers and Schelter, 2022), incremental: each item has a ring of its latest sessions,
and a session is there from its second item on. With s the items of this session, the newest of rank 1, H the
sessions held, and m(n) the newest item of s that is in n, of rank d(n)::

    similarity(n) = Σ of 1 / r over the items of s that are in n, r their ranks      the best 100 of these
    score(i) = Σ similarity(n) · max(1 - .1 (d(n) - 1), 0) · near(i, n) · ln(1 + |H| / df_i)  over these n
    near(i, n) = 1 / (1 + .5 (k - 1)) for the k-th item of n after m(n), .6 of that for the k-th before

The paper has no `near`; next items mostly followed soon in other sessions too. And it has ln(|H| / df), by
which what is in every session would never be proposed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.sources.base import Base, mask_of, unwanted, within
from stream.sources.pool import Pool, add, best, clear, find, new_pool, put
from stream.sources.source import RECENT, Interactions, Proposals, Room, Visit
from stream.state.arena import reserve
from stream.state.jit import kernel

RING = 128
"""Latest sessions an item (m)."""
NEAREST = 100
"""Sessions that are asked (k)."""
KEPT = 16
"""Items of a session: a cache line. Longer ones are kept in pieces that overlap by two."""
NEAR = 0.5
"""What each further item between two takes from their closeness."""
BEFORE = 0.6
"""What an item before the match is worth, one after it being 1."""
SESSIONS_MAX = 1 << 18
SESSIONS_PER_ITEM = 8
"""Sessions held an item: rings of popular items are full then, and few point to what is gone."""

_LOW = 0xFFFFFFFF


class SessionsState(NamedTuple):
    """Sessions are numbered as they come; number n lies in row n modulo the rows."""

    ring: NDArray[np.uint32]
    """(items, RING): numbers of sessions, of which 32 bits are kept."""
    pushed: NDArray[np.int64]
    """(items): how many were ever pushed into its ring."""
    df: NDArray[np.int32]
    """(items): sessions held that have it."""
    kept: NDArray[np.int32]
    """(sessions, KEPT): item + 1, 0 where there is none."""
    first: NDArray[np.int32]
    """(shoppers): item + 1 of a session of one, which says nothing yet."""
    current: NDArray[np.int64]
    """(shoppers): the number of their session + 1, 0 before its second item."""
    next: NDArray[np.int64]
    """(1): the number of the next session."""


class Matched(NamedTuple):
    """Sessions that match, while a list is made: place in `s` of the newest match, and the best of them."""

    newest: NDArray[np.int32]
    heap: NDArray[np.int32]


@kernel
def learn(state: SessionsState, events: Interactions) -> None:
    """Take in events: about .3 µs each."""
    for k in range(len(events.item)):
        shopper, item = events.shopper[k], events.item[k]
        if shopper < 0 or shopper >= len(state.first):
            continue
        if events.opens[k]:
            state.first[shopper] = 0
            state.current[shopper] = 0
        if 0 <= item < len(state.ring) and not unwanted(events.code[k]):
            _remember(state, shopper, item)


@kernel
def _remember(state: SessionsState, shopper: int, item: int) -> None:
    serial = state.current[shopper] - 1
    if serial < 0:
        first = state.first[shopper] - 1
        state.first[shopper] = item + 1
        if first < 0 or first == item:
            return
        serial = _new(state)
        _append(state, serial, 0, first)
        _append(state, serial, 1, item)
        state.current[shopper] = serial + 1
        return
    row = state.kept[serial % len(state.kept)]
    n = 0
    # A shopper who pauses for long may find their row taken by another session.
    if state.next[0] - serial <= len(state.kept):
        while n < KEPT and row[n] != 0:
            if row[n] == item + 1:
                _to_end(row, n)
                return
            n += 1
    if n == KEPT or n == 0:
        old = row
        one, other = (old[KEPT - 2], old[KEPT - 1]) if n == KEPT else (0, 0)
        serial = _new(state)
        state.current[shopper] = serial + 1
        n = 0
        if one > 0:
            _append(state, serial, 0, one - 1)
            _append(state, serial, 1, other - 1)
            n = 2
    _append(state, serial, n, item)


@kernel
def _to_end(row: NDArray[np.int32], at: int) -> None:
    """Move the item at `at` to the end of its session."""
    item = row[at]
    while at + 1 < KEPT and row[at + 1] != 0:
        row[at] = row[at + 1]
        at += 1
    row[at] = item


@kernel
def _new(state: SessionsState) -> int:
    """The number of a new session, whose row is empty."""
    serial = state.next[0]
    state.next[0] = serial + 1
    row = state.kept[serial % len(state.kept)]
    for k in range(KEPT):
        if row[k] != 0:
            state.df[row[k] - 1] -= 1
            row[k] = 0
    return serial  # type: ignore[no-any-return]


@kernel
def _append(state: SessionsState, serial: int, at: int, item: int) -> None:
    state.kept[serial % len(state.kept), at] = item + 1
    state.df[item] += 1
    state.ring[item, state.pushed[item] % RING] = np.uint32(serial & _LOW)
    state.pushed[item] += 1


@kernel
def propose(
    state: SessionsState,
    ties: NDArray[np.uint64],
    sessions: Pool,
    matched: Matched,
    pool: Pool,
    visit: Visit,
    out: Proposals,
) -> int:
    """Proposals for a visit: about 10 µs."""
    rows, after = len(state.kept), state.next[0]
    own = np.int64(-1)
    if 0 <= visit.shopper < len(state.current):
        own = state.current[visit.shopper] - 1
    for r in range(min(max(1, visit.in_session), len(visit.recent))):
        item = visit.recent[r]
        if item < 0 or item >= len(state.ring):
            continue
        pushed = state.pushed[item]
        for b in range(min(pushed, RING)):
            stored = np.int64(state.ring[item, (pushed - 1 - b) % RING])
            age = (after - stored) & _LOW
            if age == 0 or age > rows or after - age == own:
                continue
            c = find(sessions, age)
            if c < 0:
                c = put(sessions, age)
                if c < 0:
                    break
                matched.newest[c] = r
            sessions.score[c] += np.float32(1.0 / (r + 1.0))
    n = _nearest(sessions, matched.heap)
    held = min(after, rows)
    for k in range(n):
        c = matched.heap[k]
        weight = sessions.score[c] * max(1.0 - 0.1 * matched.newest[c], 0.0)
        row = state.kept[(after - sessions.item[c]) % rows]
        at, match = 0, visit.recent[matched.newest[c]] + 1
        while at < KEPT - 1 and row[at] != match:
            at += 1
        for p in range(KEPT):
            if row[p] == 0:
                break
            if p > at:
                add(pool, row[p] - 1, weight / (1.0 + NEAR * (p - at - 1)))
            elif p < at:
                add(pool, row[p] - 1, weight * BEFORE / (1.0 + NEAR * (at - p - 1)))
    clear(sessions)
    for c in range(pool.size[0]):
        pool.score[c] *= np.float32(math.log(1.0 + held / max(state.df[pool.item[c]], 1)))
    last = visit.recent[0] if len(visit.recent) else -1
    return best(pool, ties, last, visit.length, out)


@kernel
def _less(sessions: Pool, a: int, b: int) -> bool:
    """Whether match `a` is worth less than `b`: less alike, or as much and older."""
    if sessions.score[a] != sessions.score[b]:
        return sessions.score[a] < sessions.score[b]  # type: ignore[no-any-return]
    return sessions.item[a] > sessions.item[b]  # type: ignore[no-any-return]


@kernel
def _nearest(sessions: Pool, heap: NDArray[np.int32]) -> int:
    """Keep the best of all matches in `heap`, the least of them at its top; how many."""
    n = 0
    for c in range(sessions.size[0]):
        if n < NEAREST:
            at = n
            n += 1
            while at > 0 and _less(sessions, c, heap[(at - 1) // 2]):
                heap[at] = heap[(at - 1) // 2]
                at = (at - 1) // 2
            heap[at] = c
        elif _less(sessions, heap[0], c):
            at = 0
            while 2 * at + 1 < n:
                child = 2 * at + 1
                if child + 1 < n and _less(sessions, heap[child + 1], heap[child]):
                    child += 1
                if not _less(sessions, heap[child], c):
                    break
                heap[at] = heap[child]
                at = child
            heap[at] = c
    return n


@kernel
def forget_items(state: SessionsState, gone: NDArray[np.bool_]) -> None:
    """Take items out of all sessions."""
    for s in range(len(state.kept)):
        n = 0
        for k in range(KEPT):
            item = state.kept[s, k]
            state.kept[s, k] = 0
            if not gone[item]:
                state.kept[s, n] = item
                n += item != 0
    for u in range(len(state.first)):
        if gone[state.first[u]]:
            state.first[u] = 0


class Sessions(Base[SessionsState]):
    """`Source` by session nearest neighbours. 520 bytes an item, 16 a shopper, 64 a session.

    Evidence is the number of like sessions that hold the item.
    """

    name = "sessions"

    def __init__(self, room: Room) -> None:
        rows = min(SESSIONS_MAX, max(1024, SESSIONS_PER_ITEM * room.items))
        state = SessionsState(
            reserve(room.items * RING, np.uint32).reshape(room.items, RING),
            reserve(room.items, np.int64),
            reserve(room.items, np.int32),
            reserve(rows * KEPT, np.int32).reshape(rows, KEPT),
            reserve(room.shoppers, np.int32),
            reserve(room.shoppers, np.int64),
            np.zeros(1, np.int64),
        )
        self._sessions, self._pool = new_pool(), new_pool()
        self._matched = Matched(np.zeros(len(self._pool.item), np.int32), np.zeros(NEAREST, np.int32))
        super().__init__(room, state, (self._sessions, self._pool, self._matched))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        learn(self.state, events)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._sessions, self._matched, self._pool, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        items, shoppers = within(items, self.room.items), within(shoppers, self.room.shoppers)
        if len(items):
            forget_items(self.state, mask_of(items, self.room.items))
            self.state.pushed[items] = 0
            self.state.df[items] = 0
        self.state.first[shoppers] = 0
        self.state.current[shoppers] = 0


assert RING * RECENT <= 2048, "all matches of a visit have room in a pool"
