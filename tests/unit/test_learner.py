"""The ranking model: learned from choices, watched by River, published only while it is the better."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import EngineConfig
from stream.engine import Engine
from stream.events.records import LogRecord
from stream.learn.calibration import Calibration
from stream.learn.examples import Columns, Labelled, pack_examples, places_of, unpack_examples
from stream.learn.experts import MARKOV_FEATURES
from stream.learn.learner import HURRY, MIN_LISTS, SNAPSHOT_EVERY_MS, Learner
from stream.learn.listwise import RATE
from stream.learn.model import LAYOUT, pack_snapshot, scorer, unpack_snapshot
from stream.learn.quality import Quality
from stream.recommend.exposures import MODEL, PLAIN, POPULAR, PUBLISHED, STEPS_PER_UNIT, new_examples
from stream.recommend.features import FEATURES, N_CONTEXTS, N_FEATURES
from stream.recommend.rank import KEPT
from tests.unit.core_helpers import T0, Worker, event, lists, log

ABSENT = -1


def columns(value: np.ndarray, taken: np.ndarray, places: np.ndarray, /, **changes: object) -> LogRecord:
    """Lists of as many candidates as `value`, (lists, candidates, features) in whole steps, has."""
    lists, size, _ = value.shape
    full = np.zeros((lists, KEPT, N_FEATURES), np.int16)
    full[:, :size] = value
    told = Columns(
        names=FEATURES,
        contexts=N_CONTEXTS,
        value=full.tobytes(),
        context=np.tile(np.array([0, 1, 6, 11], np.uint8), (lists, 1)).tobytes(),
        size=np.full(lists, size, np.uint8).tobytes(),
        taken=taken.astype(np.uint8).tobytes(),
        weight=np.ones(lists, np.uint8).tobytes(),
        places=places.astype(np.int16).tobytes(),
    )
    return LogRecord(0, T0, None, msgspec.msgpack.encode(msgspec.structs.replace(told, **changes)))


def message(lists: int, places: np.ndarray, seed: int = 1) -> LogRecord:
    """Lists of ten, of which that with the largest first feature is mostly taken."""
    random = np.random.default_rng(seed)
    value = random.integers(-2048, 2048, (lists, 10, N_FEATURES))
    worth = value[:, :, 0] / 2048 * 3 + random.gumbel(size=(lists, 10))
    return columns(value, worth.argmax(axis=1), places)


def taught(
    seed: int = 1, lists: int = 400, place_plain: int = 5, place_model: int = 0, many: int = MIN_LISTS
) -> Learner:
    """A learner that saw `lists` examples and `many` lists with the taken item at these places."""
    learner = Learner()
    places = np.zeros((many, 4))
    places[:, PUBLISHED] = places[:, PLAIN] = place_plain
    places[:, MODEL], places[:, POPULAR] = place_model, ABSENT
    assert not learner.learn([message(lists, places, seed)], T0).refused
    return learner


def test_what_decides_is_found_and_what_does_not_is_not():
    learner = taught(lists=20_000)
    weights = learner.experts.weights["blend"].mean[[0, 1, 6, 11]].sum(axis=0)
    # The truth: 3 a unit for the first feature, 0 for all others.
    assert weights[0] == pytest.approx(3.0, abs=0.3)
    assert np.abs(weights[1:][~np.isin(FEATURES[1:], ["owned", "of_interest"])]).max() < 0.3


def test_where_steps_are_all_that_matters_the_expert_for_steps_ranks_and_else_the_blend():
    """Two shops of which one takes by a step's share alone: neither expert is preferred for its name."""
    step, other = FEATURES.index("log_markov"), FEATURES.index("log_hop_of_best")
    found = {}
    for decides in (step, other):
        random = np.random.default_rng(4)
        value = random.integers(-2048, 2048, (6_000, 10, N_FEATURES))
        taken = (value[:, :, decides] / 2048 * 3 + random.gumbel(size=(6_000, 10))).argmax(axis=1)
        learner = Learner()
        for part in range(0, 6_000, 200):
            some = slice(part, part + 200)
            learner.learn([columns(value[some], taken[some], np.zeros((200, 4)))], T0)
        found[decides] = learner.experts.best
        unused = np.array([name not in MARKOV_FEATURES for name in FEATURES])
        assert not learner.experts.weights["markov"].weight[:, unused].any()
    assert found == {step: "markov", other: "blend"}


def test_a_step_goes_up_the_gradient_of_the_likelihood():
    """Against the gradient by finite differences, of one list of three."""
    value = np.random.default_rng(3).integers(-2048, 2048, (1, 3, N_FEATURES))
    learner = Learner()
    before = learner.experts.weights["blend"].weight[0].astype(float).copy()

    def likelihood(weights: np.ndarray) -> float:
        worth = value[0] / 2048 @ weights
        return float(worth[1] - np.log(np.exp(worth).sum()))

    start = learner.experts.weights["blend"].weight[[0, 1, 6, 11]].sum(axis=0).astype(float)
    units = np.eye(N_FEATURES) * 1e-5
    gradient = np.array([likelihood(start + unit) - likelihood(start - unit) for unit in units]) / 2e-5
    learner.learn([columns(value, np.array([1]), np.zeros((1, 4)))], T0)
    step = learner.experts.weights["blend"].weight[0] - before
    assert step == pytest.approx(RATE * gradient / np.sqrt(gradient**2 + 0.01), abs=1e-4)


def test_a_restarted_learner_goes_on_where_the_last_snapshot_was():
    first = taught(lists=5_000)
    again = Learner(unpack_snapshot(pack_snapshot(first.snapshot())))
    told, kept = first.snapshot(), again.snapshot()
    assert np.allclose(kept.weights, told.weights, rtol=1e-5)
    for name, expert in told.experts.items():
        for column in ("weights", "squares", "gain"):
            assert np.allclose(getattr(kept.experts[name], column), getattr(expert, column), rtol=1e-5)
    assert (kept.active, kept.examples, kept.lists, kept.quality) == (
        told.active, told.examples, told.lists, told.quality,
    )  # fmt: skip
    assert kept.calibration == pytest.approx(told.calibration)
    assert again.learn([message(10, np.zeros((1, 4)))], T0).messages


def test_scores_become_calibrated_probabilities():
    """A model that is twice as sure as it should be gets half the slope; misses count by the reach."""
    random = np.random.default_rng(8)
    calibration = Calibration()
    for _ in range(300):
        chance = 1 / (1 + np.exp(-random.normal(-1, 2, 100)))
        sober = 1 / (1 + np.exp(-np.log(chance / (1 - chance)) / 2))
        calibration.learn(zip(chance.tolist(), (random.random(100) < sober).tolist(), strict=True))
        calibration.reached(60, 100)
    bias, slope = calibration.line
    assert slope == pytest.approx(0.5, abs=0.1)
    assert bias == pytest.approx(0.0, abs=0.2)
    assert calibration.reach == pytest.approx(0.6, abs=0.01)


def test_when_lists_become_worse_all_of_a_sudden_the_learner_hurries():
    learner = Learner()
    good, bad = np.tile([0, 0, 0, ABSENT], (3_000, 1)), np.tile([9, 9, 9, ABSENT], (3_000, 1))
    learner.learn([message(1, good)], T0)
    assert learner.drifts == 0
    learner.learn([message(1, bad)], T0)
    assert learner.drifts == 1
    hurried, calm = learner, Learner(learner.snapshot())
    moved = []
    for each in (hurried, calm):
        each.experts.weights["blend"].weight[:], each.experts.weights["blend"].squares[:] = 0.0, 1.0
        each.learn([message(1, np.zeros((0, 4)), seed=9)], T0)
        moved.append(np.abs(each.experts.weights["blend"].weight[0]).max())
    assert moved[0] == pytest.approx(HURRY * moved[1])
    learner.learn([message(1, good)], T0)
    assert learner.drifts == 1, "better is no drift to worry about"


def test_a_snapshot_is_plain_json_and_comes_back_whole():
    snapshot = taught().snapshot()
    value = pack_snapshot(snapshot)
    assert unpack_snapshot(value) == snapshot
    told = json.loads(value)
    assert told["layout"] == LAYOUT
    assert told["features"] == list(FEATURES)
    assert np.shape(told["weights"]) == (N_CONTEXTS, N_FEATURES)
    assert told["weights"] == told["experts"]["blend"]["weights"]


@pytest.mark.parametrize(
    "change",
    [{"layout": LAYOUT + 1}, {"layout": LAYOUT - 1}, {"features": ("a",)}, {"features": FEATURES[::-1]}],
)
def test_a_snapshot_of_another_version_is_left_unused_and_said_so(change):
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    engine.control("models", b"ranking", pack_snapshot(taught(1).snapshot()))
    used = engine.model
    other = msgspec.structs.replace(taught(2).snapshot(), **change)
    assert "left unused" in (engine.control("models", b"ranking", pack_snapshot(other)) or "")
    assert engine.model is used


def test_a_snapshot_with_numbers_missing_is_left_unused_and_said_so():
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    broken = msgspec.structs.replace(taught().snapshot(), weights=((1.0, 2.0),))
    assert engine.control("models", b"ranking", pack_snapshot(broken))
    assert engine.model is None


@pytest.mark.parametrize(
    ("plain", "model", "many", "active"),
    [
        (5, 0, MIN_LISTS, True), (0, 5, MIN_LISTS, False), (3, 3, MIN_LISTS, False),
        (5, 0, MIN_LISTS - 1, False), (0, ABSENT, MIN_LISTS, False), (ABSENT, 19, MIN_LISTS, True),
    ],
)  # fmt: skip
def test_only_a_model_that_ranks_better_than_the_plain_order_is_published(plain, model, many, active):
    snapshot = taught(place_plain=plain, place_model=model, many=many).snapshot()
    assert snapshot.active is active
    folded = scorer(snapshot)
    assert folded is not None
    assert folded.active[0] == active
    assert snapshot.name == ("blend" if active else "share")


def test_a_model_that_has_become_worse_is_taken_back():
    learner = taught(place_plain=5, place_model=0)
    assert learner.snapshot().active
    worse = np.tile([0, 0, 9, ABSENT], (5_000, 1))
    learner.learn([message(0, worse)], T0)
    assert not learner.snapshot().active


def test_snapshots_are_published_from_time_to_time():
    learner = Learner()
    sent = []
    for step in range(30):
        record = message(50, np.zeros((60, 4)), step)
        now_ms = T0 + step * SNAPSHOT_EVERY_MS // 3
        sent += [unpack_snapshot(m.value).examples for m in learner.learn([record], now_ms).messages]
    assert sent == sorted(set(sent))
    assert 9 <= len(sent) <= 11
    assert sent[-1] > 1_200


@pytest.mark.parametrize("value", [None, b"", b"junk", msgspec.msgpack.encode({"names": []})])
def test_examples_that_nobody_understands_are_refused(value):
    effects = Learner().learn([LogRecord(0, T0, None, value)], T0)
    assert [refused.reason for refused in effects.refused] == ["malformed-examples"]


@pytest.mark.parametrize("other", [{"names": ("a", "b")}, {"contexts": 3}])
def test_examples_of_another_version_are_refused_and_teach_nothing(other):
    learner = Learner()
    value = np.zeros((1, 2, N_FEATURES))
    effects = learner.learn([columns(value, np.zeros(1), np.zeros((1, 4)), **other)], T0)
    assert [refused.reason for refused in effects.refused] == ["other-features"]
    assert (learner.examples, learner.quality.lists) == (0, 1)


@pytest.mark.parametrize(
    "broken",
    [
        {"taken": b"\x02"}, {"size": b"\x29"}, {"size": b"\x02\x02"}, {"weight": b""}, {"value": b"123"},
        {"context": bytes([0, 1, 2, N_CONTEXTS])}, {"places": b"1"},
    ],
)  # fmt: skip
def test_examples_that_contradict_themselves_are_refused(broken):
    learner = Learner()
    before = learner.experts.weights["blend"].weight.copy()
    value = np.ones((1, 2, N_FEATURES))
    effects = learner.learn([columns(value, np.zeros(1), np.zeros((1, 4)), **broken)], T0)
    assert [refused.reason for refused in effects.refused] == ["malformed-examples"]
    assert np.array_equal(learner.experts.weights["blend"].weight, before)


def test_packed_examples_hold_what_was_filled_and_no_more():
    examples = new_examples(600)
    examples.value[:2] = np.arange(2 * KEPT * N_FEATURES).reshape(2, KEPT, N_FEATURES)
    examples.size[:2], examples.taken[:2], examples.weight[:2] = 5, (1, 4), (3, 10)
    examples.places[0], examples.places[599] = (1, 2, 3, -1), (4, 4, 4, 4)
    examples.filled[:] = 2, 600
    messages = [unpack_examples(value) for value in pack_examples(examples)]
    first, *others = map(Labelled, messages)
    assert first.value.tolist() == examples.value[:2].tolist()
    assert (first.size.tolist(), first.taken.tolist(), first.weight.tolist()) == ([5, 5], [1, 4], [3, 10])
    assert not sum(len(other.size) for other in others)
    assert np.array_equal(np.concatenate([places_of(each) for each in messages]), examples.places)


def test_quality_is_hit_rate_and_reciprocal_rank():
    quality = Quality()
    quality.update(np.array([[0, 1, -1, 19], [3, -1, -1, 0]], np.int16))
    told = quality.as_dict()
    assert told["published"] == {"hr@20": 1.0, "mrr@20": 0.625}
    assert told["plain"] == {"hr@20": 0.5, "mrr@20": 0.25}
    assert told["model"] == {"hr@20": 0.0, "mrr@20": 0.0}
    assert told["popular"] == {"hr@20": 1.0, "mrr@20": 0.525}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_quality_does_not_depend_on_how_lists_were_batched(sizes):
    places = np.random.default_rng(5).integers(-1, 20, (sum(sizes), 4)).astype(np.int16)
    whole, parts = Quality(), Quality()
    whole.update(places)
    for part in np.split(places, np.cumsum(sizes)[:-1]):
        parts.update(part)
    assert whole.as_dict() == parts.as_dict()
    assert np.isclose(whole.recent_mrr("plain"), parts.recent_mrr("plain"))


def shown_list(worker: Worker, offset: int) -> list[str]:
    _, value = lists(worker.feed(log([event("view", "me", "a", T0 + offset)], offset)))[0]
    return list(value["items"])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_list_is_labelled_with_the_place_of_what_came_next(place):
    worker = Worker()
    names = ["b"] * 8 + ["c"] * 4 + ["d"] * 2
    worker.run(
        log(
            [e for k, n in enumerate(names) for e in (event("view", f"u{k}", "a"), event("view", f"u{k}", n))]
        )
    )
    worker.talk()
    worker.examples.clear()
    offered = shown_list(worker, 50)
    assert offered[:3] == ["b", "c", "d"]
    worker.feed(log([event("view", "me", "a", T0 + 51), event("search", "me", None, T0 + 52, query="x")], 51))
    assert not worker.examples
    worker.feed(log([event("view", "me", offered[place], T0 + 53)], 53))
    told = unpack_examples(worker.examples.pop())
    places, labelled = places_of(told), Labelled(told)
    assert places[0, PUBLISHED] == places[0, PLAIN] == place
    assert labelled.taken.tolist() == [places[0, MODEL]]
    share = labelled.value[0, labelled.taken[0], FEATURES.index("share_of_best")] / STEPS_PER_UNIT
    assert share == pytest.approx([1.0, 0.5, 0.25][place], abs=0.01)
    assert labelled.weight.tolist() == [1]
    # And once only.
    worker.feed(log([event("view", "me", offered[place - 1], T0 + 54)], 54), silent=False)
    again = [places_of(unpack_examples(value)) for value in worker.examples]
    assert len(again) == 1


def test_what_nobody_offered_is_a_miss_and_teaches_nothing():
    worker = Worker()
    worker.run(log([event("view", f"u{k}", name) for k in range(3) for name in ("a", "b")]))
    worker.talk()
    worker.examples.clear()
    shown_list(worker, 50)
    worker.feed(log([event("view", "me", "never-seen", T0 + 51)], 51))
    told = unpack_examples(worker.examples.pop())
    assert places_of(told)[0].tolist() == [ABSENT, ABSENT, ABSENT, ABSENT]
    assert not len(Labelled(told).size)


def test_a_list_is_forgotten_after_half_an_hour():
    worker = Worker()
    worker.run(log([event("view", f"u{k}", name) for k in range(3) for name in ("a", "b")]))
    worker.talk()
    worker.examples.clear()
    shown_list(worker, 50)
    worker.feed(log([event("view", "me", "b", T0 + 31 * 60_000)], 51))
    assert not worker.examples


def test_an_impression_leaves_only_what_was_seen_to_learn_from():
    worker = Worker()
    worker.run(log([event("view", f"u{k}", name) for k, n in enumerate("bcdefgh") for name in ("a", n)]))
    worker.talk()
    worker.examples.clear()
    _, value = lists(worker.feed(log([event("view", "me", "a", T0 + 50)], 50)))[0]
    seen = value["items"][:3]
    shown = [{"item_id": name, "position": k} for k, name in enumerate(seen)]
    worker.feed(log([event("impression", "me", ts=T0 + 51, items=shown, request_id=value["version"])], 51))
    worker.feed(log([event("view", "me", seen[1], T0 + 52, request_id=value["version"])], 52))
    labelled = Labelled(unpack_examples(worker.examples.pop()))
    assert (labelled.size.tolist(), labelled.taken.tolist()) == ([3], [1])
