"""Whole numbers as bytes, least significant first, wherever they lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel


@kernel
def get_int(data: NDArray[np.uint8], at: int, size: int) -> int:
    """The number in ``data[at:at + size]``; without a sign where `size` is less than 8."""
    number = np.uint64(0)
    for k in range(size):
        number |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return np.int64(number)  # type: ignore[return-value]


@kernel
def put_int(out: NDArray[np.uint8], at: int, number: int, size: int) -> int:
    """Write a number to ``out[at:at + size]``; the place after it."""
    rest = np.uint64(number)
    for k in range(size):
        out[at + k] = rest & np.uint64(255)
        rest >>= np.uint64(8)
    return at + size
