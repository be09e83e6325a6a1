"""What a row is worth when room is short, and when to look for rows that nobody needs any more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel

DOUBLING_MS = 86_400_000
"""A day: twice as many events make up for one more day of silence, so a flood of ids that are seen once
displaces itself rather than those who come again and again."""

LOOKS = 8
"""How often in the time of inactivity it is looked who has gone."""


@kernel
def worth_ms(last_ts_ms: int, events: int) -> int:
    """The row that is worth least goes first: last seen, plus `DOUBLING_MS` for every doubling of events."""
    while events > 0:
        last_ts_ms += DOUBLING_MS
        events >>= 1
    return last_ts_ms


def worths_ms(last_ts_ms: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.int64]:
    """`worth_ms` of many rows."""
    doublings = np.frexp(np.maximum(events, 0).astype(np.float64))[1].astype(np.int64)
    return last_ts_ms + DOUBLING_MS * doublings


@kernel
def is_due(before_ms: int, clock_ms: int, inactive_ms: int) -> bool:
    """Whether the clock has just passed one of the moments to look who has been away for `inactive_ms`."""
    every_ms = inactive_ms // LOOKS + 1
    return clock_ms // every_ms > before_ms // every_ms
