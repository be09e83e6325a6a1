"""Clicks that depend on where an item stood: the learner is not to mistake places for worth."""

from __future__ import annotations

import numpy as np
import pytest

from stream.events.records import LogRecord
from stream.learn.learner import Learner
from stream.learn.listwise import PLACES
from stream.learn.model import pack_snapshot, unpack_snapshot
from stream.recommend.exposures import NOT_SHOWN
from stream.recommend.features import N_FEATURES
from tests.unit.core_helpers import T0
from tests.unit.test_learner import columns

SIZE, TRUTH, DEEPER = 10, 1.5, 0.3
"""Candidates a list, worth of a unit of the first feature, and by how much a place is worth less than that
above."""


def clicks(lists: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists in an order that goes by the first feature mostly, and what was clicked, by worth and by place:
    values, positions, taken."""
    random = np.random.default_rng(seed)
    value = np.zeros((lists, SIZE, N_FEATURES), np.int64)
    value[:, :, :2] = random.integers(-2048, 2048, (lists, SIZE, 2))
    order = value[:, :, 0] / 2048 + random.normal(0, 0.7, (lists, SIZE))
    shown = (-order).argsort(axis=1).argsort(axis=1)
    worth = TRUTH * value[:, :, 0] / 2048 - DEEPER * shown + random.gumbel(size=(lists, SIZE))
    return value, shown, worth.argmax(axis=1)


def taught(corrected: bool, seed: int = 1) -> Learner:
    learner = Learner()
    for part in range(40):
        value, shown, taken = clicks(250, seed * 1_000 + part)
        full = np.full((250, 40), NOT_SHOWN, np.uint8)
        if corrected:
            full[:, :SIZE] = shown
        learner.learn([columns(value, taken, np.zeros((250, 4)), shown=full.tobytes())], T0)
    return learner


def weight(learner: Learner) -> float:
    """What a unit of the first feature is worth by what was learned."""
    return float(learner.experts.weights["blend"].mean[[0, 1, 6, 11], 0].sum())


@pytest.mark.parametrize("seed", [1, 2])
def test_with_places_known_what_is_learned_of_features_is_nearer_to_the_truth(seed):
    corrected, plain = weight(taught(True, seed)), weight(taught(False, seed))
    assert plain > TRUTH + 0.4, "what stands higher is taken for worth more than it is"
    assert abs(corrected - TRUTH) < abs(plain - TRUTH) / 3


def test_the_terms_of_places_are_what_places_are_worth():
    place = taught(True).experts.weights["blend"].place[:SIZE]
    assert np.diff(place) == pytest.approx(np.full(SIZE - 1, -DEEPER), abs=0.2)
    assert np.diff(place).mean() == pytest.approx(-DEEPER, abs=0.05)


def test_the_ranking_knows_nothing_of_places():
    """The same lists in another order on the screen: judged alike."""
    learner = taught(True)
    gains = []
    for reverse in (False, True):
        again = Learner(learner.snapshot())
        before = again.experts.gain["blend"]
        value, shown, taken = clicks(50, 7)
        full = np.full((50, 40), NOT_SHOWN, np.uint8)
        full[:, :SIZE] = SIZE - 1 - shown if reverse else shown
        again.learn([columns(value, taken, np.zeros((50, 4)), shown=full.tobytes())], T0)
        gains.append(again.experts.gain["blend"] - before)
    assert gains[0] == gains[1]


def test_terms_of_places_outlive_a_restart_and_a_snapshot_without_them_is_read():
    learner = taught(True)
    snapshot = unpack_snapshot(pack_snapshot(learner.snapshot()))
    again = Learner(snapshot)
    for name, weights in learner.experts.weights.items():
        assert again.experts.weights[name].place == pytest.approx(weights.place, rel=1e-5)
    assert len(snapshot.experts["blend"].place) == PLACES
    older = pack_snapshot(learner.snapshot()).replace(b'"place"', b'"x"').replace(b'"place_squares"', b'"y"')
    assert not Learner(unpack_snapshot(older)).experts.weights["blend"].place.any()


def test_examples_without_places_teach_as_before():
    value, _, taken = clicks(100, 3)
    learned = []
    for changes in ({}, {"shown": bytes([NOT_SHOWN]) * 100 * 40, "again": bytes(100)}):
        learner = Learner()
        record: LogRecord = columns(value, taken, np.zeros((100, 4)), **changes)
        assert not learner.learn([record], T0).refused
        assert not learner.experts.weights["blend"].place.any()
        learned.append(weight(learner))
    assert learned[0] == learned[1]
