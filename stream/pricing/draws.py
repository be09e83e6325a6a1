"""Random numbers that are a function of (item, epoch): no generator, no state, the same on every worker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.pricing.ladder import Floats

Hashes = NDArray[np.uint64]


def _mix(words: Hashes) -> Hashes:
    """The splitmix64 finaliser (Steele, Lea & Flood 2014): every input bit reaches every output bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def uniforms(item_hash: Hashes, epoch: NDArray[np.int64], count: int) -> Floats:
    """`count` numbers in (0, 1) for each item, shape (N, count)."""
    seed = _mix(item_hash.astype(np.uint64) ^ _mix(epoch.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)))
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    words = _mix(seed[:, None] + steps)
    # 53 bits, moved half a unit off zero so that a logarithm is always finite.
    return ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(item_hash: Hashes, epoch: NDArray[np.int64], count: int) -> Floats:
    """`count` standard normal numbers for each item, shape (N, count) (Box & Muller 1958)."""
    half = uniforms(item_hash, epoch, 2 * count)
    radius = np.sqrt(-2.0 * np.log(half[:, :count]))
    return np.asarray(radius * np.cos(2.0 * np.pi * half[:, count:]), dtype=np.float64)
