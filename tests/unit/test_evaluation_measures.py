"""Measures of lists: by hand, by definition, and against what is known of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluation.measures import gains, intervals, leads, means, report, segments
from stream.evaluation.prequential import CUTOFF, MISSED, Scores, diversity, head

RANKS = st.lists(st.integers(MISSED, CUTOFF - 1), min_size=1, max_size=40)


def scores(ranks: list[int], shopper: list[int] | None = None, known: list[bool] | None = None) -> Scores:
    n = len(ranks)
    return Scores(
        events=2 * n,
        seconds=2.0,
        rank=np.array(ranks, np.int16),
        position=np.arange(n),
        shopper=np.array(shopper if shopper is not None else range(n), np.int32),
        known=np.array(known if known is not None else [False] * n),
        head=np.ones(n, np.bool_),
        shown=Counter({"a": 3, "b": 1}),
        shown_head=3,
        diversity=np.array([0.5, 1.0], np.float32),
        items=8,
    )


def test_the_measures_by_hand():
    found = means(np.array([0, 2, 7, MISSED], np.int16))
    assert (found["hr@5"], found["hr@10"], found["hr@20"]) == (0.5, 0.75, 0.75)
    assert found["mrr@5"] == pytest.approx((1 + 1 / 3) / 4, abs=1e-5)
    assert found["mrr@20"] == pytest.approx((1 + 1 / 3 + 1 / 8) / 4, abs=1e-5)
    assert found["ndcg@5"] == pytest.approx((1 + 1 / 2) / 4, abs=1e-5)


@given(RANKS)
def test_longer_lists_are_no_worse_and_hits_bound_the_others(ranks: list[int]):
    rank = np.array(ranks, np.int16)
    for at in (5, 10, 20):
        hr, mrr, ndcg = gains(rank, at).values()
        assert ((mrr <= ndcg + 1e-12) & (ndcg <= hr)).all()
    for name in ("hr", "mrr", "ndcg"):
        assert means(rank)[f"{name}@5"] <= means(rank)[f"{name}@10"] <= means(rank)[f"{name}@20"]


def test_an_interval_holds_the_mean_and_is_as_wide_as_theory_says():
    rng = np.random.default_rng(3)
    ranks = np.where(rng.random(4_000) < 0.3, 0, MISSED).tolist()
    low, high = intervals(scores(ranks))["hr@20"]
    assert low < means(np.array(ranks, np.int16))["hr@20"] < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 4_000), rel=0.15)


def test_what_one_shopper_did_counts_as_one():
    """The same hits, each ten times over by one shopper: intervals are wider by the root of ten."""
    rng = np.random.default_rng(4)
    ranks = np.repeat(np.where(rng.random(400) < 0.3, 0, MISSED), 10).tolist()
    apart = intervals(scores(ranks))["hr@20"]
    together = intervals(scores(ranks, [k // 10 for k in range(4_000)]))["hr@20"]
    assert (together[1] - together[0]) / (apart[1] - apart[0]) == pytest.approx(np.sqrt(10), rel=0.2)


def test_a_lead_is_of_pairs_and_told_from_chance():
    rng = np.random.default_rng(5)
    ranks = np.where(rng.random(2_000) < 0.3, 0, MISSED)
    better = np.where(rng.random(2_000) < 0.03, 0, ranks)
    low, high = leads(scores(better.tolist()), scores(ranks.tolist()))["hr@20"]
    assert 0 < low < (better == 0).mean() - (ranks == 0).mean() < high
    assert high - low < 0.5 * np.diff(intervals(scores(ranks.tolist()))["hr@20"])
    for low, high in leads(scores(ranks.tolist()), scores(ranks[::-1].tolist())).values():
        assert low < 0 < high
    assert set(leads(scores([1, 2]), scores([1, 2])).values()) == {(0.0, 0.0)}


def test_parts_add_up_to_the_whole():
    of = scores([0, 1, MISSED, 3], known=[True, False, True, True])
    parts = segments(of)
    assert set(parts) == {"new shoppers", "known shoppers", "head items"}
    assert parts["new shoppers"] == {"scored": 1, "hr@20": 1.0, "mrr@20": 0.5}
    assert parts["new shoppers"]["scored"] + parts["known shoppers"]["scored"] == 4


def test_what_lists_show_beside_hits():
    told = report(scores([0]))
    assert (told["coverage"], told["head_share"], told["diversity"]) == (0.25, 0.75, 0.75)
    assert (told["scored"], told["events"], told["events_per_s"]) == (1, 2, 1.0)


def test_the_head_is_the_fewest_items_with_half_of_the_events():
    assert head(Counter(a=5, b=3, c=2)) == {"a"}
    assert head(Counter(a=4, b=3, c=3)) == {"a", "b"}
    assert head(Counter()) == set()


def test_diversity_is_the_share_of_pairs_that_differ():
    assert diversity(["a", "a", "a"]) == 0.0
    assert diversity(["a", "b", "c", None]) == 1.0
    assert diversity(["a", "a", "b"]) == pytest.approx(2 / 3)
    assert diversity(["a", None]) is None
