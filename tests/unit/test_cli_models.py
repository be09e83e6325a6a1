"""`stream models` against a topic in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from stream.cli import compacted
from stream.cli.app import app
from stream.config import EngineConfig
from stream.engine import Engine
from stream.learn.challenge import CHALLENGER_KEY, MOST, PROMOTED_KEY, Told
from stream.learn.learner import Learner
from stream.learn.model import LAYOUT, MODEL_KEY, pack_snapshot, unpack_snapshot
from tests.unit.core_helpers import T0
from tests.unit.test_learner import message

Topic = dict[bytes, bytes]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topic:
    """The topic `models`, with a champion that has learned."""
    monkeypatch.chdir(tmp_path)
    held: Topic = {}

    async def read(settings: Any, name: str) -> Topic:
        assert name == "models"
        return dict(sorted(held.items()))

    async def put(settings: Any, name: str, values: dict[bytes, bytes | None]) -> None:
        for key, value in values.items():
            held.pop(key, None)
            if value is not None:
                held[key] = value

    monkeypatch.setattr(compacted, "read", read)
    monkeypatch.setattr(compacted, "put", put)
    learn(Learner(), held)
    return held


def learn(learner: Learner, topic: Topic, lists: int = 600) -> None:
    """Lists, and the snapshot that follows."""
    learner.learn([message(lists, np.zeros((lists, 4)))], T0)
    topic[MODEL_KEY] = pack_snapshot(learner.snapshot())


def told(topic: Topic) -> Told:
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    for key, value in topic.items():
        assert engine.control("models", key, value) is None
    return engine.challengers


def stream(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["models", *args], prog_name="stream")
    return result.exit_code, result.stdout, result.stderr


def test_a_model_is_exported_challenges_is_listed_and_promoted(topic):
    assert stream("export", "old.json")[0] == 0
    exported = unpack_snapshot(Path("old.json").read_bytes())
    assert exported.weights == unpack_snapshot(topic[MODEL_KEY]).weights
    learner = Learner(unpack_snapshot(topic[MODEL_KEY]))
    learn(learner, topic, 5_000)
    assert stream("challenge", "old", "old.json", "--json") == (
        0, '{"challenger": "old", "learn": false}\n', "",
    )  # fmt: skip
    learn(Learner(unpack_snapshot(topic[MODEL_KEY]), told(topic)), topic)

    code, out, _ = stream("list")
    assert code == 0
    assert "old" in out
    code, out, _ = stream("list", "--json")
    found = json.loads(out)["challengers"]["old"]
    assert (found["lists"], found["learns"]) == (600, False)
    assert set(found["measures"]) == {"hr@20", "mrr@20", "ndcg@20"}

    assert stream("promote", "old") == (0, "", "The learner goes on from old.\n")
    assert sorted(topic) == [PROMOTED_KEY, MODEL_KEY]
    again = Learner(unpack_snapshot(topic[MODEL_KEY]), told(topic))
    again.learn([], T0)
    assert again.snapshot().weights == exported.weights


def test_a_challenger_that_learns_is_promoted_as_it_is_now(topic):
    stream("export", "old.json")
    stream("challenge", "old", "old.json", "--learn")
    learn(Learner(unpack_snapshot(topic[MODEL_KEY]), told(topic)), topic, 2_000)
    now = unpack_snapshot(topic[MODEL_KEY]).learned["old"]
    stream("promote", "old")
    promoted = told(topic).promoted
    assert promoted is not None
    assert promoted.expert == now


def test_a_challenger_is_removed_and_nobody_minds_if_there_was_none(topic):
    stream("export", "old.json")
    stream("challenge", "old", "old.json")
    assert CHALLENGER_KEY + b"old" in topic
    assert stream("remove", "old") == (0, "", "Removed old.\n")
    assert stream("remove", "old")[0] == 0
    assert list(topic) == [MODEL_KEY]
    assert stream("list") == (0, "", "There are no challengers.\n")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layout": LAYOUT + 1}, "has another layout"),
        ({"layout": LAYOUT - 1}, "has another layout"),
        ({"features": ("a",)}, "has other features"),
        ({"weights": ((1.0,),)}, "has other features"),
    ],
)
def test_a_file_of_another_version_is_refused_in_one_sentence(topic, changes, said):
    other = msgspec.structs.replace(unpack_snapshot(topic[MODEL_KEY]), **changes)
    Path("other.json").write_bytes(pack_snapshot(other))
    code, _, complaint = stream("challenge", "other", "other.json")
    assert code == 2
    assert said in complaint
    assert complaint.count("\n") == 1
    assert list(topic) == [MODEL_KEY]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", None])
def test_a_file_that_is_no_model_is_refused(topic, content):
    if content is not None:
        Path("other.json").write_bytes(content)
    code, _, complaint = stream("challenge", "other", "other.json")
    assert code == 2
    assert "other.json" in complaint


def test_what_cannot_be_done_is_said(topic):
    stream("export", "old.json")
    assert "cannot be called 'A b'" in stream("challenge", "A b", "old.json")[2]
    assert "no challenger 'new'" in stream("promote", "new")[2]
    for k in range(MOST):
        assert stream("challenge", f"c{k}", "old.json")[0] == 0
    assert "remove one" in stream("challenge", "more", "old.json")[2]
    assert stream("challenge", "c3", "old.json")[0] == 0
    topic.clear()
    assert "no model yet" in stream("list")[2]
    assert "no model yet" in stream("export", "old.json")[2]
