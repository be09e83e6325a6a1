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
    """A number in [0, 10) with five decimals, trailing zeros left out. Divisors are constants, by which no
    processor divides."""
    scaled = min(int(min(max(score, 0.0), 9.99999) * 100_000 + 0.5), 999_999)
    whole = scaled // 100_000
    rest = scaled - whole * 100_000
    out[at] = _ZERO + whole
    if rest == 0:
        return at + 1
    thousands = rest // 1_000
    units = rest - thousands * 1_000
    out[at + 1] = _POINT
    out[at + 2] = _ZERO + thousands // 10
    out[at + 3] = _ZERO + thousands % 10
    out[at + 4] = _ZERO + units // 100
    out[at + 5] = _ZERO + units // 10 % 10
    out[at + 6] = _ZERO + units % 10
    end = at + 7
    while out[end - 1] == _ZERO:
        end -= 1
    return end
