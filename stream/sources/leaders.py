"""The heaviest items of a group, kept in falling order as weights rise; and decay by half-life.

A weight only ever rises between two rescalings, so a list that an item joins when its weight passes the last
one's is exactly the top, until something is forgotten: what moves up then is whatever has an event next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel

REBASE_HALF_LIVES = 512.0
"""A weight of 1 grows to 2 ** this before all are scaled down; float64 ends at 2 ** 1023."""


@kernel
def gain_at(
    clock: NDArray[np.float64], weights: NDArray[np.float64], ts_ms: int, half_life_ms: float
) -> float:
    """What an event at `ts_ms` adds: 2 to the power of the half-lives since the landmark, ``clock[0]``.

    ``clock[1]`` is the largest of these gains so far: what one event now is worth. Weights are scaled by an
    exact power of two when the landmark moves.
    """
    if clock[1] == 0.0:
        clock[0] = ts_ms
    ahead = (ts_ms - clock[0]) / half_life_ms
    if ahead > REBASE_HALF_LIVES:
        halvings = np.floor(ahead)
        clock[0] += halvings * half_life_ms
        clock[1] *= 2.0**-halvings
        for k in range(len(weights)):
            weights[k] *= 2.0**-halvings
        ahead -= halvings
    gain = 2.0**ahead
    clock[1] = max(clock[1], gain)
    return gain  # type: ignore[no-any-return]


@kernel
def rise(
    leaders: NDArray[np.int32], item: int, weights: NDArray[np.float64], first: int, ties: NDArray[np.uint64]
) -> None:
    """Move an item, whose weight has risen, to its place in `leaders` (item + 1; 0 ends the list).

    The weight of item i is ``weights[first + i]``. Of equal weights the lesser hash comes first.
    """
    last = len(leaders) - 1
    at = last + 1
    for k in range(last + 1):
        if leaders[k] == item + 1 or leaders[k] == 0:
            at = k
            break
    if at > last:
        if not _before(item, leaders[last] - 1, weights, first, ties):
            return
        at = last
    while at > 0 and _before(item, leaders[at - 1] - 1, weights, first, ties):
        leaders[at] = leaders[at - 1]
        at -= 1
    leaders[at] = item + 1


@kernel
def _before(
    item: int, other: int, weights: NDArray[np.float64], first: int, ties: NDArray[np.uint64]
) -> bool:
    a, b = weights[first + item], weights[first + other]
    return a > b or (a == b and ties[item] < ties[other])  # type: ignore[no-any-return]


@kernel
def close_up(leaders: NDArray[np.int32], gone: NDArray[np.bool_]) -> None:
    """Take what is gone out of many lists (m, length)."""
    for g in range(len(leaders)):
        n = 0
        for k in range(leaders.shape[1]):
            item = leaders[g, k]
            leaders[g, k] = 0
            if item != 0 and not gone[item]:
                leaders[g, n] = item
                n += 1


@kernel
def remove(leaders: NDArray[np.int32], item: int) -> None:
    """Take one item out of one list."""
    n = 0
    for k in range(len(leaders)):
        other = leaders[k]
        leaders[k] = 0
        if other != 0 and other != item + 1:
            leaders[n] = other
            n += 1
