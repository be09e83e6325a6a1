"""The offline split: what the parts hold, and that the test part teaches nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.compare import scores_of
from stream.errors import InputError
from stream.evaluation import split as splits
from stream.evaluation.log import Step, in_order
from stream.evaluation.prequential import Scores, run
from stream.events.types import AnyEvent, Identify, Item, Search, View

DAY_S = 86_400
START_MS = 1_500_000_000_000


def view(at_s: float, item: str, user: str, session: str | None = None) -> View:
    ts = START_MS + int(at_s * 1000)
    return View(event_id=f"{user}-{ts}-{item}", ts=ts, user_id=user, session_id=session, item_id=item)


def steps(events: Sequence[AnyEvent | Item]) -> list[Step]:
    return in_order(events).steps


def sessions(count: int, seed: int = 1, items: int = 60) -> list[list[str]]:
    """Pairs and triples of items from a ring, each item often enough to stay."""
    rng = Random(seed)
    return [
        [f"i{(at + k) % items}" for k in range(rng.randint(2, 3))]
        for at in rng.choices(range(items), k=count)
    ]


def clicked(lines: Sequence[Sequence[str]], start_s: float, name: str) -> list[View]:
    return [
        view(start_s + 100 * n + k, item, f"{name}{n}", f"{name}{n}")
        for n, line in enumerate(lines)
        for k, item in enumerate(line)
    ]


def ids(of: Sequence[Step]) -> list[str | None]:
    return [step.event.item_id for step in of]


LEARNED = clicked(sessions(400), 0, "l")
STRANGE = [["i0", "i30"], ["i1", "i31", "i41"]]
"""What no session of the training part holds."""


def scored(name: str, test: Sequence[Sequence[str]], frozen: bool = True) -> Scores:
    found = splits.in_two(
        splits.in_sessions(steps(LEARNED)),
        splits.in_sessions(steps(clicked(test, 10 * DAY_S, "t")), first=1_000),
    )
    return scores_of(name, found.steps, found.first_scored, frozen=frozen)


@pytest.mark.parametrize(
    "name", ["blend", "markov+popular", "trending", "sessions", "factors", "rising", "popularity"]
)
def test_no_test_session_learns_from_another(name: str):
    """The same session is worth the same, whatever other test sessions came before it."""
    alone = scored(name, STRANGE).rank
    after_many = scored(name, [*STRANGE * 50, *STRANGE]).rank
    assert after_many.tolist() == alone.tolist() * 51


def test_without_the_split_they_do_learn_from_each_other():
    """Else the test above would show nothing."""
    rank = scored("blend", STRANGE * 51, frozen=False).rank
    assert np.mean(rank[:3] == 0) < np.mean(rank[-3:] == 0) == 1.0


def test_what_the_training_part_taught_is_used():
    test = sessions(60, seed=2)
    rank = scored("blend", test).rank
    assert np.mean(rank >= 0) > 0.9
    assert np.mean(rank == 0) > 0.6


def test_sessions_go_whole_to_the_side_on_which_they_end():
    early = clicked([["a", "b"]] * 5, 0, "e")
    across = [view(3 * DAY_S - 10, "a", "x", "x"), view(3 * DAY_S + 10, "b", "x", "x")]
    late = clicked([["a", "b"]], 10 * DAY_S - 101, "l")
    found = splits.by_time(steps([*early, *across, *late]), splits.last("7days"))
    assert (found.train, found.test) == (splits.Size(5, 2, 10), splits.Size(2, 2, 4))
    assert found.first_scored == 10
    shorter = splits.by_time(steps([*early, *across, *late]), splits.last("6 days"))
    assert (shorter.train.sessions, shorter.test.sessions) == (6, 1)


def test_sessions_can_be_counted_from_the_end():
    found = splits.by_time(steps(clicked([["a", "b"]] * 9, 0, "e")), splits.last("3sessions"))
    assert (found.train.sessions, found.test.sessions) == (6, 3)


def test_rare_items_and_short_sessions_are_dropped():
    train = [["a", "b"]] * 5 + [["a"], ["a", "rare"], ["a", "rare", "b"]]
    test = [["a", "new", "b"], ["new", "a"], ["b", "a"]]
    log = steps(clicked([*train, *test], 0, "s"))
    found = splits.by_time(log, splits.last("3sessions"))
    assert found.train == splits.Size(sessions=6, items=2, events=12)
    assert found.test == splits.Size(sessions=2, items=2, events=4)
    assert set(ids(found.steps)) == {"a", "b"}


def test_every_session_is_a_stranger_of_its_own():
    events = [view(1000 * n + k, item, "same") for n in range(6) for k, item in enumerate("ab")]
    with_pauses = [view(10_000 * n + k, item, "same") for n in range(6) for k, item in enumerate("ab")]
    assert len({step.event.user_id for step in splits.in_sessions(steps(events))}) == 1, "no pause is long"
    numbered = splits.in_sessions(steps(with_pauses))
    assert [step.event.user_id for step in numbered] == [str(n) for n in range(6) for _ in "ab"]
    assert all(step.event.user_id == step.event.session_id for step in numbered)


def test_only_what_belongs_to_a_session_is_kept():
    at = START_MS
    events: list[AnyEvent] = [
        view(0, "a", "u"),
        Search(event_id="s", ts=at + 1, user_id="u", query="lamps"),
        Identify(event_id="i", ts=at + 2, user_id="v", session_id="u"),
    ]
    kept = splits.in_sessions(steps(events))
    assert [type(step.event).__name__ for step in kept] == ["View", "Search"]


def test_facts_go_to_the_training_part_alone():
    late = clicked([["a", "b"]], DAY_S, "t")
    rows: list[AnyEvent | Item] = [
        Item(item_id="a"),
        view(0, "rare", "r"),
        *clicked([["a", "b"]] * 5, 0, "l"),
        Item(item_id="b"),
        *late,
    ]
    found = splits.by_time(steps(rows), splits.last("1session"))
    facts = [[item.item_id for item in step.facts] for step in found.steps]
    assert facts[: found.first_scored].count(["a"]) == 1
    assert not any(facts[found.first_scored :])


@pytest.mark.parametrize("given", ["7", "7weeks", "0days", "1.5sessions", "days", "-1days", ""])
def test_what_is_no_part_is_said(given: str):
    with pytest.raises(InputError, match="write 7days, or 500sessions"):
        splits.last(given)


def told(*args: object) -> tuple[int, dict[str, Any], str]:
    said = CliRunner().invoke(app, ["evaluate", "recs", *map(str, args), "--json"])
    return said.exit_code, json.loads(said.stdout) if said.stdout else {}, said.stderr


def write(path: Path, lines: Sequence[Sequence[str]]) -> Path:
    path.write_text("".join(" ".join(line) + "\n" for line in lines))
    return path


def test_a_split_and_the_same_parts_as_files_give_the_same(tmp_path: Path):
    lines = sessions(300, items=20)
    whole = write(tmp_path / "log.txt", lines)
    train, test = write(tmp_path / "train.txt", lines[:240]), write(tmp_path / "test.txt", lines[240:])
    code, split, err = told(whole, "--format", "sessions", "--split", "60sessions")
    assert (code, err) == (0, "")
    assert (split["train"]["sessions"], split["test"]["sessions"]) == (240, 60)
    code, given, err = told(test, "--format", "sessions", "--learn-first", train, "--frozen")
    assert (code, err) == (0, "")
    for name in ("train", "test", "scored", "hr@20", "mrr@20", "events"):
        assert given[name] == split[name], name
    rows = told(whole, "--format", "sessions", "--split", "60sessions", "--sources", "blend,sessions")[1]
    assert rows["sources"]["blend"]["mrr@20"] == split["mrr@20"]
    assert rows["test"] == split["test"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--split", "7days"), "The format sessions has no times"),
        (("--split", "soon"), "The split 'soon' says no test part"),
        (("--split", "300sessions"), "The split leaves nothing to train on"),
        (("--split", "1session"), "The split leaves nothing to score"),
        (("--frozen",), "give it with --learn-first"),
        (("--split", "9sessions", "--learn-first", "train.txt"), "give one of them"),
        (("--split", "9sessions", "--sources", "sesions"), "There is no source 'sesions'"),
    ],
)
def test_what_cannot_be_split_is_said_in_one_sentence(args: Sequence[str], sentence: str, tmp_path: Path):
    file = write(tmp_path / "log.txt", [*sessions(200), ["new", "newer"]])
    code, out, err = told(file, "--format", "sessions", *args)
    assert (code, out) == (2, {})
    assert err.startswith("error: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_score_last_beside_a_split_is_said_to_change_nothing(tmp_path: Path):
    file = write(tmp_path / "log.txt", sessions(200))
    err = told(file, "--format", "sessions", "--split", "20sessions", "--score-last", "0.5")[2]
    assert err == "With --split all of the test part is scored: --score-last changes nothing.\n"


def test_nothing_is_frozen_before_its_time():
    """Without a training part `run` freezes at once: all are strangers in an empty shop."""
    from stream.cli.feed import Feed

    scores = run(Feed(at_once=True), steps(clicked(sessions(50), 0, "s")), 0, frozen=True)
    assert set(scores.rank.tolist()) == {-1}
