"""The ranking model: River learns it, arrays score it, and it is published only while it is the better."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.engine import Engine, EngineConfig
from stream.events.records import LogRecord
from stream.learn.examples import Labelled, pack_examples, unpack_examples
from stream.learn.learner import MIN_LISTS, SNAPSHOT_EVERY_MS, Learner
from stream.learn.model import LAYOUT, pack_snapshot, scorer, unpack_snapshot
from stream.learn.quality import Quality
from stream.recommend.exposures import MODEL, PLAIN, POPULAR, PUBLISHED, new_examples
from stream.recommend.features import FEATURES, N_FEATURES
from tests.unit.core_helpers import T0, Worker, event, lists, log

ABSENT = -1


def message(features: np.ndarray, label: np.ndarray, places: np.ndarray) -> LogRecord:
    told = Labelled(
        FEATURES,
        features.astype(np.float32).tobytes(),
        label.astype(np.uint8).tobytes(),
        places.astype(np.int16).tobytes(),
    )
    return LogRecord(0, T0, None, msgspec.msgpack.encode(told))


def taught(
    seed: int = 1, rows: int = 400, place_plain: int = 5, place_model: int = 0, many: int = MIN_LISTS
) -> Learner:
    """A learner that saw `rows` examples and `many` lists with the taken item at these places."""
    random = np.random.default_rng(seed)
    learner = Learner()
    features = random.normal(size=(rows, N_FEATURES)) * np.arange(1, N_FEATURES + 1)
    features[:, 3] = 2.0
    label = random.random(rows) < 1 / (1 + np.exp(-features[:, 0]))
    places = np.zeros((many, 4))
    places[:, PUBLISHED] = places[:, PLAIN] = place_plain
    places[:, MODEL], places[:, POPULAR] = place_model, ABSENT
    assert not learner.learn([message(features, label, places)], T0).refused
    return learner


@settings(max_examples=20)
@given(st.integers(0, 1_000), st.integers(1, 300))
def test_array_scores_are_rivers_probabilities(seed, rows):
    learner = taught(seed, rows)
    folded = scorer(learner.snapshot())
    assert folded is not None
    for x in np.random.default_rng(seed + 1).normal(size=(20, N_FEATURES)) * 5:
        river = learner.pipeline.predict_proba_one(dict(zip(FEATURES, x.tolist(), strict=True)))[True]
        mine = 1 / (1 + np.exp(-(folded.weights @ x + folded.bias[0])))
        assert abs(mine - river) < 1e-6


def test_a_snapshot_is_plain_json_and_comes_back_whole():
    snapshot = taught().snapshot()
    value = pack_snapshot(snapshot)
    assert unpack_snapshot(value) == snapshot
    told = json.loads(value)
    assert told["layout"] == LAYOUT
    assert told["features"] == list(FEATURES)
    assert len(told["weights"]) == len(told["means"]) == len(told["deviations"]) == N_FEATURES


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
    broken = msgspec.structs.replace(taught().snapshot(), weights=(1.0, 2.0))
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
    assert snapshot.name == ("logistic" if active else "share")


def test_a_model_that_has_become_worse_is_taken_back():
    learner = taught(place_plain=5, place_model=0)
    assert learner.snapshot().active
    nothing = np.zeros((0, N_FEATURES)), np.zeros(0)
    worse = np.tile([0, 0, 9, ABSENT], (5_000, 1))
    learner.learn([message(*nothing, worse)], T0)
    assert not learner.snapshot().active


def test_snapshots_are_published_from_time_to_time():
    learner = Learner()
    random = np.random.default_rng(3)
    sent = []
    for step in range(30):
        record = message(random.normal(size=(50, N_FEATURES)), random.random(50) < 0.5, np.zeros((10, 4)))
        now_ms = T0 + step * SNAPSHOT_EVERY_MS // 3
        sent += [unpack_snapshot(m.value).examples for m in learner.learn([record], now_ms).messages]
    assert sent == sorted(set(sent))
    assert 9 <= len(sent) <= 11
    assert sent[-1] > 1_200


@pytest.mark.parametrize("value", [None, b"", b"junk", msgspec.msgpack.encode({"names": []})])
def test_examples_that_nobody_understands_are_refused(value):
    effects = Learner().learn([LogRecord(0, T0, None, value)], T0)
    assert [refused.reason for refused in effects.refused] == ["malformed-examples"]


def test_examples_of_another_version_are_refused_and_teach_nothing():
    learner = Learner()
    other = Labelled(("a", "b"), np.zeros((3, 2), np.float32).tobytes(), b"\0\0\1", b"")
    effects = learner.learn([LogRecord(0, T0, None, msgspec.msgpack.encode(other))], T0)
    assert [refused.reason for refused in effects.refused] == ["other-features"]
    assert learner.examples == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_number_that_is_none_never_gets_into_the_model(wrong):
    learner = taught()
    features = np.zeros((2, N_FEATURES))
    features[1, 4] = wrong
    effects = learner.learn([message(features, np.array([1, 0]), np.zeros((1, 4)))], T0)
    assert [refused.reason for refused in effects.refused] == ["malformed-examples"]
    assert np.isfinite(learner.snapshot().weights).all()


def test_more_labels_than_rows_are_refused():
    effects = Learner().learn([message(np.zeros((2, N_FEATURES)), np.zeros(3), np.zeros((1, 4)))], T0)
    assert [refused.reason for refused in effects.refused] == ["malformed-examples"]


def test_packed_examples_hold_what_was_filled_and_no_more():
    examples = new_examples(8)
    examples.features[:2] = np.arange(2 * N_FEATURES).reshape(2, N_FEATURES)
    examples.label[0], examples.places[0] = 1, (1, 2, 3, -1)
    examples.filled[:] = 2, 1
    features, label, places = unpack_examples(pack_examples(examples)).arrays()
    assert features.tolist() == examples.features[:2].tolist()
    assert label.tolist() == [1, 0]
    assert places.tolist() == [[1, 2, 3, -1]]


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
    features, label, places = unpack_examples(worker.examples.pop()).arrays()
    assert places[0, PUBLISHED] == places[0, PLAIN] == place
    assert label[0] == 1
    assert not label[1:].any()
    assert np.isfinite(features).all()
    # And once only.
    worker.feed(log([event("view", "me", offered[place - 1], T0 + 54)], 54), silent=False)
    again = [unpack_examples(value).arrays()[2] for value in worker.examples]
    assert len(again) == 1


def test_what_nobody_offered_is_a_miss_and_teaches_nothing():
    worker = Worker()
    worker.run(log([event("view", f"u{k}", name) for k in range(3) for name in ("a", "b")]))
    worker.talk()
    worker.examples.clear()
    shown_list(worker, 50)
    worker.feed(log([event("view", "me", "never-seen", T0 + 51)], 51))
    _, label, places = unpack_examples(worker.examples.pop()).arrays()
    assert places[0].tolist() == [ABSENT, ABSENT, ABSENT, ABSENT]
    assert not len(label)


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
    worker.feed(log([event("view", "me", seen[1], T0 + 52)], 52))
    _, label, _ = unpack_examples(worker.examples.pop()).arrays()
    assert label.tolist() == [1, 0, 0]
