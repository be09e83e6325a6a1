"""A network beside the linear model, learned online by the same loss from what that model leaves over.

One hidden layer of rectified units (Nair and Hinton, 2010) over the features of a candidate. What it says is
added to the linear worth, and the likelihood of what was taken is climbed by AdaGrad as in
`stream.learn.listwise`; the mean of late parameters ranks. The linear model learns as if there were no
network: where the network is of no use, nothing is lost by having it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.learn.listwise import (
    FIRST_SQUARES,
    UNIT,
    Weights,
    add_places,
    place_of,
    share_of_mean,
    soften,
    worths,
)
from stream.recommend.exposures import NOT_SHOWN
from stream.recommend.features import HELD, N_FEATURES
from stream.recommend.network import BIAS, HIDDEN, OUT, SIZE
from stream.recommend.rank import KEPT
from stream.state.jit import kernel, long_kernel

RATE = 0.05
"""Length of a step, half of the linear model's; with .1 units fall silent for good on some logs."""


class Units(NamedTuple):
    """Parameters as in `stream.recommend.network`, sums of their squared gradients, their mean, which ranks;
    lists seen. The rest is room to work: `active` what each unit says of each candidate."""

    weight: NDArray[np.float32]
    squares: NDArray[np.float32]
    mean: NDArray[np.float32]
    seen: NDArray[np.int64]
    step: NDArray[np.float32]
    active: NDArray[np.float32]
    bias: NDArray[np.float32]
    used: NDArray[np.float32]
    worth: NDArray[np.float32]


def new_units(seed: int = 1) -> Units:
    """Units that look in random directions and are worth nothing yet."""
    weight = np.zeros(SIZE, np.float32)
    weight[:BIAS] = np.random.default_rng(seed).normal(0, N_FEATURES**-0.5, BIAS)
    return Units(
        weight,
        np.full(SIZE, FIRST_SQUARES, np.float32),
        weight.copy(),
        np.zeros(1, np.int64),
        np.zeros(SIZE, np.float32),
        np.zeros((KEPT, HIDDEN), np.float32),
        np.zeros(HIDDEN, np.float32),
        np.zeros(N_FEATURES, np.float32),
        np.zeros(KEPT, np.float32),
    )


@kernel
def _weigh(
    w: NDArray[np.float32],
    linear: Weights,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: int,
    units: Units,
) -> None:
    """Write what the units say of one list's candidates, and the worths: linear ones and what is added."""
    worths(linear.mean, value, context, size, units.used, units.worth)
    units.bias[:] = 0.0
    for k in range(HELD):
        for h in range(HIDDEN):
            units.bias[h] += w[BIAS + context[k] * HIDDEN + h]
    for c in range(size):
        active = units.active[c]
        for h in range(HIDDEN):
            active[h] = units.bias[h]
        for f in range(N_FEATURES):
            x = np.float32(value[c, f]) * UNIT
            for h in range(HIDDEN):
                active[h] += x * w[f * HIDDEN + h]
        added = np.float32(0.0)
        for h in range(HIDDEN):
            active[h] = max(active[h], np.float32(0.0))
            added += active[h] * w[OUT + h]
        units.worth[c] += added


@kernel
def _up(value: NDArray[np.int16], context: NDArray[np.uint8], size: int, taken: int, units: Units) -> None:
    """Write the gradient of the log-likelihood of what was taken, the worths being chances by now."""
    w, step = units.weight, units.step
    step[:] = 0.0
    for c in range(size):
        wrong = (np.float32(1.0) if c == taken else np.float32(0.0)) - units.worth[c]
        active, back = units.active[c], units.bias
        for h in range(HIDDEN):
            step[OUT + h] += wrong * active[h]
            back[h] = wrong * w[OUT + h] if active[h] > 0.0 else np.float32(0.0)
        for k in range(HELD):
            for h in range(HIDDEN):
                step[BIAS + context[k] * HIDDEN + h] += back[h]
        for f in range(N_FEATURES):
            x = np.float32(value[c, f]) * UNIT
            for h in range(HIDDEN):
                step[f * HIDDEN + h] += x * back[h]


@long_kernel
def ranks(
    units: Units,
    linear: Weights,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: NDArray[np.uint8],
    taken: NDArray[np.uint8],
    out: NDArray[np.int64],
) -> None:
    """Of each list the place of what was taken, from 0; of equals the earlier first."""
    for n in range(len(size)):
        _weigh(units.mean, linear, value[n], context[n], size[n], units)
        out[n] = place_of(taken[n], size[n], units.worth)


@long_kernel
def chances(
    units: Units,
    linear: Weights,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: NDArray[np.uint8],
    which: NDArray[np.int64],
    candidate: NDArray[np.int64],
    refined: bool,
    out: NDArray[np.float32],
) -> None:
    """Of lists `which`, the chances of one candidate each, by the linear model alone or refined."""
    for k in range(len(which)):
        n = which[k]
        if refined:
            _weigh(units.mean, linear, value[n], context[n], size[n], units)
        else:
            worths(linear.mean, value[n], context[n], size[n], units.used, units.worth)
        soften(size[n], units.worth)
        out[k] = units.worth[candidate[k]]


@long_kernel
def learn(
    units: Units,
    linear: Weights,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: NDArray[np.uint8],
    taken: NDArray[np.uint8],
    weight: NDArray[np.uint8],
    shown: NDArray[np.uint8],
    rate: float,
) -> None:
    """One step for each list (columns as in `stream.learn.examples.Labelled`). What places
    explain (`stream.learn.listwise`) is left to the linear model's terms."""
    for n in range(len(size)):
        _weigh(units.weight, linear, value[n], context[n], size[n], units)
        if shown[n, 0] != NOT_SHOWN:
            add_places(linear, shown[n], size[n], units.worth)
        soften(size[n], units.worth)
        _up(value[n], context[n], size[n], taken[n], units)
        units.seen[0] += 1
        by = np.float32(share_of_mean(units.seen[0]))
        fast, often = np.float32(rate), np.float32(weight[n])
        for p in range(SIZE):
            step = units.step[p] * often
            units.squares[p] += step * step
            units.weight[p] += fast * step / np.sqrt(units.squares[p])
            units.mean[p] += by * (units.weight[p] - units.mean[p])
