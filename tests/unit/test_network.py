"""The network beside the linear model: served as it is learned, and passed over where it is of no use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from stream.items.facts import new_facts
from stream.learn import listwise, network
from stream.learn.experts import BLEND, NETWORK, Experts
from stream.learn.learner import Learner
from stream.learn.model import network as served
from stream.learn.model import pack_snapshot, unpack_snapshot
from stream.recommend.exposures import NOT_SHOWN, STEPS_PER_UNIT
from stream.recommend.features import N_CONTEXTS, N_FEATURES, new_description
from stream.recommend.network import BIAS, HIDDEN, OUT, SIZE, no_network, refine
from stream.recommend.pool import LIMIT, SHARE, clear, new_pool, put
from stream.recommend.rank import KEPT, REACH, new_ranking, no_scorer, order_by_model
from stream.state.interner import Interner
from stream.state.jit import kernel
from tests.unit.core_helpers import T0
from tests.unit.test_learner import columns

CONTEXT = (0, 1, 6, 11)

facts, pool, ranking = new_facts(4 * LIMIT), new_pool(), new_ranking()
interner = Interner(4 * LIMIT)
interner.intern("\0".join(f"item-{k}" for k in range(4 * LIMIT)).encode(), 4 * LIMIT)
names, description, scorer = interner.names, new_description(), no_scorer()
description.context[:] = CONTEXT


@kernel
def _order(pool, names, net, description, scorer, ranking, most):
    order_by_model(pool, names, description, scorer, ranking, max(most, KEPT))
    refine(pool, names, net, description, ranking, most)


def added(weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    """What units with these parameters add for candidates of these features (n, features)."""
    look, bias = weight[:BIAS].reshape(N_FEATURES, HIDDEN), weight[BIAS:OUT].reshape(N_CONTEXTS, HIDDEN)
    found: np.ndarray = np.maximum(value @ look + bias[list(CONTEXT)].sum(axis=0), 0.0) @ weight[OUT:]
    return found


@given(st.integers(0, LIMIT), st.sampled_from([1, 20, KEPT, REACH]), st.integers(0, 2**32 - 1))
def test_the_first_of_the_linear_order_are_put_in_order_by_what_is_added(n, most, seed):
    random = np.random.default_rng(seed)
    clear(pool, facts)
    for k in range(n):
        pool.score[SHARE, put(pool, facts, k, 0)] = 1.0
    description.value[:] = random.normal(size=description.value.shape)
    scorer.weights[:] = random.normal(size=scorer.weights.shape)
    net = no_network()
    net.weight[:] = random.normal(0.0, 0.3, SIZE)
    _order(pool, names, net, description, scorer, ranking, most)
    value = description.value[:, :n].T.astype(np.float64)
    linear = value @ scorer.weights[list(CONTEXT)].sum(axis=0)
    before = np.argsort(-linear, kind="stable")[: max(most, KEPT)]
    first = before[:KEPT]
    more = added(net.weight, value)
    worth = linear[first] + more[first] - (more[first[-1]] if n else 0.0)
    expected = [*first[np.argsort(-worth, kind="stable")], *before[KEPT:]][:most]
    assert ranking.order[: ranking.size[0]].tolist() == expected
    assert ranking.worth[ranking.order[: len(expected)]] == pytest.approx(
        [*np.sort(worth)[::-1], *linear[before[KEPT:]]][:most], abs=1e-3
    )


def examples(value: np.ndarray, taken: np.ndarray) -> Any:
    """Columns of lists for kernels."""
    lists, size = value.shape[:2]
    padded = np.zeros((lists, KEPT, N_FEATURES), np.int16)
    padded[:, :size] = value
    shown = np.full((lists, KEPT), NOT_SHOWN, np.uint8)
    context = np.tile(np.array(CONTEXT, np.uint8), (lists, 1))
    sizes = np.full(lists, size, np.uint8)
    return padded, context, sizes, taken.astype(np.uint8), np.ones(lists, np.uint8), shown


def test_a_step_goes_up_the_gradient_of_the_likelihood():
    """Against the gradient by finite differences, of one list of three."""
    random = np.random.default_rng(3)
    value = random.integers(-2048, 2048, (1, 3, N_FEATURES))
    linear, units = listwise.new_weights(), network.new_units()
    units.weight[:] = random.normal(0, 0.4, SIZE)
    before = units.weight.astype(float)

    def likelihood(weight: np.ndarray) -> float:
        x = value[0] / STEPS_PER_UNIT
        worth = x @ linear.mean[list(CONTEXT)].sum(axis=0) + added(weight, x)
        return float(worth[1] - np.log(np.exp(worth).sum()))

    gradient = np.array([likelihood(before + e) - likelihood(before - e) for e in np.eye(SIZE) * 1e-5]) / 2e-5
    network.learn(units, linear, *examples(value, np.array([1])), network.RATE)  # type: ignore[call-arg]
    expected = network.RATE * gradient / np.sqrt(gradient**2 + 0.01)
    assert units.weight - before == pytest.approx(expected, abs=1e-4)
    assert np.abs(expected).max() > 1e-3


def lists_of_both_or_neither(lists: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A shop that no line can describe: taken is what has both of two signs, or neither."""
    random = np.random.default_rng(seed)
    value = random.integers(0, 2, (lists, 8, N_FEATURES)) * 2048
    alike = value[:, :, 4] == value[:, :, 5]
    return value, (alike * 3.0 + random.gumbel(size=alike.shape)).argmax(axis=1)


def test_the_network_ranks_where_no_linear_model_can_and_a_worker_ranks_as_it_does():
    learner, (value, taken) = Learner(), lists_of_both_or_neither(12_000, 1)
    for part in range(0, len(value), 200):
        some = slice(part, part + 200)
        learner.learn([columns(value[some], taken[some], np.zeros((200, 4)))], T0)
    assert learner.experts.best == NETWORK
    snapshot = unpack_snapshot(pack_snapshot(learner.snapshot()))
    assert snapshot.weights == snapshot.experts[BLEND].weights
    net = served(snapshot)
    assert net.active[0]
    value, taken = lists_of_both_or_neither(500, 2)
    of_network, of_blend = np.zeros((2, 500), np.int64)
    lists = examples(value, taken)[:4]
    network.ranks(learner.experts.units, learner.experts.weights[BLEND], *lists, of_network)  # type: ignore[call-arg]
    listwise.ranks(learner.experts.weights[BLEND], *lists, of_blend)  # type: ignore[call-arg]
    assert (1 / (of_network + 1)).mean() > 1.2 * (1 / (of_blend + 1)).mean()
    assert net.weight == pytest.approx(learner.experts.units.mean, rel=1e-4, abs=1e-6)


def test_it_goes_on_where_the_last_snapshot_was_and_one_of_other_units_is_passed_over():
    first, (value, taken) = Learner(), lists_of_both_or_neither(2_000, 3)
    first.learn(
        [columns(value[k : k + 200], taken[k : k + 200], np.zeros((200, 4))) for k in range(0, 2_000, 200)],
        T0,
    )
    snapshot = unpack_snapshot(pack_snapshot(first.snapshot()))
    again = Experts(snapshot.experts, snapshot.network)
    assert again.gain == pytest.approx(first.experts.gain)
    assert again.units.mean == pytest.approx(first.experts.units.mean, rel=1e-5, abs=1e-7)
    assert again.units.squares == pytest.approx(first.experts.units.squares, rel=1e-5)
    assert snapshot.network is not None
    other = structs.replace(snapshot.network, hidden=HIDDEN + 1, refines=True)
    for layer in (other, None):
        assert not served(structs.replace(snapshot, network=layer)).active[0]
        assert Experts(snapshot.experts, layer).gain[NETWORK] == 0.0
