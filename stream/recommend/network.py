"""What a small network adds to the worths of the best candidates, and the order that comes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.recommend.features import HELD, N_CONTEXTS, N_FEATURES, Description
from stream.recommend.pool import Pool
from stream.recommend.rank import KEPT, Ranking, goes_before
from stream.state.interner import Names
from stream.state.jit import small_kernel

HIDDEN = 16
"""Rectified units: eight find three quarters of what sixteen do, in three quarters of the time."""

BIAS = N_FEATURES * HIDDEN
OUT = BIAS + N_CONTEXTS * HIDDEN
SIZE = OUT + HIDDEN
"""Parameters in one row: what each unit makes of a feature (features, `HIDDEN`), the bias of each unit by
context (contexts, `HIDDEN`; those of the contexts that hold are added up), what each unit is worth."""


class Network(NamedTuple):
    """`weight`: the parameters, float32; `active`: they are used; the rest is room to work in."""

    weight: NDArray[np.float32]
    active: NDArray[np.bool_]
    near: NDArray[np.float32]
    unit: NDArray[np.float32]
    added: NDArray[np.float32]


def no_network() -> Network:
    """One that is not used."""
    return Network(
        np.zeros(SIZE, np.float32),
        np.zeros(1, np.bool_),
        np.zeros((N_FEATURES, KEPT), np.float32),
        np.zeros(KEPT, np.float32),
        np.zeros(KEPT, np.float32),
    )


@small_kernel
def refine(
    pool: Pool, names: Names, network: Network, description: Description, ranking: Ranking, most: int
) -> None:
    """Put the first `KEPT` of the model's order into another one, and cut it after `most`. 2 µs.

    What is added counts from what the last of them gets, so that what stands behind them stays there.
    """
    order, worth, added = ranking.order, ranking.worth, network.added
    size = min(ranking.size[0], KEPT)
    if size > 1:
        _add_units(network, description, order, size)
        for k in range(size):
            worth[order[k]] += added[k] - added[size - 1]
        for k in range(1, size):
            c, at = order[k], k
            while at > 0 and goes_before(worth[c], c, worth[order[at - 1]], order[at - 1], pool, names):
                order[at] = order[at - 1]
                at -= 1
            order[at] = c
    ranking.size[0] = min(ranking.size[0], most)


@small_kernel
def _add_units(network: Network, description: Description, order: NDArray[np.int32], size: int) -> None:
    """Write what the units add to each of the first `size` candidates; room behind them is written, too, so
    that the loops have the same length always."""
    w, near, unit, added = network.weight, network.near, network.unit, network.added
    value, used = description.value, description.used[0]
    for f in range(used):
        for k in range(size):
            near[f, k] = value[f, order[k]]
    for k in range(KEPT):
        added[k] = np.float32(0.0)
    for h in range(HIDDEN):
        bias, out = np.float32(0.0), w[OUT + h]
        for j in range(HELD):
            bias += w[BIAS + description.context[j] * HIDDEN + h]
        for k in range(KEPT):
            unit[k] = bias
        # Five features at once: half the time goes into reading and writing the units else.
        for f in range(0, used - 4, 5):
            at = f * HIDDEN + h
            w0, w1, w2 = w[at], w[at + HIDDEN], w[at + 2 * HIDDEN]
            w3, w4 = w[at + 3 * HIDDEN], w[at + 4 * HIDDEN]
            n0, n1, n2, n3, n4 = near[f], near[f + 1], near[f + 2], near[f + 3], near[f + 4]
            for k in range(KEPT):
                unit[k] += w0 * n0[k] + w1 * n1[k] + w2 * n2[k] + w3 * n3[k] + w4 * n4[k]
        for f in range(used - used % 5, used):
            for k in range(KEPT):
                unit[k] += w[f * HIDDEN + h] * near[f, k]
        for k in range(KEPT):
            added[k] += (unit[k] if unit[k] > np.float32(0.0) else np.float32(0.0)) * out
