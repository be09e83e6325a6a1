"""Rankings that learn beside one another, of which the one that has done best is published.

Where a shop is so small that a first-order Markov chain is the whole truth, every further feature only adds
noise: a model that knows steps alone then ranks better by .001 to .002 of reciprocal rank. Elsewhere it is
far behind. Each expert is judged on every list before it learns from it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.learn import listwise
from stream.learn.examples import Labelled
from stream.learn.model import Expert, rounded
from stream.recommend.features import FEATURES

MARKOV_FEATURES = ("step_of_best", "log_step_of_best", "log_markov", "step", "log_interpolated", "owned")

EXPERTS = {"blend": FEATURES, "markov": MARKOV_FEATURES}
"""Features by name; of equals the first is preferred."""

FADE = 0.9999
"""Weight of the past per list: the last 10,000 decide, because the differences that matter are small."""

_CUTOFF = 20


class Experts:
    """All of `EXPERTS`; 8 µs a list."""

    def __init__(self, known: dict[str, Expert] | None = None) -> None:
        """`known`: to go on from."""
        self.weights = {name: listwise.new_weights(features) for name, features in EXPERTS.items()}
        self.gain = dict.fromkeys(EXPERTS, 0.0)
        for name, expert in (known or {}).items():
            if name in EXPERTS:
                weights = self.weights[name]
                weights.weight[:] = weights.mean[:] = expert.weights
                weights.squares[:] = expert.squares
                weights.seen[:] = int(listwise.MEMORY)
                self.gain[name] = expert.gain

    @property
    def best(self) -> str:
        """The name of the one to be published."""
        return max(self.gain, key=lambda name: self.gain[name])

    def learn(self, labelled: Labelled, rate: float) -> None:
        """Judge all by these lists, then have them learn."""
        lists = (labelled.value, labelled.context, labelled.size, labelled.taken)
        place = np.zeros(len(labelled.size), np.int64)
        for name, weights in self.weights.items():
            listwise.ranks(weights, *lists, place)
            self.gain[name] = faded(self.gain[name], place)
            listwise.learn(weights, *lists, labelled.weight, rate)

    def told(self) -> dict[str, Expert]:
        """All of them, to go on from."""
        return {
            name: Expert(rounded(weights.mean), rounded(weights.squares), self.gain[name])
            for name, weights in self.weights.items()
        }


def faded(gain: float, place: NDArray[np.int64]) -> float:
    """The faded sum of reciprocal ranks after these places too."""
    age = FADE ** np.arange(len(place) - 1, -1, -1.0)
    return gain * float(FADE ** len(place)) + float(
        (age * np.where(place < _CUTOFF, 1.0 / (place + 1.0), 0.0)).sum()
    )
