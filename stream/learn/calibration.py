"""How often what the model thinks likely is really taken: River calibrates the model's chances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from river import linear_model, optim

LISTS_A_MESSAGE = 16
"""Lists of a message that are learned from, one candidate of each."""

FADE = 0.999
"""Weight of the past per labelled list in `reach`."""

CHECK_FADE = 0.9998
"""Weight of the past per candidate in what was expected and what happened: one in thirty is taken."""

FIRST_PURCHASE_BIAS = -3.0
"""A click in twenty becomes a purchase, before anything was learned of that."""

_LEAST = 1e-4
_MOST = 700.0


def logit(chance: float) -> float:
    """log(p / (1 - p)) of a chance, kept off its ends."""
    kept = min(max(chance, _LEAST), 1.0 - _LEAST)
    return math.log(kept / (1.0 - kept))


class Calibration:
    """Platt scaling (1999), online: a logistic regression on the logit of the chance; about 5 µs an example.

    A model that is sure and wrong gets a slope below 1. `reach` is how often what came next was among the
    candidates at all. `expected` and `happened`: faded means of the calibrated chances of late, before each
    was learned from, and of what came true.
    """

    def __init__(
        self,
        reach: float = 0.5,
        bias: float = 0.0,
        slope: float = 1.0,
        expected: float = 0.0,
        happened: float = 0.0,
    ) -> None:
        self.reach, self.expected, self.happened = reach, expected, happened
        self._river = linear_model.LogisticRegression(
            optimizer=optim.SGD(0.02),
            initializer=optim.initializers.Constant(slope),
            intercept_init=bias,
            intercept_lr=0.02,
            l2=0.0,
        )
        self._river.learn_one({"logit": 0.0}, True, w=0.0)

    @classmethod
    def of(cls, known: Mapping[str, float], reach: float = 0.5) -> Calibration:
        """One to go on from what `as_dict` said."""
        return cls(reach, known["bias"], known["slope"], known["expected"], known["happened"])

    @property
    def line(self) -> tuple[float, float]:
        """Bias and slope."""
        return float(self._river.intercept), float(self._river.weights.get("logit", 1.0))

    def learn(self, chance: Iterable[tuple[float, bool]]) -> None:
        """Candidates' chances, and whether they were taken."""
        for each, taken in chance:
            x, (bias, slope) = logit(each), self.line
            # As River would say it, in a sixth of the time.
            expected = 1.0 / (1.0 + math.exp(-max(bias + slope * x, -_MOST)))
            self.expected += (1.0 - CHECK_FADE) * (expected - self.expected)
            self.happened += (1.0 - CHECK_FADE) * (taken - self.happened)
            self._river.learn_one({"logit": x}, taken)

    def reached(self, taught: int, labelled: int) -> None:
        """Of `labelled` lists `taught` had what came next among their candidates."""
        if labelled:
            kept = FADE**labelled
            self.reach = self.reach * kept + (1.0 - kept) * taught / labelled

    def as_dict(self) -> dict[str, float]:
        """Bias, slope, and what was expected and happened of late."""
        bias, slope = self.line
        return {"bias": bias, "slope": slope, "expected": self.expected, "happened": self.happened}


def drawn(lists: int, size: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Some lists of a message at even distances, and a candidate of each at a place that shifts: (list,
    candidate). No chance is involved."""
    which = np.unique(np.linspace(0, lists - 1, min(lists, LISTS_A_MESSAGE)).astype(np.int64))
    return which, (seed + np.arange(len(which)) * 7) % np.maximum(size[which], 1)
