"""What each source is for, beyond what holds for all."""

from __future__ import annotations

import numpy as np
import pytest

from stream.events.codes import LIKE, PROFILE, PURCHASE, RATING, RETURN, SEARCH, VIEW
from stream.events.types import Item
from stream.sources.content import Content
from stream.sources.popularity import Popularity
from stream.sources.profile import Profile
from stream.sources.purchases import Purchases
from stream.sources.ratings import Ratings
from stream.sources.rising import Rising
from stream.sources.sessions import KEPT, Sessions
from tests.unit.source_kit import Did, columns, items_of, proposed, room, visit

NOW = 1_600_000_000_000
HOUR, DAY = 3_600_000, 86_400_000


def test_a_session_longer_than_a_row_is_kept_in_pieces():
    source = Sessions(room())
    source.learn(columns(Did(0, k, ts_ms=NOW, opens=k == 0) for k in range(3 * KEPT)))
    for k in range(3 * KEPT - 1):
        # The item that followed is the nearest.
        assert k + 1 in items_of(source, visit([k]))[:2]


def test_ones_own_session_is_no_neighbour():
    source = Sessions(room())
    source.learn(columns(Did(0, k, ts_ms=NOW, opens=k == 0) for k in range(4)))
    assert items_of(source, visit([3, 2, 1, 0], 0)) == []
    assert items_of(source, visit([3, 2, 1, 0], 1)) != []


def test_a_query_finds_an_item_that_nobody_has_seen():
    source = Content(room())
    titles = ["red lamp", "blue lamp", "blue chair", "green chair"]
    source.describe_items(
        np.arange(4, dtype=np.int32), [Item(item_id=str(k), title=t) for k, t in enumerate(titles)]
    )
    source.hear(7, SEARCH, "Blue CHAIR!")
    assert items_of(source, visit([], 7))[0] == 2
    source.describe_items(np.array([2], np.int32), [Item(item_id="2", title="old table")])
    assert items_of(source, visit([], 7)) == [1, 3] or items_of(source, visit([], 7)) == [3, 1]


def test_what_is_popular_in_the_category_comes_before_what_is_popular_elsewhere():
    source = Popularity(room())
    source.describe_items(
        np.arange(6, dtype=np.int32), [Item(item_id=str(k), category="ab"[k % 2]) for k in range(6)]
    )
    source.learn(columns(Did(0, item, ts_ms=NOW) for item in (0, 0, 0, 0, 2, 2, 4, 1, 1, 3)))
    assert items_of(source, visit([5]))[:2] == [1, 3]
    assert items_of(source, visit([4]))[:2] == [0, 2]
    # Two weeks later one event is worth what four were.
    source.learn(columns(Did(0, 4, ts_ms=NOW + 14 * DAY) for _ in range(2)))
    assert items_of(source, visit([2]))[0] == 4


def test_what_rises_comes_before_what_is_always_popular():
    source = Rising(room())
    steady = [Did(0, 0, ts_ms=NOW + k * HOUR // 4) for k in range(4 * 24 * 7)]
    burst = [Did(1, 1, ts_ms=NOW + 7 * DAY + k * 60_000) for k in range(12)]
    source.learn(columns(steady + burst))
    assert items_of(source, visit([5])) == [1]


def test_who_bought_the_same_tells_and_what_came_back_does_not():
    source = Purchases(room())
    source.learn(
        columns(
            Did(shopper, item, code, NOW)
            for shopper, item, code in (
                (1, 0, PURCHASE), (1, 1, PURCHASE), (2, 0, LIKE), (2, 1, PURCHASE), (2, 2, PURCHASE),
                (3, 5, PURCHASE), (3, 6, PURCHASE), (9, 0, PURCHASE), (9, 7, VIEW),
            )
        )
    )  # fmt: skip
    assert proposed(source, visit([7], 9))[0][::2] == (1, 2), "two like shoppers had it"
    assert items_of(source, visit([7], 9)) == [1, 2]
    source.learn(columns([Did(1, 1, RETURN, NOW), Did(2, 1, RETURN, NOW)]))
    assert items_of(source, visit([7], 9)) == [2]


def test_shoppers_of_opposite_taste_get_what_they_rate_well():
    source = Ratings(room())
    rng = np.random.default_rng(1)
    events = [
        Did(shopper, item, RATING, NOW + k, False, 5.0 if shopper % 2 == item % 2 else 1.0)
        for k, (shopper, item) in enumerate(
            zip(rng.integers(0, 30, 6000), rng.integers(0, 40, 6000), strict=True)
        )
        if (shopper, item) not in ((0, 38), (1, 38))
    ]
    source.learn(columns(events))
    kept = {s: [i for i in items_of(source, visit([63], s)) if i < 40] for s in (0, 1)}
    assert np.mean([item % 2 == 0 for item in kept[0][:4]]) >= 0.75
    assert np.mean([item % 2 == 1 for item in kept[1][:4]]) >= 0.75
    scores = [score for _, score, _ in proposed(source, visit([63], 0))]
    assert 1.0 <= scores[-1] <= scores[0] <= 5.5


def test_stated_interests_and_what_is_bought_make_a_profile():
    source = Profile(room())
    source.describe_items(
        np.arange(8, dtype=np.int32),
        [Item(item_id=str(k), category="ab"[k % 2], list_price=10.0 * (1 + k)) for k in range(8)],
    )
    source.learn(columns(Did(shopper, shopper % 8, ts_ms=NOW, opens=True) for shopper in range(16)))
    source.hear(20, PROFILE, "b\nno such thing")
    assert {item % 2 for item in items_of(source, visit([], 20))[:4]} == {1}
    shoppers = [
        Did(shopper, shopper % 8, code, NOW + visits * DAY, code == VIEW)
        for visits in range(1, 9)
        for shopper in range(16)
        for code in (VIEW, PURCHASE)
        if visits <= 1 + shopper // 2
    ]
    source.learn(columns(shoppers))
    often, seldom = source.rfm(15, NOW + 10 * DAY), source.rfm(0, NOW + 10 * DAY)
    assert often[1] > seldom[1]
    assert often[2] > seldom[2]
    assert all(1 <= fifth <= 5 for fifth in (*often, *seldom))


@pytest.mark.parametrize("rating", [float("nan"), -0.5, 100.5, float("inf")])
def test_what_is_no_rating_is_not_learned(rating: float):
    source = Ratings(room())
    source.learn(columns([Did(0, 1, RATING, NOW, False, rating), Did(0, 2, VIEW, NOW, False, 3.0)]))
    assert items_of(source, visit([0], 0)) == []
