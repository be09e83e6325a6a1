"""One place of some lists for what is hardly known: to whom it goes, and that its chances are as told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.config import EngineConfig
from stream.engine import Engine
from stream.items.newcomers import FEW
from stream.recommend.encode import EXPLORED
from stream.recommend.explore import EVEN, RATE, RATE_TRIALS, STRENGTH, _judge
from stream.recommend.rank import LENGTH
from stream.recommend.sources import SOURCES
from stream.rules.scenario import Scenario
from tests.unit.core_helpers import T0, Worker, event, lists, log

NEW = [f"new{k}" for k in range(5)]
SHARE = 0.5


def told(item: str, category: str = "home", **facts: Any) -> bytes:
    return msgspec.json.encode({"item_id": item, "title": f"thing {item}", "category": category} | facts)


def shop(share: float = SHARE) -> Worker:
    """Thirty items that are well known, and five that nobody has seen."""
    worker = Worker(scenarios={"home": Scenario(sources=tuple(SOURCES), explore=share)})
    for k in range(30):
        worker.engine.control("items", b"i%d" % k, told(f"i{k}"))
    views = [
        event("view", f"u{k // 10}", f"i{(k * 7 + k // 10) % 30}", T0 + k) for k in range(30 * FEW + 300)
    ]
    worker.run(log(views), [100, 400])
    worker.talk()
    for item in NEW:
        worker.engine.control("items", item.encode(), told(item))
    return worker


def seen(worker: Worker, count: int, first: int = 2_000, item: str = "i0") -> list[dict[str, Any]]:
    """The lists of `count` shoppers who look at an item, one after the other."""
    views = [event("view", f"s{first + k}", item, T0 + first + k) for k in range(count)]
    return [value for _, value in lists(worker.feed(log(views, first)))]


def test_the_place_goes_to_new_items_in_a_share_of_the_lists_and_their_chances_are_as_told():
    worker = shop()
    before = worker.engine.metrics.explored_lists
    made = seen(worker, 1_000)
    explored = [value for value in made if "explored" in value]
    assert len(explored) == pytest.approx(SHARE * 1_000, rel=0.12)
    for value in made:
        assert len(set(value["items"])) == len(value["items"]) <= LENGTH
        assert value["scores"] == sorted(value["scores"], reverse=True)
        assert ("new" in value["reasons"]) == ("explored" in value)
    for value in explored:
        assert value["items"][EXPLORED] == value["explored"]["item"]
        assert value["reasons"][EXPLORED] == "new"
    shown = Counter(value["explored"]["item"] for value in explored)
    assert set(shown) <= set(NEW)
    # Each of the five stands there as often as it was said to: sums of inverse propensities count all lists.
    for item in NEW:
        chances = [value["explored"]["propensity"] for value in explored if value["explored"]["item"] == item]
        assert sum(1 / chance for chance in chances) == pytest.approx(1_000, rel=0.35)
    inverse = sum(1 / value["explored"]["propensity"] for value in explored)
    assert inverse == pytest.approx(len(NEW) * 1_000, rel=0.1)
    assert worker.engine.metrics.explored_lists - before == len(explored)


def test_what_is_taken_is_shown_more():
    worker = shop(1.0)
    taken, offset, before = 0, 5_000, worker.engine.metrics.explored_taken
    while taken < 12:
        (value,) = seen(worker, 1, offset)
        if value["explored"]["item"] == "new3":
            worker.feed(log([event("view", f"s{offset}", "new3", T0 + offset + 1)], offset + 1))
            taken += 1
        offset += 2
    assert worker.engine.metrics.explored_taken - before == 12
    later = Counter(value["explored"]["item"] for value in seen(worker, 100, offset))
    assert later["new3"] > 60


def test_who_comes_back_too_late_or_takes_something_else_is_no_success():
    worker = shop(1.0)
    before = worker.engine.metrics.explored_taken
    (one,) = seen(worker, 1, 5_000)
    worker.feed(log([event("view", "s5000", one["explored"]["item"], T0 + 5_000 + 31 * 60_000)], 5_001))
    seen(worker, 1, 5_010)
    worker.feed(log([event("view", "s5010", "i9", T0 + 5_011)], 5_011))
    assert worker.engine.metrics.explored_taken == before


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "hide", "item": "new0"},
        {"kind": "exclude", "where": {"attribute": "brand", "is": "Acme"}},
        {"kind": "include-only", "where": {"not": {"attribute": "brand", "is": "Acme"}}},
    ],
)
def test_rules_of_the_shop_hold_for_what_is_explored(rule: dict[str, Any]):
    worker = shop(1.0)
    worker.engine.control("items", b"new0", told("new0", brand="Acme"))
    assert worker.engine.control("rules", b"r", msgspec.json.encode(rule)) is None
    shown = Counter(value["explored"]["item"] for value in seen(worker, 200))
    assert set(shown) == set(NEW[1:])


def test_nothing_is_put_between_what_rules_gave_places_to():
    worker = shop(1.0)
    worker.engine.control("rules", b"r", msgspec.json.encode({"kind": "pin", "item": "i7", "position": 6}))
    for value in seen(worker, 20):
        assert "explored" not in value
        assert value["items"][5] == "i7"


def test_a_rule_that_does_not_hold_for_a_list_keeps_nothing_new_out_of_it():
    worker = shop(1.0)
    pin = {"kind": "pin", "item": "i7", "position": 6, "context": {"attribute": "category", "is": "garden"}}
    assert worker.engine.control("rules", b"r", msgspec.json.encode(pin)) is None
    assert all("explored" in value for value in seen(worker, 20))


def test_a_shopper_is_not_shown_what_they_hid_or_have_looked_at():
    worker = shop(1.0)
    for k, kind in enumerate(("hide", "view", "purchase")):
        worker.feed(log([event(kind, "zoe", NEW[k], T0 + k)], 3_000 + k))
    for k in range(40):
        views = log([event("view", "zoe", f"i{k % 9}", T0 + 10 + k)], 3_100 + k)
        ((_, value),) = lists(worker.feed(views))
        assert value["explored"]["item"] in NEW[3:]


def test_the_list_that_is_learned_from_is_the_ranking():
    worker = shop(1.0)
    seen(worker, 200)
    ring = worker.engine.shopper_units[0].state.waiting.ring
    numbers = [worker.engine.table.interner.find(item.encode()) for item in NEW]
    kept = ring[ring["size"] > 0]
    assert len(kept)
    # What is like the last item may be a candidate; nothing is one for being explored.
    assert not np.isin(kept["item"][:, :5], numbers).any()


def test_without_a_catalogue_or_with_no_share_nothing_is_explored():
    bare = Worker(scenarios={"home": Scenario(sources=tuple(SOURCES), explore=1.0)})
    bare.run(log([event("view", f"u{k % 9}", f"i{k % 30}", T0 + k) for k in range(300)]), [50])
    assert not any("explored" in value for value in seen(bare, 20))
    assert not any("explored" in value for value in seen(shop(0.0), 20))


def test_the_same_log_explores_the_same():
    one, other = (seen(shop(), 100) for _ in range(2))
    assert [value.get("explored") for value in one] == [value.get("explored") for value in other]


def test_chances_are_those_of_thompson_sampling():
    """Against draws."""
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    shown, taken = np.array([0, 10, 40, 200]), np.array([0, 2, 1, 9])
    for k in range(4):
        engine.control("items", b"n%d" % k, told(f"n{k}"))
    facts, explorer = engine.table.facts, engine._ranker.explorer
    numbers = engine.table.numbers(b"n0\0n1\0n2\0n3", 4)
    category = int(facts.item["category"][numbers[0]])
    explorer.item["shown"][numbers], explorer.item["taken"][numbers] = shown, taken
    explorer.category["shown"][category], explorer.category["taken"][category] = 250, 12
    _judge(explorer, facts, category)
    rate = (12 + RATE * RATE_TRIALS) / (250 + RATE_TRIALS)
    draws = np.random.default_rng(5).beta(
        STRENGTH * rate + taken, STRENGTH * (1 - rate) + shown - taken, (100_000, 4)
    )
    best = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)
    places = [facts.new.item[category].tolist().index(number + 1) for number in numbers.tolist()]
    assert explorer.chance[category][places] == pytest.approx((1 - EVEN) * best + EVEN / 4, abs=0.02)
