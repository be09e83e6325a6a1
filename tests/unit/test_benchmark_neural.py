"""What `benchmarks.neural` prints of a shop where the network finds what no sum of features can say."""

from __future__ import annotations

import numpy as np

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
    mrr = rankers.standing.means()["mrr@20"]
    assert mrr["champion"] < 0.4, "to a linear model the ends are alike"
    assert mrr["lead_from"] > 0.1
