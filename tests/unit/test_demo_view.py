"""What the demo shows: a panel, a line, or nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from stream.cli.demo.view import Glance, View, panel, sentence

GLANCE = Glance(
    day="09 Oct 2025",
    events=123_456,
    events_per_s=2_500.4,
    lag=1_017,
    recommendations=120_000,
    prices=800,
    freshness_p99_ms=None,
    shopper="s-1",
    looked_at="lamp",
    before=["desk", "rug"],
    after=["desk", "chair", "rug", "shelf"],
    neighbours=["desk"],
    price_news=["rug: 20.0 → 19.0 (explore)", "desk: 100.0 → 95.0 (exploit)"],
    hit_rates={"published": 0.31},
)


def test_a_sentence_tells_counts_a_list_and_the_latest_price():
    assert " ".join(sentence(GLANCE).split()) == (
        "123,456 events 2,500/s lag 1,017 lists 120,000 price messages 800 "
        "| s-1 saw lamp: now desk, chair, rug | desk: 100.0 → 95.0 (exploit)"
    )


def test_a_sentence_leaves_out_what_is_not_there_yet():
    said = sentence(GLANCE._replace(after=[], price_news=[]))
    assert " ".join(said.split()) == "123,456 events 2,500/s lag 1,017 lists 120,000 price messages 800"


def test_the_panel_shows_lists_prices_and_rates():
    console = Console(width=160, file=StringIO())
    with console.capture() as capture:
        console.print(panel(GLANCE))
    shown = capture.get()
    for part in ("09 Oct 2025", "123,456", "chair", "goes with desk", "95.0 (exploit)", "published 0.310"):
        assert part in shown


def test_without_a_terminal_every_fourth_look_is_a_line(capsys: pytest.CaptureFixture[str]):
    view = View(quiet=False)
    assert view.live is None
    for _ in range(8):
        view.show(GLANCE)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [sentence(GLANCE)] * 2


def test_for_a_program_nothing_is_shown(capsys: pytest.CaptureFixture[str]):
    view = View(quiet=True)
    view.say("Starting.")
    for _ in range(8):
        view.show(GLANCE)
    assert capsys.readouterr() == ("", "")


def test_ids_that_look_like_markup_are_shown_as_they_are():
    odd = GLANCE._replace(
        shopper="[/s]",
        looked_at="[/b]lamp",
        before=["[/x]"],
        neighbours=["[/]"],
        price_news=["[/p]: 20 → 19"],
    )
    console = Console(width=200, file=StringIO())
    with console.capture() as capture:
        console.print(panel(odd))
    shown = capture.get()
    for text in ("[/s]", "[/b]lamp", "[/x]", "[/]", "[/p]: 20 → 19"):
        assert text in shown
