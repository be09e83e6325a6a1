from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.evaluation import log as logs
from stream.evaluation.alone import SourceFeed, new_room, words_in
from stream.evaluation.numbers import Numbers
from stream.evaluation.prequential import run
from stream.events.types import AnyEvent, Item, Search, View
from stream.sources.registry import SOURCES, make


def view(n: int, item: str, user: str, session: str | None = None) -> View:
    return View(
        event_id=str(n), ts=1_500_000_000_000 + 1000 * n, user_id=user, session_id=session, item_id=item
    )


def steps(*events: AnyEvent | Item) -> list[logs.Step]:
    return logs.in_order(events).steps


def pairs(sessions: int) -> list[View]:
    """Sessions of two items that always follow one another."""
    rng = Random(1)
    return [
        view(2 * k + place, f"{pair}{'ab'[place]}", f"u{k}")
        for k in range(sessions)
        for pair in [rng.randrange(10)]
        for place in (0, 1)
    ]


def test_a_source_is_asked_before_it_learns():
    """The first session of a pair is a miss, every later one a hit."""
    room, items, shoppers = new_room(64, 256)
    scores = run(SourceFeed(make("sessions", room), items, shoppers), steps(*pairs(100)), 0)
    assert (scores.rank < 0).sum() == 10
    assert set(scores.rank[-50:].tolist()) == {0}


def test_with_less_room_than_the_log_has_what_is_recent_still_counts():
    room, items, shoppers = new_room(24, 8)
    scores = run(SourceFeed(make("sessions", room), items, shoppers), steps(*pairs(300)), 0)
    assert np.mean(scores.rank == 0) > 0.9


def test_words_of_searches_and_facts_of_items_reach_a_source():
    room, items, shoppers = new_room(64, 64)
    feed = SourceFeed(make("content", room), items, shoppers)
    feed.item(Item(item_id="lamp", title="Red lamp"))
    feed.item(Item(item_id="chair", title="Blue chair"))
    feed.event(Search(event_id="1", ts=1_500_000_000_000, user_id="u", query="a RED one"))
    (values,) = feed.flush().values
    (told,) = [json.loads(value) for value in values.values]
    assert told["items"] == ["lamp"]
    assert told["version"].endswith("-0000000000000000")


def test_what_a_profile_states_is_found_however_nested():
    stated = {"interests": ["shoes", {"brand": "acme"}], "age": 31, "country": "de"}
    assert words_in(stated) == "de\nshoes\nacme"


def test_numbers_are_given_back_by_those_not_named_for_longest():
    numbers = Numbers(32)
    for k in range(32):
        assert len(numbers.oldest()) == 0
        numbers.of(f"n{k}")
    numbers.of("n0")
    gone = numbers.oldest()
    assert gone.tolist() == [1, 2]
    assert numbers.find("n1") == numbers.find("n2") == -1
    assert {numbers.of("x"), numbers.of("y")} == {1, 2}
    assert numbers.find("n0") == 0
    assert numbers.names[numbers.find("x")] == "x"
    assert numbers.hashes[1] != numbers.hashes[2]


def test_each_source_has_a_row(tmp_path: Path):
    file = tmp_path / "log.txt"
    rng = Random(2)
    file.write_text("".join(f"{k}a {k}b\n" for k in (rng.randrange(10) for _ in range(80))))
    args = ["evaluate", "recs", str(file), "--format", "sessions"]
    said = CliRunner().invoke(app, [*args, "--sources", "sessions,popularity", "--json"])
    told = json.loads(said.stdout)["sources"]
    assert said.exit_code == 0
    assert list(told) == ["sessions", "popularity"]
    assert told["sessions"]["mrr@20"] > told["popularity"]["mrr@20"] > 0
    assert told["sessions"]["scored"] == told["popularity"]["scored"] == 24
    table = CliRunner().invoke(app, [*args, "--sources", "sessions,popularity"])
    assert "popularity" in table.stdout
    assert "24 events scored of 160" in table.stderr


@pytest.mark.parametrize("names", ["sesions", "sessions,", ""])
def test_an_unknown_source_is_said_before_anything_is_read(names: str):
    said = CliRunner().invoke(
        app, ["evaluate", "recs", "nowhere", "--format", "sessions", "--sources", names]
    )
    assert said.exit_code == 2
    assert said.stderr.startswith(f"error: There is no source {names.split(',')[-1]!r}: choose from blend, ")
    assert all(name in said.stderr for name in SOURCES)
