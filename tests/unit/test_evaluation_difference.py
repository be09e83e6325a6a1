"""What two configurations publish over the same log, compared."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.feed import Feed
from stream.evaluation.difference import Watched, difference, overlap, rbo
from stream.evaluation.log import in_order
from stream.evaluation.prequential import run
from stream.events.types import View

LISTS = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("STREAM_CONFIG", "STREAM_SCENARIOS"):
        monkeypatch.delenv(name, raising=False)


@given(LISTS, LISTS)
def test_what_lists_have_in_common_is_a_share_and_has_no_sides(one: list[str], two: list[str]):
    for measure in (rbo, lambda a, b: overlap(a, b, 5)):
        assert 0.0 <= measure(one, two) <= 1.0 + 1e-9
        assert measure(one, two) == pytest.approx(measure(two, one))
        assert measure(one, one) == pytest.approx(1.0)


@given(LISTS)
def test_lists_with_nothing_in_common_have_no_overlap(items: list[str]):
    others = [item.upper() for item in items]
    assert rbo(items, others) == overlap(items, others, 5) == (0.0 if items else 1.0)


def test_first_places_weigh_most():
    plain = list("abcdefghij")
    top, end = ["x", *plain[1:]], [*plain[:-1], "x"]
    assert overlap(plain, top, 10) == overlap(plain, end, 10) == 0.9
    assert rbo(plain, top) < rbo(plain, end) < 1.0


def test_rank_biased_overlap_by_hand():
    """Agreement 0 at the first place, 1 at the second, and extrapolated as 1: (1 - p) p + p²."""
    assert rbo("ab", "ba", 0.9) == pytest.approx(0.1 * 0.9 + 0.81)
    assert rbo("a", "ab", 0.9) == pytest.approx(1.0), "a shorter list is taken to go on as it began"


def test_a_cut_list_has_its_share_in_common():
    assert overlap("abcdefgh", "abcd", 10) == 0.5
    assert overlap("abcdefgh", "abcd", 4) == 1.0


def sessions(count: int = 150) -> list[list[str]]:
    rng = Random(4)
    return [[f"i{(at + k) % 40}" for k in range(3)] for at in rng.choices(range(40), k=count)]


def log_file(path: Path) -> Path:
    path.write_text("".join(" ".join(line) + "\n" for line in sessions()))
    return path


def test_equal_configurations_give_no_difference():
    events = [
        View(event_id=f"{n}-{k}", ts=1_500_000_000_000 + 10_000 * n + k, user_id=f"u{n}", item_id=item)
        for n, line in enumerate(sessions())
        for k, item in enumerate(line)
    ]
    sides = [Watched(Feed(at_once=True)) for _ in range(2)]
    scores = [run(side, in_order(events).steps, 0) for side in sides]
    found = difference(*sides)
    assert scores[0].rank.tolist() == scores[1].rank.tolist()
    assert (found.shoppers, found.differ) == (150, 0.0)
    assert (found.rbo, *found.overlap.values()) == pytest.approx((1.0, 1.0, 1.0, 1.0))
    assert (found.gain, found.lose, found.examples) == ({}, {}, [])


def diff(*args: object) -> tuple[int, dict[str, Any], str]:
    said = CliRunner().invoke(app, ["replay", *map(str, args), "--format", "sessions", "--diff", "--json"])
    return said.exit_code, json.loads(said.stdout) if said.stdout else {}, said.stderr


def test_a_rule_is_seen_in_what_it_takes_away(tmp_path: Path):
    log = log_file(tmp_path / "log.txt")
    (tmp_path / "rules.json").write_text('{"no-i3": {"kind": "hide", "item": "i3"}}')
    code, told, err = diff(log, "--rules", tmp_path / "rules.json")
    assert code == 0
    assert err == ""
    assert 0.1 < told["differ"] < 1.0
    assert next(iter(told["lose"])) == "i3"
    assert told["rbo"] < 1.0
    assert 0 < len(told["examples"]) <= 3
    for example in told["examples"]:
        assert "i3" in example["now"]
        assert "i3" not in example["other"]
    low, high = told["hr@20"]["lead"]
    assert low <= high < 0.0, "what followed was often i3"
    assert told["hr@20"]["other"] < told["hr@20"]["now"]


def test_another_scenario_is_seen_in_lengths_and_worth(tmp_path: Path):
    log = log_file(tmp_path / "log.txt")
    (tmp_path / "popular.toml").write_text('sources = ["popular"]\nlength = 4\n')
    code, told, _ = diff(log, "--with", tmp_path / "popular.toml")
    assert code == 0
    assert told["mrr@20"]["lead"][1] < 0.0
    assert max(len(example["other"]) for example in told["examples"]) == 4
    assert told["overlap"]["@20"] < 0.5
    shown = CliRunner().invoke(
        app,
        ["replay", str(log), "--format", "sessions", "--diff", "--with", str(tmp_path / "popular.toml")],
    )
    assert shown.exit_code == 0
    for text in ("whose last list differs", "rank-biased overlap", "mrr@20", "gain places", "lose places"):
        assert text in shown.stdout


HOME = (Path(__file__).resolve().parents[2] / "stream/rules/scenarios/home.toml").read_text()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((), "There is nothing to compare with"),
        (("--with", "home.toml"), "The configurations are equal, so all lists are"),
        (("--with", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("--with", "unknown.toml"), "has 'sesions' in 'sources'"),
        (("--rules", "nowhere.json"), "nowhere.json cannot be read"),
        (("--rules", "bad.json"), "The rule 'x' in bad.json is refused"),
        (("--rules", "rules.json", "--out", "values.jsonl"), "leave --out away"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(args: tuple[str, ...], sentence: str):
    log_file(Path("log.txt"))
    Path("home.toml").write_text(HOME)
    Path("unknown.toml").write_text('sources = ["sesions"]')
    Path("bad.json").write_text('{"x": {"kind": "nonsense"}}')
    Path("rules.json").write_text('{"x": {"kind": "hide", "item": "i3"}}')
    code, out, err = diff("log.txt", *args)
    assert (code, out) == (2, {})
    assert err.startswith("error: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_another_configuration_without_diff_is_said():
    said = CliRunner().invoke(app, ["replay", "log.txt", "--format", "sessions", "--rules", "rules.json"])
    assert said.exit_code == 2
    assert "give them with --diff" in said.stderr


def test_a_log_that_is_not_there_is_said():
    Path("rules.json").write_text('{"x": {"kind": "hide", "item": "i3"}}')
    assert "There is no file nowhere.txt" in diff("nowhere.txt", "--rules", "rules.json")[2]
