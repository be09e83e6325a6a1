"""Vectors of items: how they begin, what they are compared with, and how they are found again.

Search is by signs of random projections (Charikar, 2002): an item lies in the bucket of its vector's signs,
and a query looks through the buckets that differ in the signs it is least sure of (multi-probe, after Lv et
al., 2007) until it has seen `SCANNED` items. Of catalogues no larger than that it sees every item.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.sources.pool import offer
from stream.sources.source import Proposals, Room
from stream.state.arena import reserve
from stream.state.hashing import mix64
from stream.state.jit import kernel

DIM = 32
"""Length of all vectors: two cache lines."""
LATEST = 1 << 14
"""Latest events of which negatives are drawn: popularity that forgets, without a sum."""
SCANNED = 2048
"""Items that a query is compared with: some 60 µs, most of it waiting for their rows."""
PER_BUCKET = 32
"""Items a bucket on average, when buckets were last doubled."""
BITS_MAX = 12

_STEP = np.uint64(0x9E3779B97F4A7C15)


class Index(NamedTuple):
    """Which items there are, and the bucket of each."""

    head: NDArray[np.int32]
    """(2 ** BITS_MAX): item + 1 by bucket; 0 ends each chain."""
    after: NDArray[np.int32]
    before: NDArray[np.int32]
    bucket: NDArray[np.int32]
    """(items): bucket + 1, 0 where it is in none."""
    member: NDArray[np.int32]
    """(items): all items there are, without gaps."""
    place: NDArray[np.int32]
    """(items): where it is in `member`, + 1."""
    counts: NDArray[np.int64]
    """Items there are; bits in use."""


class Latest(NamedTuple):
    """Items of the latest events."""

    ring: NDArray[np.int32]
    counts: NDArray[np.int64]
    """Events so far; draws so far."""


def new_index(room: Room) -> Index:
    """An empty one."""
    after, before, bucket, member, place = (reserve(room.items, np.int32) for _ in range(5))
    head = np.zeros(1 << BITS_MAX, np.int32)
    return Index(head, after, before, bucket, member, place, np.zeros(2, np.int64))


def new_latest() -> Latest:
    """Nothing has happened yet."""
    return Latest(np.zeros(LATEST, np.int32), np.zeros(2, np.int64))


def new_planes() -> NDArray[np.float32]:
    """The projections, (BITS_MAX, DIM): the same everywhere."""
    planes = np.zeros((BITS_MAX, DIM), np.float32)
    for bit in range(BITS_MAX):
        begin(planes[bit], np.uint64(bit * DIM), 1.0)
    return planes


@kernel
def begin(vector: NDArray[np.float32], tie: np.uint64, size: float) -> None:
    """Numbers between -`size` and `size` that depend on the id's hash alone."""
    for d in range(len(vector)):
        h = mix64(tie + np.uint64(d + 1) * _STEP)
        vector[d] = np.float32(size * (float(h >> np.uint64(11)) / 4503599627370496.0 - 1.0))


@kernel
def push(latest: Latest, item: int) -> None:
    """An event about `item` has happened."""
    latest.ring[latest.counts[0] % LATEST] = item + 1
    latest.counts[0] += 1


@kernel
def draw(latest: Latest) -> int:
    """An item of the latest events, by a hash of how many were drawn before; -1 if it is gone."""
    held = min(latest.counts[0], LATEST)
    if held == 0:
        return -1
    latest.counts[1] += 1
    h = mix64(np.uint64(latest.counts[1]) * _STEP)
    return latest.ring[np.int64(h >> np.uint64(1)) % held] - 1  # type: ignore[no-any-return]


@kernel
def dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Inner product."""
    total = np.float32(0.0)
    for d in range(DIM):
        total += a[d] * b[d]
    return total  # type: ignore[return-value]


@kernel
def _signs(planes: NDArray[np.float32], vector: NDArray[np.float32], bits: int) -> int:
    found = 0
    for b in range(bits):
        if dot(planes[b], vector) > 0.0:
            found |= 1 << b
    return found


@kernel
def settle(index: Index, planes: NDArray[np.float32], vectors: NDArray[np.float32], item: int) -> None:
    """The item's vector has changed: put it into its bucket, a new item among the members too."""
    if index.place[item] == 0:
        index.member[index.counts[0]] = item
        index.counts[0] += 1
        index.place[item] = index.counts[0]
        bits = index.counts[1]
        if bits < BITS_MAX and index.counts[0] > PER_BUCKET << (bits + 1):
            index.counts[1] = bits + 1
            for k in range(index.counts[0]):
                _move(index, index.member[k], _signs(planes, vectors[index.member[k]], bits + 1))
            return
    _move(index, item, _signs(planes, vectors[item], index.counts[1]))


@kernel
def _move(index: Index, item: int, bucket: int) -> None:
    if index.bucket[item] == bucket + 1:
        return
    _unlink(index, item)
    index.bucket[item] = bucket + 1
    index.after[item] = index.head[bucket]
    if index.head[bucket] != 0:
        index.before[index.head[bucket] - 1] = item + 1
    index.head[bucket] = item + 1


@kernel
def _unlink(index: Index, item: int) -> None:
    if index.bucket[item] == 0:
        return
    before, after = index.before[item], index.after[item]
    if before != 0:
        index.after[before - 1] = after
    else:
        index.head[index.bucket[item] - 1] = after
    if after != 0:
        index.before[after - 1] = before
    index.before[item] = 0
    index.after[item] = 0
    index.bucket[item] = 0


@kernel
def leave(index: Index, items: NDArray[np.int32]) -> None:
    """These items are there no more."""
    for item in items:
        if index.place[item] == 0:
            continue
        _unlink(index, item)
        place, moved = index.place[item] - 1, index.member[index.counts[0] - 1]
        index.member[place] = moved
        index.place[moved] = place + 1
        index.place[item] = 0
        index.counts[0] -= 1


@kernel
def nearest(
    index: Index,
    planes: NDArray[np.float32],
    vectors: NDArray[np.float32],
    added: NDArray[np.float32],
    query: NDArray[np.float32],
    ties: NDArray[np.uint64],
    last: int,
    length: int,
    out: Proposals,
) -> int:
    """The items of the largest ``vector · query + added``, without `last`, as far as they are found."""
    n = 0
    length = min(length, len(out.item))
    if index.counts[0] <= SCANNED:
        for k in range(index.counts[0]):
            item = index.member[k]
            if item != last:
                n = offer(out, ties, n, length, item, dot(vectors[item], query) + added[item], -1)
        return n
    bits, seen = int(index.counts[1]), 0
    home = _signs(planes, query, bits)
    # Sign by sign, the least sure one first: bit b of a probe's number turns the b-th of them.
    order = _by_margin(planes, query, bits)
    for probe in range(1 << bits):
        bucket = home
        for b in range(bits):
            if probe >> b & 1:
                bucket ^= 1 << np.int64(order >> np.uint64(4 * b) & np.uint64(15))  # type: ignore[assignment]
        at = index.head[bucket]
        while at != 0:
            item = at - 1
            if item != last:
                n = offer(out, ties, n, length, item, dot(vectors[item], query) + added[item], -1)
            seen += 1
            at = index.after[item]
        if seen >= SCANNED:
            break
    return n


@kernel
def _by_margin(planes: NDArray[np.float32], query: NDArray[np.float32], bits: int) -> np.uint64:
    """The projections, four bits each, in rising order of how far the query lies from their plane."""
    order, used = np.uint64(0), 0
    for k in range(bits):
        found, least = 0, np.inf
        for b in range(bits):
            margin = math.fabs(dot(planes[b], query))
            if used >> b & 1 == 0 and margin < least:
                found, least = b, margin
        used |= 1 << found
        order |= np.uint64(found) << np.uint64(4 * k)
    return order
