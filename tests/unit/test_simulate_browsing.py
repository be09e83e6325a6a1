"""How shoppers choose, and what the oracle makes of knowing it."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from stream.events.types import View
from stream.simulate import RankScore, Shop, ShopConfig
from stream.simulate.browsing import Visit
from stream.simulate.visits import _conditional
from stream.simulate.world import World

DAY_MS = 24 * 3_600_000
CONFIG = ShopConfig(seed=3, start_ms=1_700_000_000_000)


@pytest.mark.parametrize("opening", [True, False])
def test_odds_are_those_of_the_draw(opening):
    world, rng, n = World(CONFIG), Random(1), 40_000
    shopper = world.crowd.shoppers[17]
    shopper.avoided = {1, 5}
    visit = Visit(shopper, "s", intent=2, current=None if opening else 40, seen=set() if opening else {40, 2})
    draws = [world.browsing.draw(visit, rng) for _ in range(n)]
    counts = Counter(draw[0] for draw in draws if draw is not None)
    assert counts.total() == n
    odds = world.browsing.odds(shopper, visit.intent, visit.current, visit.seen)
    expected = n * odds / odds.sum()
    assert set(counts) <= set(np.flatnonzero(odds).tolist())
    assert not set(counts) & {1, 5}
    chi_square = [(counts[item] - e) ** 2 / e for item, e in enumerate(expected) if e >= 5]
    # Mean of a chi-square a degree of freedom is 1, its standard deviation sqrt(2 / n).
    assert np.mean(chi_square) < 1 + 4 * np.sqrt(2 / len(chi_square))


def test_odds_before_a_visit_average_over_its_intents():
    browsing, shopper = World(CONFIG).browsing, World(CONFIG).crowd.shoppers[4]
    taste = shopper.taste()
    by_intent = [browsing.odds(shopper, intent, None, set()) for intent in range(CONFIG.n_categories)]
    assert taste.sum() == pytest.approx(1)
    assert np.allclose(browsing.odds(shopper, None, None, set()), taste @ np.array(by_intent))


def test_a_shopper_who_has_seen_everything_leaves():
    world = World(CONFIG)
    visit = Visit(world.crowd.shoppers[0], "s", 0, 3, set(range(CONFIG.n_items)))
    assert world.browsing.draw(visit, Random(1)) is None


def test_trends_launches_and_links_change_over_the_weeks():
    world = World(CONFIG)
    before = world.popularity.weight.copy()
    similar = [list(row) for row in world.links.similar]
    world.to_time(CONFIG.start_ms + 28 * DAY_MS)
    after = world.popularity.weight
    both = (before > 0) & (after > 0)
    assert np.corrcoef(np.log(before[both]), np.log(after[both]))[0, 1] < 0.97
    assert np.any((before == 0) & (after > 0))
    changed = sum(a != b for a, b in zip(similar, world.links.similar, strict=True))
    assert 0.2 < changed / CONFIG.n_items < 0.5


def test_links_stay_in_their_categories():
    world = World(CONFIG)
    category = world.goods.category
    for item in range(CONFIG.n_items):
        similar, complements = world.links.similar[item], world.links.complements[item]
        assert item not in similar
        assert len(set(similar)) == len(similar)
        assert {category[other] for other in similar} == {category[item]}
        steps = {int(category[other] - category[item]) % CONFIG.n_categories for other in complements}
        assert steps <= {1, CONFIG.n_categories - 1}


@pytest.mark.parametrize("chance", [0.01, 0.05, 0.4, 0.9])
@pytest.mark.parametrize("last", [0.01, 0.06, 0.5, 0.95])
def test_baskets_move_no_demand_curve(chance, last):
    bought, not_bought = _conditional(chance, last, True), _conditional(chance, last, False)
    assert 0 <= not_bought <= chance <= bought <= 1
    assert last * bought + (1 - last) * not_bought == pytest.approx(chance)


def test_the_oracle_beats_popularity_by_far():
    shop = Shop(CONFIG)
    shop.advance(CONFIG.start_ms + 5 * DAY_MS)
    shop.watch_oracle(every=3)
    viewed = [event.item_id for event in shop.advance(shop.clock_ms + 3 * DAY_MS) if isinstance(event, View)]
    # Popularity gets the best it could: the counts of the very views that score it.
    top = [item for item, _ in Counter(viewed).most_common(20)]
    popularity_hit_rate = sum(item in top for item in viewed) / len(viewed)
    opening, following = shop.oracle_score.opening, shop.oracle_score.following
    assert 3 * (opening.scored + following.scored) == pytest.approx(len(viewed), abs=3)
    assert following.hit_rate > 0.7
    assert following.hit_rate > opening.hit_rate > 2 * popularity_hit_rate
    assert following.hit_rate > 4 * popularity_hit_rate
    assert following.mrr > 0.25


def test_ranks_are_scored_by_hit_and_place():
    score = RankScore()
    for item in (7, 8, 9):
        score.add([5, 7, 9], item)
    assert score == RankScore(scored=3, hits=2, reciprocal_ranks=1 / 2 + 1 / 3)
    assert score.hit_rate == pytest.approx(2 / 3)
    assert score.mrr == pytest.approx(5 / 18)


def test_the_oracle_answers_for_the_visit_in_progress():
    shop, hits, scored = Shop(CONFIG), 0, 0
    shop.advance(CONFIG.start_ms + DAY_MS // 2)
    lists: dict[str, list[str]] = {}
    for _ in range(600):
        for event in shop.advance(shop.clock_ms + DAY_MS, max_events=1):
            if isinstance(event, View) and event.user_id in lists:
                scored += 1
                hits += event.item_id in lists[event.user_id]
            lists[event.user_id] = shop.oracle(event.user_id)
    assert scored > 200
    assert hits / scored > 0.65
    assert len(shop.oracle("shopper-0001", k=5)) == 5


def test_watching_the_oracle_changes_no_event():
    plain, watched = Shop(CONFIG), Shop(CONFIG)
    watched.watch_oracle(every=2)
    until_ms = CONFIG.start_ms + DAY_MS // 2
    assert plain.advance(until_ms) == watched.advance(until_ms)
    assert plain.oracle_score.following.hit_rate == plain.oracle_score.following.mrr == 0.0
    assert watched.oracle_score.following.scored > 0
    watched.watch_oracle(every=0)
    watched.advance(until_ms + DAY_MS // 8)
    assert watched.oracle_score.following.scored == 0
