"""Listwise learning of the ranking weights: of what was on a list, which one was taken?

The likelihood of a choice is the softmax of the candidates' worths (McFadden, 1974; as a ranking loss
ListNet, Cao et al., 2007), climbed by AdaGrad (Duchi, Hazan and Singer, 2011). Ranking uses the mean of late
weights (Polyak and Juditsky, 1992): single steps are noisy.

What stands higher is clicked more for standing there. Where an impression told the places of a list, the
worth of a candidate has a term of its place beside those of its features, learned with them and left out
when ranking (PAL, Guo et al., 2019): what the place explains is not put down to features that go with it.
Weighing clicks by the inverse of their places' propensity instead (Joachims, Swaminathan and Schnabel, 2017)
would need these propensities beforehand, from lists shuffled on purpose, and a bound on weights that get
large. Place and worth can be told apart because the same worth stands at many places: candidates differ
from list to list.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.recommend.exposures import NOT_SHOWN, STEPS_PER_UNIT
from stream.recommend.features import BOUGHT_BEFORE, FEATURES, HELD, N_CONTEXTS, N_FEATURES, OF_INTEREST
from stream.recommend.rank import KEPT, LENGTH
from stream.state.jit import kernel, long_kernel

RATE = 0.1
"""Length of a step; .05 and .2 are alike after some thousand lists."""

MEMORY = 2000.0
"""Lists whose weights are averaged, at most; at first a tenth of all."""

BUYS_AGAIN = -3.0
"""Weight of having been bought before anything was learned of it: one in twenty of what is else alike."""

PLACES = LENGTH
"""Places with a term of their own; what stands below them has that of the last."""

INTERESTED, INTERESTED_FIRST = 1.0, 2.0
"""Weight of being of a stated category before anything was learned of it, and what is added for who has
looked at one item at most: twenty times as likely then as what is else alike."""

FIRST_SQUARES = 1e-2
"""Squared gradients that are there before any: what the first step is divided by."""

UNIT = np.float32(1.0 / STEPS_PER_UNIT)
"""What a step of a feature as it travels is worth."""


class Weights(NamedTuple):
    """By context and feature: the weights, the sums of squared gradients behind their step lengths, and the
    mean weights that rank; `seen`: lists by context; `mask`: 1 for each feature that is used. `place` and
    `place_squares`: the terms of places, and their sums of squares. The rest is room to work."""

    weight: NDArray[np.float32]
    squares: NDArray[np.float32]
    mean: NDArray[np.float32]
    seen: NDArray[np.int64]
    mask: NDArray[np.float32]
    place: NDArray[np.float32]
    place_squares: NDArray[np.float32]
    place_step: NDArray[np.float32]
    used: NDArray[np.float32]
    chance: NDArray[np.float32]


def new_weights(features: Collection[str] = FEATURES) -> Weights:
    """All zero, but that nobody is thought to buy the same again, and everybody to mean what they state; only
    the weights of `features` will ever change."""
    weight = np.zeros((N_CONTEXTS, N_FEATURES), np.float32)
    weight[0, BOUGHT_BEFORE] = BUYS_AGAIN
    # Context 1: the shortest sessions.
    weight[:2, OF_INTEREST] = INTERESTED, INTERESTED_FIRST
    return Weights(
        weight,
        np.full(weight.shape, FIRST_SQUARES, np.float32),
        weight.copy(),
        np.zeros(N_CONTEXTS, np.int64),
        np.array([name in features for name in FEATURES], np.float32),
        np.zeros(PLACES, np.float32),
        np.full(PLACES, FIRST_SQUARES, np.float32),
        np.zeros(PLACES, np.float32),
        np.zeros(N_FEATURES, np.float32),
        np.zeros(KEPT, np.float32),
    )


@kernel
def worths(
    w: NDArray[np.float32],
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: int,
    used: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write the worths of one list's candidates."""
    for f in range(N_FEATURES):
        used[f] = 0.0
        for k in range(HELD):
            used[f] += w[context[k], f] * UNIT
    for c in range(size):
        worth = np.float32(0.0)
        for f in range(N_FEATURES):
            worth += used[f] * np.float32(value[c, f])
        out[c] = worth


@kernel
def soften(size: int, chance: NDArray[np.float32]) -> None:
    """Make chances of worths: their softmax."""
    best, total = np.float32(-1e30), np.float32(0.0)
    for c in range(size):
        best = max(best, chance[c])
    for c in range(size):
        chance[c] = np.exp(chance[c] - best)
        total += chance[c]
    for c in range(size):
        chance[c] /= total


@kernel
def place_of(taken: int, size: int, worth: NDArray[np.float32]) -> int:
    """The place of what was taken, from 0; of equals the earlier first."""
    place = 0
    for c in range(size):
        place += worth[c] > worth[taken] or (worth[c] == worth[taken] and c < taken)
    return place


@kernel
def add_places(weights: Weights, shown: NDArray[np.uint8], size: int, worth: NDArray[np.float32]) -> None:
    """Add the terms of the places at which candidates were shown to their worths."""
    for c in range(size):
        worth[c] += weights.place[min(shown[c], PLACES - 1)]


@kernel
def share_of_mean(seen: int) -> float:
    """What the latest of `seen` weights is worth in their mean."""
    return max(1.0 / MEMORY, min(1.0, 10.0 / seen))


@long_kernel
def ranks(
    weights: Weights,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: NDArray[np.uint8],
    taken: NDArray[np.uint8],
    out: NDArray[np.int64],
) -> None:
    """Of each list the place of what was taken, from 0, by the weights that rank; of equals the earlier
    first."""
    for n in range(len(size)):
        worths(weights.mean, value[n], context[n], size[n], weights.used, weights.chance)
        out[n] = place_of(taken[n], size[n], weights.chance)


@long_kernel
def learn(
    weights: Weights,
    value: NDArray[np.int16],
    context: NDArray[np.uint8],
    size: NDArray[np.uint8],
    taken: NDArray[np.uint8],
    weight: NDArray[np.uint8],
    shown: NDArray[np.uint8],
    rate: float,
) -> None:
    """One step up the log-likelihood for each list (columns as in `stream.learn.examples.Labelled`); about
    4 µs each, .2 µs more where places are known."""
    w, chance = weights.weight, weights.chance
    for n in range(len(size)):
        worths(w, value[n], context[n], size[n], weights.used, chance)
        # All places of a list are known, or none.
        if shown[n, 0] == NOT_SHOWN:
            soften(size[n], chance)
        else:
            _learn_places(weights, shown[n], size[n], taken[n], weight[n], rate)
        for f in range(N_FEATURES):
            gradient = np.float32(value[n, taken[n], f])
            for c in range(size[n]):
                gradient -= chance[c] * np.float32(value[n, c, f])
            gradient *= weights.mask[f] * UNIT * np.float32(weight[n])
            for k in range(HELD):
                at = context[n, k]
                weights.squares[at, f] += gradient * gradient
                w[at, f] += np.float32(rate) * gradient / np.sqrt(weights.squares[at, f])
        for k in range(HELD):
            at = context[n, k]
            weights.seen[at] += 1
            by = np.float32(share_of_mean(weights.seen[at]))
            for f in range(N_FEATURES):
                weights.mean[at, f] += by * (w[at, f] - weights.mean[at, f])


@kernel
def _learn_places(
    weights: Weights, shown: NDArray[np.uint8], size: int, taken: int, weight: int, rate: float
) -> None:
    """Add the terms of places to worths, make them chances, and go one step up with the terms."""
    chance, step = weights.chance, weights.place_step
    add_places(weights, shown, size, chance)
    soften(size, chance)
    step[:] = 0.0
    step[min(shown[taken], PLACES - 1)] = 1.0
    for c in range(size):
        step[min(shown[c], PLACES - 1)] -= chance[c]
    for p in range(PLACES):
        gradient = step[p] * np.float32(weight)
        weights.place_squares[p] += gradient * gradient
        weights.place[p] += np.float32(rate) * gradient / np.sqrt(weights.place_squares[p])
