"""Curves: what is in a window, and the picture."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stream.cli.app import app
from stream.evaluation.curve import curve
from stream.evaluation.measures import means
from stream.evaluation.prequential import CUTOFF, MISSED, Scores


def scores(ranks: list[int], every: int = 2) -> Scores:
    """Every second event is scored."""
    n = len(ranks)
    return Scores(
        events=every * n,
        seconds=1.0,
        rank=np.array(ranks, np.int16),
        position=np.arange(n) * every + every - 1,
        shopper=np.arange(n, dtype=np.int32),
        known=np.zeros(n, np.bool_),
        head=np.ones(n, np.bool_),
        shown=Counter(),
        shown_head=0,
        diversity=np.zeros(0, np.float32),
        items=1,
    )


@given(st.lists(st.integers(MISSED, CUTOFF - 1), min_size=1, max_size=300))
def test_each_point_is_the_mean_of_its_window(ranks: list[int]):
    found = curve(scores(ranks))
    for position, hr, mrr in zip(found.positions, found.means["hr@20"], found.means["mrr@20"], strict=True):
        stop = position // 2
        expected = means(np.array(ranks[stop - found.window : stop], np.int16))
        assert (hr, mrr) == pytest.approx((expected["hr@20"], expected["mrr@20"]), abs=1e-5)
    assert np.all(np.diff(found.positions) > 0)
    assert found.positions[-1] <= 2 * len(ranks)


def test_what_becomes_better_rises():
    found = curve(scores([MISSED] * 500 + [0] * 500))
    assert found.window == 100
    assert (found.means["hr@20"][0], found.means["hr@20"][-1]) == (0.0, 1.0)
    assert found.positions[-1] == 2_000
    assert found.means["mrr@20"].tolist() == found.means["hr@20"].tolist()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = Random(2)
    file = tmp_path / "log.txt"
    file.write_text("".join(f"{k}a {k}b\n" for k in (rng.randrange(10) for _ in range(80))))
    return file


def evaluate(*args: object) -> tuple[int, str, str]:
    said = CliRunner().invoke(app, ["evaluate", "recs", *map(str, args), "--format", "sessions"])
    return said.exit_code, said.stdout, said.stderr


def test_a_picture_has_a_line_for_each_contender(log: Path, tmp_path: Path):
    picture = tmp_path / "curve.svg"
    args = (log, "--sources", "blend,sessions", "--curve", picture, "--json")
    code, out, _ = evaluate(*args)
    told: dict[str, Any] = json.loads(out)["sources"]
    assert code == 0
    for row in told.values():
        points = row["curve"]
        assert len(points["positions"]) == len(points["hr@20"]) == len(points["mrr@20"]) > 1
        assert points["positions"][-1] == row["events"]
    drawn = picture.read_text()
    for text in (
        "blend",
        "sessions",
        "HR@20",
        "MRR@20",
        "events of the log",
        "Test, then learn: the last 30 %",
    ):
        assert f"<!-- {text}" in drawn
    again = tmp_path / "again.png"
    assert evaluate(log, "--curve", again)[0] == 0
    assert again.read_bytes().startswith(b"\x89PNG")


def test_without_a_picture_no_points_are_told(log: Path):
    assert "curve" not in json.loads(evaluate(log, "--json")[1])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("curve.pdf", "name a file that ends in .svg or .png"), ("nowhere/curve.svg", "correct --curve")],
)
def test_a_picture_that_cannot_be_is_said_before_anything_is_read(name: str, sentence: str, tmp_path: Path):
    code, out, err = evaluate("nowhere.txt", "--curve", tmp_path / name)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_without_matplotlib_the_extra_is_named(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = evaluate(log, "--curve", tmp_path / "curve.svg")
    assert (code, out) == (2, "")
    assert err == "error: A curve is drawn by matplotlib: install the extra `plot` of this package.\n"
