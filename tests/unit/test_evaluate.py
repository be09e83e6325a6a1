from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.feed import Feed
from stream.evaluation import log as logs
from stream.evaluation import prequential
from stream.events.readers import Bad
from stream.events.types import AnyEvent, Hide, Item, Search, View


def run(*args: object) -> tuple[int, dict[str, Any], str]:
    result = CliRunner().invoke(app, [*map(str, args), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}, result.stderr


def view(n: int, item: str, user: str = "u", session: str | None = "s", ts: int | None = None) -> View:
    at_ms = 1_500_000_000_000 + 1000 * n if ts is None else ts
    return View(event_id=str(n), ts=at_ms, user_id=user, session_id=session, item_id=item)


def walks(seed: int, sessions: int) -> Iterator[list[str]]:
    """Sessions over 30 items, each item leading to the next ones in a ring, to learn from."""
    rng = Random(seed)
    for _ in range(sessions):
        at = rng.randrange(30)
        walk = []
        for _ in range(rng.randint(1, 7)):
            walk.append(f"i{at % 30}")
            at += rng.choice((0, 1, 1, 1, 2))
        yield walk


def session_file(path: Path, seed: int = 1, sessions: int = 60, repeats: bool = True) -> Path:
    lines = [
        w if repeats else [i for k, i in enumerate(w) if k == 0 or w[k - 1] != i]
        for w in walks(seed, sessions)
    ]
    path.write_text("".join(" ".join(line) + "\n" for line in lines))
    return path


def replayed(file: Path, out: Path) -> dict[str, list[tuple[int, list[str]]]]:
    """(offset, items) of every list that `replay`, flushed after each event, published to each shopper."""
    code, told, _ = run("replay", file, "--format", "sessions", "--batch", 1, "--out", out)
    assert code == 0
    lists: dict[str, list[tuple[int, list[str]]]] = {}
    for line in out.read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "recs":
            offset = int(row["value"]["version"].split("-")[1])
            lists.setdefault(row["id"], []).append((offset, row["value"]["items"]))
    assert told["recommendations"] == sum(map(len, lists.values()))
    return lists


def test_lists_are_about_those_of_replay_flushed_after_each_event(tmp_path: Path):
    file = session_file(tmp_path / "log.txt", repeats=False)
    lists = replayed(file, tmp_path / "values.jsonl")
    events = [
        (str(shopper), item, place > 0)
        for shopper, line in enumerate(file.read_text().splitlines(), 1)
        for place, item in enumerate(line.split())
    ]
    scored = hits = 0
    ranks = 0.0
    for offset, (shopper, item, follows) in enumerate(events):
        if offset < int(len(events) * 0.5) or not follows:
            continue
        before = [items for made, items in lists[shopper] if made < offset]
        scored += 1
        if before and item in before[-1]:
            hits += 1
            ranks += 1 / (1 + before[-1].index(item))
    code, told, err = run("evaluate", "recs", file, "--format", "sessions", "--score-last", 0.5)
    assert (code, err) == (0, "")
    assert told["scored"] == scored > 20
    assert min(told["hr@20"], 2 * told["mrr@20"]) > 0.5
    assert told["hr@20"] == pytest.approx(hits / scored, abs=0.03)
    assert told["mrr@20"] == pytest.approx(ranks / scored, abs=0.03)
    assert told["events"] == len(events)
    assert told["events_per_s"] > 0


def test_large_batches_score_as_single_events_do():
    """But for popularity and the model, which come with a batch's beginning."""
    log = steps(*clicks("a", 0, walks(1, 400)))
    apart = prequential.run(Feed(at_once=False), log, 0, batch=1)
    single = prequential.run(Feed(at_once=True), log, 0, batch=1)
    assert single.rank.tolist() == apart.rank.tolist(), "without messages nothing else happens"
    together = prequential.run(Feed(at_once=True), log, 0, batch=256)
    assert np.mean(together.rank == single.rank) > 0.9
    assert np.mean(together.rank >= 0) == pytest.approx(np.mean(single.rank >= 0), abs=0.01)


def test_a_list_is_of_what_its_shopper_did_before_and_of_nothing_later():
    """In one batch: the second look is scored on the list after the first, never on that after itself."""
    log = steps(*(view(k, "ab"[k % 2], user=f"u{k // 2}", session=f"s{k // 2}") for k in range(40)))
    scores = prequential.run(Feed(at_once=True), log, 0, batch=40)
    assert scores.rank.tolist() == [-1] + [0] * 19


def test_who_has_come_before_is_known():
    log = [view(0, "a"), view(1, "b"), view(2, "a", session="t"), view(3, "c", session="t")]
    assert prequential.run(Feed(), steps(*log), 0).known.tolist() == [False, True]


def test_a_second_run_gives_the_same(tmp_path: Path):
    file = session_file(tmp_path / "log.txt")
    args = ("evaluate", "recs", file, "--format", "sessions", "--drop-repeats")
    once, again = run(*args)[1], run(*args)[1]
    assert once | {"events_per_s": 0} == again | {"events_per_s": 0}


def test_repeats_are_counted_and_left_out(tmp_path: Path):
    file = session_file(tmp_path / "log.txt")
    bare = session_file(tmp_path / "bare.txt", repeats=False)
    told = run("evaluate", "recs", file, "--format", "sessions", "--drop-repeats")[1]
    rest = run("evaluate", "recs", bare, "--format", "sessions")[1]
    assert told["dropped_repeats"] > 0
    assert rest["dropped_repeats"] == 0
    assert told["events"] == rest["events"]
    assert told["scored"] == rest["scored"]


def test_with_a_file_learned_first_all_of_the_other_is_scored(tmp_path: Path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    write(train, clicks("a", 0, walks(1, 40)))
    write(test, clicks("b", 10_000, walks(2, 20)))
    follow = sum(len(walk) - 1 for walk in walks(2, 20))
    args = ("evaluate", "recs", test, "--format", "jsonl")
    code, learned, err = run(*args, "--learn-first", train)
    assert (code, err) == (0, "")
    assert learned["scored"] == follow
    assert learned["events"] == sum(map(len, [*walks(1, 40), *walks(2, 20)]))
    cold = run(*args, "--score-last", 1)[1]
    assert cold["scored"] == follow
    assert learned["hr@20"] > cold["hr@20"]
    code, both, err = run(*args, "--learn-first", train, "--score-last", 0.3)
    assert both["scored"] == follow
    assert "--score-last changes nothing" in err


def clicks(name: str, start: int, of: Iterator[list[str]]) -> list[View]:
    found: list[View] = []
    for k, walk in enumerate(of):
        for item in walk:
            n = start + len(found)
            found.append(view(n, item, f"{name}{k}", f"{name}{k}"))
    return found


def write(path: Path, events: Sequence[AnyEvent]) -> None:
    import msgspec

    path.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))


def test_files_are_brought_into_time_order(tmp_path: Path):
    events = clicks("a", 0, walks(1, 30))
    early, late = tmp_path / "early.jsonl", tmp_path / "late.jsonl"
    write(early, events[:50])
    write(late, events[50:])
    whole = tmp_path / "whole.jsonl"
    write(whole, events)
    expected = run("evaluate", "recs", whole, "--format", "jsonl")[1]
    found = run("evaluate", "recs", late, early, "--format", "jsonl")[1]
    assert found | {"events_per_s": 0} == expected | {"events_per_s": 0}


def test_rows_that_are_no_events_are_counted(tmp_path: Path):
    file = tmp_path / "log.jsonl"
    write(file, clicks("a", 0, walks(1, 10)))
    with file.open("a") as more:
        more.write("nonsense\n")
    assert run("evaluate", "recs", file, "--format", "jsonl")[1]["refused"] == {"malformed-json": 1}
    told = run("replay", file, "--format", "jsonl")[1]
    assert (told["dead_letters"], told["refused"]) == (1, {"malformed-json": 1})
    assert told["rows"] == told["events"] + 1


def test_nothing_to_score_is_said(tmp_path: Path):
    file = tmp_path / "log.txt"
    file.write_text("a\nb\n")
    code, told, err = run("evaluate", "recs", file, "--format", "sessions")
    assert (code, told) == (2, {})
    assert err.startswith("error: There is no event to score: ")


def test_what_replay_counts_does_not_depend_on_batches(tmp_path: Path):
    file = session_file(tmp_path / "log.txt")
    once, again = (run("replay", file, "--format", "sessions", "--batch", n)[1] for n in (7, 1000))
    for name in ("rows", "events", "shoppers", "sessions", "dead_letters"):
        assert once[name] == again[name]


def steps(*events: AnyEvent) -> list[logs.Step]:
    return logs.in_order(events).steps


def test_only_the_last_item_of_the_same_session_repeats():
    log = steps(
        view(0, "a"), view(1, "a"), view(2, "b"), view(3, "a"), view(4, "a", session="other"),
        view(5, "a", user="v"), view(6, "a"),
    )  # fmt: skip
    assert [step.event.event_id for step in logs.without_repeats(log)] == ["0", "2", "3", "4", "5"]


def test_a_search_between_two_views_does_not_make_them_different():
    search = Search(event_id="1", ts=1_500_000_001_000, user_id="u", session_id="s", query="lamps")
    kept = logs.without_repeats(steps(view(0, "a"), search, view(2, "a")))
    assert [step.event.event_id for step in kept] == ["0", "1"]


def test_without_session_ids_pauses_part_sessions():
    minute, at = 60_000, 1_500_000_000_000
    log = steps(*(view(k, "a", session=None, ts=at + m * minute) for k, m in enumerate((0, 30, 61, 62))))
    sessions = logs.Sessions()
    opened = []
    for step in log:
        opened.append(sessions.opens(step))
        sessions.add(step)
    assert opened == [True, False, True, False]


def test_facts_stay_before_the_event_that_showed_them():
    facts = [Item(item_id="a"), Item(item_id="b")]
    log = logs.in_order(
        [facts[0], view(0, "a"), facts[1], view(1, "a"), view(2, "c"), Bad(b"x", "r", "m", 1)]
    )
    assert [step.facts for step in log.steps] == [(facts[0],), (facts[1],), ()]
    assert dict(log.refused) == {"r": 1}
    assert [step.facts for step in logs.without_repeats(log.steps)] == [(facts[0],), (facts[1],)]


def test_what_says_no_is_learned_and_not_scored():
    hide = Hide(event_id="h", ts=1_500_000_001_000, user_id="u", session_id="s", item_id="b")
    outcome = prequential.run(Feed(), steps(view(0, "a"), hide, view(2, "c")), 0)
    assert (outcome.events, len(outcome.rank)) == (3, 1)


@given(st.lists(st.tuples(st.sampled_from("uv"), st.sampled_from("ab")), max_size=30))
def test_dropping_repeats_twice_drops_nothing_more(clicked: list[tuple[str, str]]):
    log = steps(*(view(n, item, user, user) for n, (user, item) in enumerate(clicked)))
    once = logs.without_repeats(log)
    assert logs.without_repeats(once) == once
    last: dict[str, str] = {}
    for step in once:
        assert last.get(step.event.user_id) != step.event.item_id
        last[step.event.user_id] = str(step.event.item_id)
