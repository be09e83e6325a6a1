"""What a `request_id` names: a list by its version, of which the offset is enough to find it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel

NO_REQUEST, OTHER = 0, -1
"""No `request_id`, and one that is no version of a list."""

_DASH, _ZERO, _NINE = 0x2D, 0x30, 0x39
_DIGITS = 18


@kernel
def offset_named(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """1 + the offset in the version at ``data[start:stop]`` (lineage, dash, offset), `OTHER` for any other
    text, `NO_REQUEST` for none; 40 ns for a version."""
    if start >= stop:
        return NO_REQUEST
    at = start
    while at < stop and data[at] != _DASH:
        at += 1
    if stop - at < 2 or stop - at > 1 + _DIGITS:
        return OTHER
    offset = 0
    for k in range(at + 1, stop):
        if data[k] < _ZERO or data[k] > _NINE:
            return OTHER
        offset = offset * 10 + data[k] - _ZERO
    return offset + 1
