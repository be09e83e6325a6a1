from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluation.fusion import REACH, SCORE_FLOOR, Fusion, Ranked, relative

names = st.lists(st.sampled_from([f"i{k}" for k in range(60)]), unique=True, max_size=50)
lists = st.builds(lambda items: ranked(items), names)


def ranked(items: list[str], best: float = 1.0) -> Ranked:
    return Ranked(items, [best / (k + 1) for k in range(len(items))])


@given(st.lists(st.tuples(lists, st.integers(0, 59), st.integers(0, 12)), max_size=12))
def test_one_list_keeps_its_order_whatever_is_learned(turns: list[tuple[Ranked, int, int]]):
    fusion = Fusion(["a"])
    for each, taken, seen in turns:
        fused = fusion.join([each], seen)
        assert fused.items == list(each.items)[:REACH]
        fusion.learn(fused, f"i{taken}")


@given(
    st.lists(st.tuples(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 8)), max_size=9)
)
def test_what_all_place_above_another_stays_above(turns: list[tuple[list[int], list[int], int]]):
    fusion = Fusion(["a", "b"])
    for one, other, taken in turns:
        fused = fusion.join([ranked([f"i{k}" for k in each]) for each in (one, other)], 1)
        place = {int(item[1:]): k for k, item in enumerate(fused.items)}
        for x in range(9):
            for y in range(9):
                if one.index(x) < one.index(y) and other.index(x) < other.index(y):
                    assert place[x] < place[y]
        fusion.learn(fused, f"i{taken}")


@given(st.lists(st.tuples(lists, lists, st.integers(0, 59)), max_size=9))
def test_all_that_is_proposed_is_there_once(turns: list[tuple[Ranked, Ranked, int]]):
    fusion = Fusion(["a", "b"], "a")
    for one, other, taken in turns:
        fused = fusion.join([one, other], 2)
        assert sorted(fused.items) == sorted({*one.items[:REACH], *other.items[:REACH]})
        fusion.learn(fused, f"i{taken}")


def test_nothing_proposed_nothing_joined():
    fusion = Fusion(["a", "b"])
    fused = fusion.join([ranked([]), ranked([])], 0)
    assert fused.items == []
    fusion.learn(fused, "x")
    assert fusion.served is None


def test_a_member_that_ranks_better_is_served_at_once():
    fusion = Fusion(["a", "b"], "a")
    fused = fusion.join([ranked(["x", "y"]), ranked(["z", "y"])], 1)
    assert fused.items == ["x", "y", "z"]
    fusion.learn(fused, "z")
    assert fusion.served == "b"
    assert fusion.join([ranked(["x"]), ranked(["y", "z"])], 1).items == ["y", "z", "x"]


def test_what_was_learned_is_served_again_when_it_is_as_good():
    fusion = Fusion(["a", "b"], "a")
    for _ in range(400):
        fusion.learn(fusion.join([ranked(["x", "y"]), ranked(["z", "y"])], 1), "z")
    assert fusion.served is None
    assert fusion.join([ranked(["x", "y"]), ranked(["z", "y"])], 1).items[0] == "z"


def test_short_and_long_sessions_are_told_apart():
    """One member is right of those that begin, the other of all later ones."""
    fusion = Fusion(["a", "b"])
    for n in range(2000):
        seen = 1 + 7 * (n % 2)
        fusion.learn(fusion.join([ranked(["x"]), ranked(["z"])], seen), "xz"[n % 2])
    assert [fusion.join([ranked(["x"]), ranked(["z"])], seen).items for seen in (1, 8)] == [
        ["x", "z"],
        ["z", "x"],
    ]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], []),
        ([4.0, 2.0, 0.0], [0.0, np.log(0.5), np.log(SCORE_FLOOR)]),
        ([3.0, 0.0, -1.0], [0.0, -0.75, -1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([-2.0], [0.0]),
    ],
)
def test_scores_are_told_against_the_best(scores: list[float], expected: list[float]):
    assert relative(np.array(scores)).tolist() == pytest.approx(expected)


@given(st.lists(st.floats(-1e30, 1e30), max_size=40).map(lambda found: sorted(found, reverse=True)))
def test_told_scores_are_finite_and_fall(scores: list[float]):
    found = relative(np.array(scores)).tolist()
    assert all(np.isfinite(found))
    assert all(a >= b for a, b in pairwise(found))
    assert not found or found[0] == 0.0
