"""Items whose published values are out of date, first come first served, each at most once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.state.arena import reserve
from stream.state.jit import kernel


class Due(NamedTuple):
    """A ring of item numbers; `ends` = read, written (ever). Flags in the rows keep it free of repeats."""

    number: NDArray[np.int32]
    ends: NDArray[np.int64]


def new_due(max_items: int) -> Due:
    """An empty queue."""
    return Due(reserve(2 * max_items, np.int32), np.zeros(2, np.int64))


@kernel
def push(due: Due, number: int) -> None:
    """Append an item. The caller has seen that its flag was not set, and sets it."""
    due.number[due.ends[1] % len(due.number)] = number
    due.ends[1] += 1


def pop(due: Due, limit: int) -> NDArray[np.int32]:
    """Take out up to `limit` items, the longest waiting first. Their flags are still set, unless the
    row was dropped meanwhile: the caller looks."""
    first = int(due.ends[0])
    count = min(limit, int(due.ends[1]) - first)
    due.ends[0] += count
    return due.number[np.arange(first, first + count) % len(due.number)]
