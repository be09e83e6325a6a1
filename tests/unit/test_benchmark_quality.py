from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import logs, quality
from stream.evaluation.prequential import run
from stream.events.types import View


def row(hr: float, mrr: float, *at_most: float) -> quality.Row:
    leads = dict(zip(("hr@20_lead_at_most", "mrr@20_lead_at_most"), at_most or (0.0, 0.0), strict=True))
    return {"hr@20": hr, "mrr@20": mrr, "events_per_s": 1.0} | leads


@pytest.mark.parametrize(
    ("best", "at_least", "code"),
    [
        (row(0.5, 0.2), True, 0),
        (row(0.4, 0.1, 0.12, 0.11), True, 0),
        (row(0.51, 0.1, 0.01, 0.11), False, 0),
        (row(0.51, 0.1, -0.001, 0.11), False, 1),
        (row(0.4, 0.21, 0.12, -0.002), False, 1),
    ],
)
def test_the_blend_must_lose_by_no_measure_on_no_log(best: quality.Row, at_least: bool, code: int):
    told = {"one": {"blend": row(0.5, 0.2), "a": row(0.1, 0.1), "b": best}, "two": {"blend": row(0, 0)}}
    report = quality.report(told)
    assert report["blend_at_least_best_source"] == {"one": at_least, "two": True}
    assert report["above_the_blend"] == {"one": ["b"] if code else [], "two": []}
    assert quality.verdict(report) == code
    json.dumps(report)


def test_the_same_seed_gives_the_same_log_and_another_another():
    one, again, other = (
        [(step.ts_ms, step.event.item_id) for step in logs.small(50, seed).steps] for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_made_up_logs_are_what_they_say():
    news, large = logs.news(400), logs.large(400)
    lives: dict[str, list[int]] = {}
    for step in news.steps:
        assert isinstance(step.event, View)
        lives.setdefault(step.event.item_id, []).append(step.ts_ms)
    assert max(max(times) - min(times) for times in lives.values()) < 31 * logs.HOUR_MS
    assert all(item.category for step in news.steps for item in step.facts)
    assert len({step.event.item_id for step in large.steps}) > 500
    assert 2 < len(large.steps) / 400 < 4
    for log in (news, large):
        assert np.all(np.diff([step.ts_ms for step in log.steps]) >= 0)
        assert log.first_scored == int(0.7 * len(log.steps))


def test_a_made_up_log_can_be_learned():
    from stream.evaluation.alone import SourceFeed, new_room
    from stream.sources.registry import make

    room, items, shoppers = new_room()
    log = logs.small(400)
    scores = run(SourceFeed(make("sessions", room), items, shoppers), log.steps, log.first_scored)
    assert np.mean(scores.rank >= 0) > 0.4
