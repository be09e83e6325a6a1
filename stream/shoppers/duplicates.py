"""Recognising a client's retry: the same `event_id` at another offset counts once.

Two generations of hash sets a bucket. When the young one is half full it becomes the old one, and
the old one is emptied: memory is fixed, and the last 2,048 to 4,096 events of a bucket are always
known. Rotation depends on the bucket's own events alone, so a replay rotates alike. Purchases are
looked up in the shopper's history as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.row import BUCKETS
from stream.state.arena import reserve
from stream.state.hashing import mix64
from stream.state.jit import kernel

SLOTS = 4096
"""Slots a generation (a power of two): 64 buckets x 2 x 4,096 x 8 bytes = 4 MiB a unit."""

FULL = SLOTS // 2
"""Events with which the young generation becomes the old one: beyond, probing gets long."""

OLD_MOST = SLOTS * 3 // 4
"""Events that the old generation may begin with where several are laid together: it takes in no more."""


class Seen(NamedTuple):
    """Hashes (bucket, generation, slot), counts (bucket, generation), young generation (bucket)."""

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64]
    young: NDArray[np.int64]


def new_seen() -> Seen:
    """Empty sets for one unit; memory is taken as buckets fill."""
    shape = (BUCKETS, 2, SLOTS)
    hashes = reserve(BUCKETS * 2 * SLOTS, np.uint64).reshape(shape)
    return Seen(hashes, np.zeros((BUCKETS, 2), np.int64), np.zeros(BUCKETS, np.int64))


@kernel
def own_id(event: np.uint64, shopper: np.uint64) -> np.uint64:
    """Hash of an event within its shopper, from the hashes of both ids: clients may count their events from
    1. Never 0, which stands for no event."""
    return max(mix64(event ^ mix64(shopper)), np.uint64(1))


@kernel
def own_ids(events: NDArray[np.uint64], shoppers: NDArray[np.uint64]) -> None:
    """Turn hashes of event ids into `own_id`."""
    for k in range(len(events)):
        events[k] = own_id(events[k], shoppers[k])


@kernel
def _slot(hashes: NDArray[np.uint64], event: np.uint64) -> int:
    """Where `event` is, or the free slot where it would go."""
    at = np.int64(event & np.uint64(SLOTS - 1))
    while hashes[at] != np.uint64(0) and hashes[at] != event:
        at = (at + 1) & (SLOTS - 1)
    return at  # type: ignore[return-value]


@kernel
def first_time(seen: Seen, bucket: int, event: np.uint64) -> bool:
    """Whether `event` (a hash, not 0) is new to the bucket; remembers it. About 30 ns."""
    young = seen.young[bucket]
    old = 1 - young
    if seen.hashes[bucket, old, _slot(seen.hashes[bucket, old], event)] == event:
        return False
    if seen.hashes[bucket, young, _slot(seen.hashes[bucket, young], event)] == event:
        return False
    if seen.counts[bucket, young] >= FULL:
        seen.hashes[bucket, old, :] = 0
        seen.counts[bucket, old] = 0
        seen.young[bucket] = old
        young = old
    remember(seen, bucket, young, event)
    return True


@kernel
def remember(seen: Seen, bucket: int, generation: int, event: np.uint64) -> None:
    """Put `event` into one generation of a bucket, which has room for it and does not hold it."""
    seen.hashes[bucket, generation, _slot(seen.hashes[bucket, generation], event)] = event
    seen.counts[bucket, generation] += 1
