"""The network of `benchmarks.neural` finds what no sum of features can say."""

from __future__ import annotations

import numpy as np

from benchmarks.network import BIAS, HIDDEN, LINEAR, OUT, SIZE, new_network, rank_and_learn
from benchmarks.neural import Rankers
from stream.learn.examples import Labelled, unpack_examples
from stream.recommend.features import N_FEATURES
from tests.unit.test_learner import columns


def lists(count: int, seed: int) -> Labelled:
    """Lists of which what is far from the middle in the first feature is mostly taken."""
    random = np.random.default_rng(seed)
    value = random.integers(-2048, 2048, (count, 10, N_FEATURES))
    taken = (np.abs(value[:, :, 0]) / 2048 * 8 + random.gumbel(size=(count, 10))).argmax(axis=1)
    return Labelled(unpack_examples(columns(value, taken, np.zeros((count, 4))).value or b""))


def test_what_is_worth_most_at_both_ends_is_found():
    rankers = Rankers()
    for seed in range(20):
        rankers.learn(lists(200, seed), 200, seed >= 15)
    mrr = rankers.standings["network"].means()["mrr@20"]
    assert mrr["champion"] < 0.4, "to a linear model the ends are alike"
    assert mrr["lead_from"] > 0.1


def test_a_step_goes_up_the_gradient_of_the_likelihood():
    """Against finite differences, of one list."""
    one, net = lists(1, 3), new_network()
    net.weight[:] += np.random.default_rng(2).normal(0, 0.1, SIZE).astype(np.float32)
    start = net.weight.astype(float)
    place = np.zeros(1, np.int64)
    rank_and_learn(net, one.value, one.context, one.size, one.taken, one.weight, 0.05, place)
    moved = net.weight - start
    assert np.count_nonzero(moved) > 100
    for at in np.flatnonzero(moved)[::20]:
        unit = np.zeros(SIZE)
        unit[at] = 1e-4
        slope = likelihood(start + unit, one) - likelihood(start - unit, one)
        assert np.sign(slope) == np.sign(moved[at]) or abs(slope) < 1e-8


def likelihood(weight: np.ndarray, one: Labelled) -> float:
    """Log of the chance of what was taken of a list, as numpy has it."""
    value, context = one.value[0, : one.size[0]] / 2048, one.context[0]
    into = weight[:BIAS].reshape(HIDDEN, N_FEATURES)
    bias = weight[BIAS:OUT].reshape(-1, HIDDEN)[context].sum(axis=0)
    linear = weight[LINEAR:].reshape(-1, N_FEATURES)[context].sum(axis=0)
    worth = value @ linear + np.maximum(value @ into.T + bias, 0.0) @ weight[OUT:LINEAR]
    return float(worth[one.taken[0]] - np.log(np.exp(worth).sum()))
