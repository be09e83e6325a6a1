"""Numbers as JSON, written by kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel

_ZERO, _POINT, _MINUS = 0x30, 0x2E, 0x2D


@kernel
def put_whole(out: NDArray[np.uint8], at: int, value: float) -> int:
    """A number of at least 0, rounded."""
    rest = np.int64(min(max(value, 0.0), 1e15) + 0.5)
    unit = 1
    while unit * 10 <= rest:
        unit *= 10
    while unit:
        out[at] = _ZERO + rest // unit
        at += 1
        rest %= unit
        unit //= 10
    return at


@kernel
def put_small(out: NDArray[np.uint8], at: int, value: int) -> int:
    """A whole number from -9 to 99."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    if value >= 10:
        out[at] = _ZERO + value // 10
        at += 1
    out[at] = _ZERO + value % 10
    return at + 1


@kernel
def put_score(out: NDArray[np.uint8], at: int, score: float) -> int:
    """A number in [0, 10) with five decimals, trailing zeros left out."""
    scaled = min(int(min(max(score, 0.0), 9.99999) * 100_000 + 0.5), 999_999)
    out[at] = _ZERO + scaled // 100_000
    at += 1
    rest = scaled % 100_000
    if rest:
        out[at] = _POINT
        at += 1
        unit = 10_000
        while rest:
            out[at] = _ZERO + rest // unit
            at += 1
            rest %= unit
            unit //= 10
    return at
