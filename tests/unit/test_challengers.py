"""Challengers rank the same lists as the champion, unseen by shoppers, until one is promoted or removed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import EngineConfig
from stream.engine import Engine
from stream.errors import InputError, LayoutError
from stream.learn.challenge import (
    CHALLENGER_KEY,
    MOST,
    PROMOTED_KEY,
    Told,
    check_name,
    pack_challenge,
    published,
    unpack_challenge,
)
from stream.learn.learner import Learner
from stream.learn.model import LAYOUT, MODEL_KEY, Snapshot, pack_snapshot, unpack_snapshot
from stream.learn.standing import Standing
from stream.recommend.features import N_CONTEXTS, N_FEATURES
from tests.unit.core_helpers import T0
from tests.unit.test_learner import columns, message, taught

KEY = CHALLENGER_KEY + b"rival"


def model(first: float) -> Snapshot:
    """A model by which the first feature is worth so much, and nothing else anything."""
    weights = np.zeros((N_CONTEXTS, N_FEATURES))
    weights[0, 0] = first
    return msgspec.structs.replace(
        Learner().snapshot(), weights=tuple(map(tuple, weights.tolist())), experts={}
    )


def told(first: float = 3.0, learn: bool = False, at_ms: int = 7) -> Told:
    found = Told()
    assert found.take(KEY, pack_challenge(model(first), learn, at_ms)) is None
    return found


def teach(learner: Learner, seed: int, lists: int = 200, missed: int = 0) -> None:
    """Lists of which that with the largest first feature is mostly taken; of `missed` more nothing was."""
    assert not learner.learn([message(lists, np.zeros((lists + missed, 4)), seed)], T0).refused


def test_a_challenger_is_judged_on_the_same_lists_as_the_champion():
    learner = Learner(told=told())
    for seed in range(5):
        teach(learner, seed, missed=100)
    standing = unpack_snapshot(pack_snapshot(learner.snapshot())).challengers["rival"]
    assert standing.lists == 1_500
    means = standing.means()
    # It knew from the beginning what the champion has to learn.
    assert 0 < means["mrr@20"]["champion"] < means["mrr@20"]["challenger"] < 2 / 3
    assert 0 < means["mrr@20"]["lead_from"] < means["mrr@20"]["lead_to"]
    assert means["hr@20"]["challenger"] == pytest.approx(2 / 3, abs=1e-4), "what was no candidate is a miss"


def test_one_that_ranks_upside_down_is_behind_by_more_than_chance():
    learner = Learner(told=told(-3.0))
    for seed in range(5):
        teach(learner, seed)
    assert learner.snapshot().challengers["rival"].means()["ndcg@20"]["lead_to"] < 0


def test_the_champion_learns_as_if_there_were_none():
    alone, challenged = Learner(), Learner(told=told(learn=True))
    for seed in range(3):
        teach(alone, seed)
        teach(challenged, seed)
    mine, theirs = alone.snapshot(), challenged.snapshot()
    assert (mine.weights, mine.experts, mine.quality) == (theirs.weights, theirs.experts, theirs.quality)


@pytest.mark.parametrize("learn", [True, False])
def test_a_challenger_learns_only_if_it_is_told_to(learn):
    learner = Learner(told=told(-3.0, learn))
    for seed in range(10):
        teach(learner, seed)
    snapshot = learner.snapshot()
    assert set(snapshot.learned) == ({"rival"} if learn else set())
    if learn:
        assert snapshot.learned["rival"].weights[0][0] > -2.5


@pytest.mark.parametrize("learn", [True, False])
def test_a_restarted_learner_goes_on_judging_where_it_was(learn):
    whole, of = Learner(told=told(-1.0, learn)), told(-1.0, learn)
    first = Learner(told=of)
    teach(whole, 1)
    teach(first, 1)
    again = Learner(unpack_snapshot(pack_snapshot(first.snapshot())), of)
    teach(whole, 2)
    teach(again, 2)
    mine, theirs = again.snapshot().challengers["rival"], whole.snapshot().challengers["rival"]
    assert mine.lists == theirs.lists == 400
    assert mine.challenger == pytest.approx(theirs.challenger, rel=0.02)


def test_another_model_under_the_same_name_begins_anew_and_a_removed_one_is_gone():
    of = told()
    learner = Learner(told=of)
    teach(learner, 1)
    of.take(KEY, pack_challenge(model(1.0), False, 8))
    assert learner.snapshot().challengers["rival"].lists == 0
    teach(learner, 2)
    assert learner.snapshot().challengers["rival"].lists == 200
    of.take(KEY, None)
    teach(learner, 3)
    assert not learner.snapshot().challengers


def test_the_learner_goes_on_from_what_is_promoted_once():
    of = Told()
    learner = Learner(told=of)
    teach(learner, 1)
    of.take(PROMOTED_KEY, pack_challenge(model(9.0), False, 5))
    learner.learn([], T0)
    snapshot = learner.snapshot()
    assert snapshot.weights[0][0] == 9.0
    teach(learner, 2)
    moved = learner.snapshot()
    assert moved.weights[0][0] != 9.0, "it learns on"
    again = Learner(unpack_snapshot(pack_snapshot(moved)), of)
    again.learn([], T0)
    assert again.snapshot().weights == moved.weights, "a restart does not promote it a second time"


def test_workers_score_with_the_champion_whatever_the_topic_says_of_challengers():
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    champion = taught().snapshot()
    assert engine.control("models", MODEL_KEY, pack_snapshot(champion)) is None
    for key in (KEY, PROMOTED_KEY):
        assert engine.control("models", key, pack_challenge(model(9.0), False, 5)) is None
    assert engine.model == champion
    assert list(engine.challengers.challengers) == ["rival"]
    assert "none that this version knows" in (engine.control("models", b"what", b"{}") or "")
    assert engine.control("models", KEY, None) is None
    assert not engine.challengers.challengers


def test_a_version_that_knows_no_challengers_takes_none_for_a_model():
    with pytest.raises(msgspec.ValidationError, match="layout"):
        unpack_snapshot(pack_challenge(model(1.0), False, 5))


@pytest.mark.parametrize(
    "change", [{"layout": LAYOUT + 1}, {"layout": LAYOUT - 1}, {"features": ("a",)}, {"weights": ((1.0,),)}]
)
def test_a_model_of_another_version_is_no_challenger(change):
    value = pack_challenge(msgspec.structs.replace(model(1.0), **change), False, 5)
    with pytest.raises((LayoutError, ValueError)):
        unpack_challenge(value)
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    engine.control("models", KEY, pack_challenge(model(1.0), False, 4))
    assert "unusable" in (engine.control("models", KEY, value) or "")
    assert not engine.challengers.challengers, "what was there before is not meant any more"


def test_there_are_only_so_many_and_their_names_are_short_and_plain():
    of, value = Told(), pack_challenge(model(1.0), False, 5)
    for k in range(MOST):
        assert of.take(CHALLENGER_KEY + b"c%d" % k, value) is None
    assert "one more than 8" in (of.take(KEY, value) or "")
    assert of.take(CHALLENGER_KEY + b"c1", value) is None, "in place of itself"
    assert "cannot be called" in (of.take(CHALLENGER_KEY + b"A b", value) or "")
    assert check_name("monday-2.0_b") == "monday-2.0_b"
    for name in ("", "Ä", "x" * 33, "-x"):
        with pytest.raises(InputError, match="cannot be called"):
            check_name(name)


def test_a_file_holds_the_expert_that_was_published_with_its_places():
    snapshot = taught(lists=2_000).snapshot()
    expert = published(snapshot)
    assert expert == snapshot.experts["blend"]
    assert unpack_challenge(pack_challenge(snapshot, False, 1)).expert == expert


def test_lists_that_were_labelled_before_count_once():
    learner = Learner(told=told())
    value = np.ones((4, 2, N_FEATURES))
    again = bytes([0, 1, 0, 1])
    learner.learn([columns(value, np.zeros(4), np.zeros((2, 4)), again=again)], T0)
    standing = learner.snapshot().challengers["rival"]
    assert (standing.lists, standing.challenger[0]) == (2, 2.0)


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=30), st.integers(0, 30))
def test_a_standing_does_not_depend_on_how_lists_were_batched(places, cut):
    mine = np.array([a for a, _ in places], np.int64)
    theirs = np.array([b for _, b in places], np.int64)
    whole = Standing(1).after(len(places), mine, theirs)
    parts = Standing(1).after(len(mine[:cut]), mine[:cut], theirs[:cut])
    parts = parts.after(len(mine[cut:]), mine[cut:], theirs[cut:])
    assert whole.lists == parts.lists
    for of in ("challenger", "champion", "squares"):
        assert getattr(whole, of) == pytest.approx(getattr(parts, of), abs=1e-6)
    for measure in whole.means().values():
        assert measure["lead_from"] <= measure["lead_to"]
    same = Standing(1).after(len(mine), mine, mine).means()
    assert all(of["lead_from"] == of["lead_to"] == 0 for of in same.values())
