"""How many distinct shoppers stand behind a neighbour: a bitmap of hashes in its slot.

Every shopper sets the one of 32 bits that a hash of the id names, so there are never more bits than shoppers:
a count of bits is a lower bound, whatever arrived twice or in whichever order. What is published of others is
published from `LEAST` bits on. How many there are about follows by linear counting (Whang, Vander-Zanden and
Taylor, 1990) until all bits are set, at some 110 shoppers.

Ids are what can be told apart: who comes under two ids sets two bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel, small_kernel

BITS = 32
"""Bits a slot. 16 would take 288 bytes less of an item's row, but 16 shoppers would be the most that could
ever be said, and five shoppers would be five bits in 50 cases of 100 instead of in 72."""

LEAST = 5
"""Distinct shoppers below which nothing is published of how many there are."""


@kernel
def bit_of(mark: int) -> np.uint32:
    """The bit that a shopper's mark sets. `mark`: a byte of the hash of the id (`stream.exchange`)."""
    return np.uint32(1 << (np.int64(mark) & (BITS - 1)))


@small_kernel
def count(bits: np.uint32) -> int:
    """How many bits are set: at least so many shoppers."""
    rest = np.int64(bits)
    rest = rest - ((rest >> 1) & 0x55555555)
    rest = (rest & 0x33333333) + ((rest >> 2) & 0x33333333)
    rest = (rest + (rest >> 4)) & 0x0F0F0F0F
    return ((rest * 0x01010101) & 0xFFFFFFFF) >> 24  # type: ignore[return-value]


@small_kernel
def publishable(bits: np.uint32) -> int:
    """As `count`; 0 below `LEAST`."""
    known = count(bits)
    return known if known >= LEAST else 0


def about(known: int) -> int | None:
    """How many shoppers there are about, if they set `known` bits; None where all are set: any number."""
    return round(-BITS * math.log(1.0 - known / BITS)) if known < BITS else None


def bits_of(counts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Bitmaps of which each has so many bits, as many as there are at most."""
    return ((np.uint64(1) << np.clip(counts, 0, BITS).astype(np.uint64)) - np.uint64(1)).astype(np.uint32)
