"""Named hashes, equal on every machine and in every process (never Python's `hash`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel
from stream.state.texts import Texts

NUL = 0
"""Separator of ids in a blob; ids cannot hold it (`stream.events.types.Id`)."""


@kernel
def hash64(data: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    """64-bit FNV-1a of ``data[start:stop]``, finalised as in splitmix64 so that all bits are usable."""
    h = np.uint64(0xCBF29CE484222325)
    for k in range(start, stop):
        h = (h ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
    return mix64(h)


@kernel
def mix64(h: np.uint64) -> np.uint64:
    """The splitmix64 finaliser (Steele, Lea and Flood, 2014)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@kernel
def hash_ids(blob: NDArray[np.uint8], out: NDArray[np.uint64]) -> None:
    """`hash64` of each of ``len(out)`` NUL-separated ids; an empty (absent) id hashes to 0."""
    start = 0
    for k in range(len(out)):
        stop = start
        while stop < len(blob) and blob[stop] != NUL:
            stop += 1
        out[k] = hash64(blob, start, stop) if stop > start else np.uint64(0)
        start = stop + 1


@kernel
def murmur2(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """Kafka's murmur2 of ``data[start:stop]`` without the sign bit: ``% partitions`` is the partition."""
    m = np.uint32(0x5BD1E995)
    length = stop - start
    h = np.uint32(0x9747B28C) ^ np.uint32(length)
    k = start
    while stop - k >= 4:
        w = (
            np.uint32(data[k])
            | np.uint32(data[k + 1]) << np.uint32(8)
            | np.uint32(data[k + 2]) << np.uint32(16)
            | np.uint32(data[k + 3]) << np.uint32(24)
        )
        w = np.uint32(w * m)
        w = np.uint32(w ^ (w >> np.uint32(24)))
        w = np.uint32(w * m)
        h = np.uint32(np.uint32(h * m) ^ w)
        k += 4
    left = stop - k
    if left >= 3:
        h = np.uint32(h ^ (np.uint32(data[k + 2]) << np.uint32(16)))
    if left >= 2:
        h = np.uint32(h ^ (np.uint32(data[k + 1]) << np.uint32(8)))
    if left >= 1:
        h = np.uint32(np.uint32(h ^ np.uint32(data[k])) * m)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * m)
    h = np.uint32(h ^ (h >> np.uint32(15)))
    return np.int64(h) & 0x7FFFFFFF  # type: ignore[return-value]


def partition_ids(ids: Texts, partitions: int) -> NDArray[np.int64]:
    """Kafka's default partition of each id."""
    places = np.empty(len(ids), np.int64)
    _partition_ids(ids.array, ids.ends, partitions, places)
    return places


@kernel
def _partition_ids(
    data: NDArray[np.uint8], ends: NDArray[np.int64], count: int, out: NDArray[np.int64]
) -> None:
    start = 0
    for k in range(len(out)):
        out[k] = murmur2(data, start, ends[k]) % count
        start = ends[k]
