"""Rankings that learn beside one another, of which the one that has done best is published.

Where a shop is so small that a first-order Markov chain is the whole truth, every further feature only adds
noise: a model that knows steps alone then ranks better by .001 to .002 of reciprocal rank. Elsewhere it is
far behind. Each expert is judged on every list before it learns from it.

The network (`stream.learn.network`) is one more: the blend's order, refined. It needs some thousand lists
before it is any better, and is passed over until then.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from stream.learn import listwise, network
from stream.learn.examples import Labelled
from stream.learn.model import Expert, Layer, fits, rounded
from stream.recommend.features import FEATURES
from stream.recommend.network import HIDDEN

MARKOV_FEATURES = (
    "step_of_best",
    "log_step_of_best",
    "log_markov",
    "step",
    "log_interpolated",
    "owned",
    "of_interest",
)

BLEND, NETWORK = "blend", "network"

EXPERTS = {BLEND: FEATURES, "markov": MARKOV_FEATURES}
"""Features of linear models by name; of equals the first is preferred."""

FADE = 0.9999
"""Weight of the past per list: the last 10,000 decide, because the differences that matter are small."""

_CUTOFF = 20

_NETWORK_RATE = network.RATE / listwise.RATE


class Experts:
    """All of `EXPERTS`, and the network; 38 µs a list."""

    def __init__(self, known: dict[str, Expert] | None = None, layer: Layer | None = None) -> None:
        """`known`, `layer`: to go on from."""
        self.weights = {name: listwise.new_weights(features) for name, features in EXPERTS.items()}
        self.units = network.new_units()
        self.gain = dict.fromkeys((*EXPERTS, NETWORK), 0.0)
        for name, expert in (known or {}).items():
            if name in EXPERTS:
                self.weights[name] = restored(expert, EXPERTS[name])
                self.gain[name] = expert.gain
        if layer is not None and fits(layer):
            self.units.weight[:] = self.units.mean[:] = layer.weights
            self.units.squares[:] = layer.squares
            self.units.seen[:] = int(listwise.MEMORY)
            self.gain[NETWORK] = layer.gain

    @property
    def best(self) -> str:
        """The name of the one to be published."""
        return max(self.gain, key=lambda name: self.gain[name])

    def learn(self, labelled: Labelled, rate: float) -> NDArray[np.int64]:
        """Judge all by these lists, then have them learn; the places of what was taken, from 0, by the best
        as it was before."""
        lists = (labelled.value, labelled.context, labelled.size, labelled.taken)
        rest = (labelled.weight, labelled.shown)
        best = self.best
        places = {name: np.zeros(len(labelled.size), np.int64) for name in self.gain}
        # Before the linear model learns: the network refines what it says now.
        network.ranks(self.units, self.weights[BLEND], *lists, places[NETWORK])
        network.learn(self.units, self.weights[BLEND], *lists, *rest, rate * _NETWORK_RATE)
        for name, weights in self.weights.items():
            listwise.ranks(weights, *lists, places[name])
            listwise.learn(weights, *lists, *rest, rate)
        for name, place in places.items():
            self.gain[name] = faded(self.gain[name], place)
        return places[best]

    def chances(
        self, labelled: Labelled, which: NDArray[np.int64], candidate: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """What the best thinks of one candidate each of lists `which`."""
        chance = np.zeros(len(which), np.float32)
        refined = self.best == NETWORK
        network.chances(
            self.units, self.weights[BLEND if refined else self.best], labelled.value, labelled.context,
            labelled.size, which, candidate, refined, chance,
        )  # fmt: skip
        return chance

    def promote(self, expert: Expert) -> None:
        """Go on from another model, as the one that has ranked best."""
        self.weights[BLEND] = restored(expert, EXPERTS[BLEND])
        self.gain[BLEND] = max(self.gain.values())

    def told(self) -> dict[str, Expert]:
        """All linear ones, to go on from."""
        return {name: packed(weights, self.gain[name]) for name, weights in self.weights.items()}

    def layer(self) -> Layer:
        """The network, to go on from."""
        weights, squares = rounded(np.stack([self.units.mean, self.units.squares]))
        return Layer(HIDDEN, weights, squares, self.gain[NETWORK], self.best == NETWORK)


def restored(expert: Expert, features: Collection[str]) -> listwise.Weights:
    """An expert to go on from, which learns of these features; what it does not say is as at the start."""
    weights = listwise.new_weights(features)
    weights.weight[:] = weights.mean[:] = expert.weights
    if expert.squares:
        weights.squares[:] = expert.squares
    if len(expert.place) == len(expert.place_squares) == listwise.PLACES:
        weights.place[:], weights.place_squares[:] = expert.place, expert.place_squares
    weights.seen[:] = int(listwise.MEMORY)
    return weights


def packed(weights: listwise.Weights, gain: float) -> Expert:
    """The same as it travels."""
    places = rounded(np.stack([weights.place, weights.place_squares]))
    return Expert(rounded(weights.mean), rounded(weights.squares), gain, *places)


def faded(gain: float, place: NDArray[np.int64]) -> float:
    """The faded sum of reciprocal ranks after these places too."""
    age = FADE ** np.arange(len(place) - 1, -1, -1.0)
    return gain * float(FADE ** len(place)) + float(
        (age * np.where(place < _CUTOFF, 1.0 / (place + 1.0), 0.0)).sum()
    )
