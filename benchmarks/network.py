"""A small network beside the linear model, learned online by the same listwise loss (`benchmarks.neural`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.learn import listwise
from stream.recommend.exposures import STEPS_PER_UNIT
from stream.recommend.features import HELD, N_CONTEXTS, N_FEATURES
from stream.recommend.rank import KEPT
from stream.state.jit import kernel, long_kernel

HIDDEN = 16

_UNIT = np.float32(1.0 / STEPS_PER_UNIT)


class Network(NamedTuple):
    """Parameters in one row: of units (hidden, features), of units by context (contexts, hidden), of which
    those of the contexts that hold are added up, of what units are worth (hidden), and the linear model
    (contexts, features). Then squares of gradients, mean parameters, lists seen, and room to work."""

    weight: NDArray[np.float32]
    squares: NDArray[np.float32]
    mean: NDArray[np.float32]
    seen: NDArray[np.int64]
    step: NDArray[np.float32]
    active: NDArray[np.float32]
    used: NDArray[np.float32]
    worth: NDArray[np.float32]


BIAS = HIDDEN * N_FEATURES
OUT = BIAS + N_CONTEXTS * HIDDEN
LINEAR = OUT + HIDDEN
SIZE = LINEAR + N_CONTEXTS * N_FEATURES


def new_network(seed: int = 1) -> Network:
    """The linear model as it begins, and units that look in random directions and are worth nothing yet."""
    weight = np.zeros(SIZE, np.float32)
    weight[:BIAS] = np.random.default_rng(seed).normal(0, N_FEATURES**-0.5, BIAS)
    weight[LINEAR:] = listwise.new_weights().weight.ravel()
    return Network(
        weight,
        np.full(SIZE, 1e-2, np.float32),
        weight.copy(),
        np.zeros(1, np.int64),
        np.zeros(SIZE, np.float32),
        np.zeros((KEPT, HIDDEN), np.float32),
        np.zeros(N_FEATURES + HIDDEN, np.float32),
        np.zeros(KEPT, np.float32),
    )


@kernel
def _weigh(
    w: NDArray[np.float32], value: NDArray[np.int16], context: NDArray[np.uint8], size: int, net: Network
) -> None:
    """Write the units and the worths of one list's candidates."""
    used = net.used
    used[:] = 0.0
    for k in range(HELD):
        for f in range(N_FEATURES):
            used[f] += w[LINEAR + context[k] * N_FEATURES + f]
        for h in range(HIDDEN):
            used[N_FEATURES + h] += w[BIAS + context[k] * HIDDEN + h]
    for c in range(size):
        worth = np.float32(0.0)
        for f in range(N_FEATURES):
            worth += used[f] * np.float32(value[c, f]) * _UNIT
        for h in range(HIDDEN):
            found = used[N_FEATURES + h]
            for f in range(N_FEATURES):
                found += w[h * N_FEATURES + f] * np.float32(value[c, f]) * _UNIT
            net.active[c, h] = max(found, np.float32(0.0))
            worth += net.active[c, h] * w[OUT + h]
        net.worth[c] = worth


@kernel
def _soften(size: int, worth: NDArray[np.float32]) -> None:
    best, total = np.float32(-1e30), np.float32(0.0)
    for c in range(size):
        best = max(best, worth[c])
    for c in range(size):
        worth[c] = np.exp(worth[c] - best)
        total += worth[c]
    for c in range(size):
        worth[c] /= total


@kernel
def _up(value: NDArray[np.int16], context: NDArray[np.uint8], size: int, taken: int, net: Network) -> None:
    """Write the gradient of the log-likelihood of what was taken, worths being chances."""
    w, step = net.weight, net.step
    step[:] = 0.0
    for c in range(size):
        wrong = (np.float32(1.0) if c == taken else np.float32(0.0)) - net.worth[c]
        for k in range(HELD):
            for f in range(N_FEATURES):
                step[LINEAR + context[k] * N_FEATURES + f] += wrong * np.float32(value[c, f]) * _UNIT
        for h in range(HIDDEN):
            if net.active[c, h] > 0.0:
                step[OUT + h] += wrong * net.active[c, h]
                back = wrong * w[OUT + h]
                for k in range(HELD):
                    step[BIAS + context[k] * HIDDEN + h] += back
                for f in range(N_FEATURES):
                    step[h * N_FEATURES + f] += back * np.float32(value[c, f]) * _UNIT


@long_kernel
def rank_and_learn(
    net: Network,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: NDArray[np.uint8],
    taken: NDArray[np.uint8],
    weight: NDArray[np.uint8],
    rate: float,
    place: NDArray[np.int64],
) -> None:
    """Write the places of what was taken by the mean parameters, of each list before it is learned from."""
    for n in range(len(size)):
        _weigh(net.mean, value[n], context[n], size[n], net)
        place[n] = 0
        mine = net.worth[taken[n]]
        for c in range(size[n]):
            place[n] += net.worth[c] > mine or (net.worth[c] == mine and c < taken[n])
        _weigh(net.weight, value[n], context[n], size[n], net)
        _soften(size[n], net.worth)
        _up(value[n], context[n], size[n], taken[n], net)
        net.seen[0] += 1
        by = np.float32(max(1.0 / listwise.MEMORY, min(1.0, 10.0 / net.seen[0])))
        for p in range(SIZE):
            step = net.step[p] * np.float32(weight[n])
            fast = listwise.RATE if p >= LINEAR else rate
            net.squares[p] += step * step
            net.weight[p] += np.float32(fast) * step / np.sqrt(net.squares[p])
            net.mean[p] += by * (net.weight[p] - net.mean[p])


@long_kernel
def rerank(
    w: NDArray[np.float32],
    value: NDArray[np.float32],
    order: NDArray[np.int32],
    context: NDArray[np.uint8],
    near: NDArray[np.float32],
    unit: NDArray[np.float32],
    worth: NDArray[np.float32],
    times: int,
) -> float:
    """What a worker would do with the first candidates of a list, so many times over."""
    total = 0.0
    for t in range(times):
        for f in range(N_FEATURES):
            for k in range(KEPT):
                near[f, k] = value[f, order[k]]
        worth[:] = np.float32(t)
        for h in range(HIDDEN):
            bias, out = np.float32(0.0), w[OUT + h]
            for j in range(HELD):
                bias += w[BIAS + context[j] * HIDDEN + h]
            for k in range(KEPT):
                unit[k] = bias
            # Five features at once: half the time goes into reading and writing the units else.
            for f in range(0, N_FEATURES - 4, 5):
                at = h * N_FEATURES + f
                w0, w1, w2, w3, w4 = w[at], w[at + 1], w[at + 2], w[at + 3], w[at + 4]
                n0, n1, n2, n3, n4 = near[f], near[f + 1], near[f + 2], near[f + 3], near[f + 4]
                for k in range(KEPT):
                    unit[k] += w0 * n0[k] + w1 * n1[k] + w2 * n2[k] + w3 * n3[k] + w4 * n4[k]
            for f in range(N_FEATURES - N_FEATURES % 5, N_FEATURES):
                for k in range(KEPT):
                    unit[k] += w[h * N_FEATURES + f] * near[f, k]
            for k in range(KEPT):
                worth[k] += (unit[k] if unit[k] > np.float32(0.0) else np.float32(0.0)) * out
        total += worth[t % KEPT]
    return total
