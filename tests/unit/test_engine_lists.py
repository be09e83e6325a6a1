"""What shoppers get from the engine: exclusions, cold start, sessions, crowds, first lists."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from stream.effects import Effects, ListsFor
from stream.items.catalogue import REMOVED_SHARE
from stream.learn.examples import places_of, unpack_examples
from stream.pricing import Mode, PricingConfig
from stream.shoppers.describe import describe, shoppers_of
from tests.unit.core_helpers import (
    MINUTE_MS,
    T0,
    Worker,
    event,
    item_counts,
    items_of,
    lists,
    log,
    pair_weights,
)


def test_a_sale_closes_the_offer_and_a_return_opens_it_again():
    worker = Worker()
    events = [event("view", f"u{k // 2}", "ab"[k % 2], T0 + k) for k in range(12)]
    worker.run(log(events))
    worker.talk()
    at = itertools.count(20)

    def after(kind: str, item: str, **fields: Any) -> list[str]:
        n = next(at)
        effects = worker.feed(log([event(kind, "me", item, T0 + n, **fields)], n))
        return items_of(effects, "me") if lists(effects) else []

    assert "b" in after("view", "a")
    assert "b" not in after("purchase", "b", order_id="o", quantity=2)
    assert "b" not in after("view", "a")
    assert "b" not in after("return", "b", quantity=1)
    assert "b" in after("return", "b", quantity=1)
    after("hide", "b")
    assert "b" not in [i for i in after("view", "c")]


def test_what_is_withdrawn_or_out_of_stock_is_not_recommended():
    worker = Worker().run(log([event("view", f"u{k // 3}", "abc"[k % 3], T0 + k) for k in range(12)]))
    worker.talk()
    at = itertools.count(20)

    def offered() -> list[str]:
        n = next(at)
        made = lists(worker.feed(log([event("view", f"new{n}", "a", T0 + n)], n)))
        return made[-1][1]["items"] if made else []

    assert set(offered()) >= {"b", "c"}
    worker.engine.control("items", b"b", b'{"item_id":"b","stock":0}')
    assert "b" not in offered()
    worker.engine.control("items", b"b", b'{"item_id":"b","stock":3}')
    assert "b" in offered()
    worker.engine.control("items", b"b", None)
    assert "b" not in offered()


def test_an_item_that_was_removed_before_anybody_saw_it_stays_removed():
    worker = Worker()
    worker.engine.control("items", b"dead", None)
    worker.run(
        log([event("view", f"u{k // 3}", ["dead", "live", "other"][k % 3], T0 + k) for k in range(12)])
    )
    worker.talk()
    assert items_of(worker.feed(log([event("view", "z", "live", T0 + 20)], 20)), "z") == ["other"]


def test_a_removed_item_keeps_its_number_so_that_it_stays_removed_whoever_comes_to_it():
    worker = Worker(max_items=64)
    worker.engine.control("items", b"dead", None)
    for k in range(2 * worker.engine.table.interner.capacity):
        worker.run(log([event("view", f"u{k % 3}", f"i{k}", T0 + k * 1_000)], first=k))
    (number,) = worker.engine.table.numbers(b"dead", 1)
    assert worker.engine.table.facts.item["withdrawn"][number]


def test_of_removed_items_the_latest_are_remembered():
    worker = Worker(max_items=64)
    most = worker.engine.table.interner.capacity // REMOVED_SHARE
    for k in range(most + 3):
        worker.engine.control("items", b"i%d" % k, None)
    assert list(worker.engine.catalogue.removed) == [b"i%d" % k for k in range(3, most + 3)]


@pytest.mark.parametrize("stock", [2**31, 2**64 - 1])
def test_a_stock_that_never_runs_out_is_a_stock(stock: int):
    worker = Worker(pricing=PricingConfig(mode=Mode.AUTO))
    assert worker.engine.control("items", b"a", b'{"item_id":"a","stock":%d}' % stock) is None
    worker.run(log([event("view", f"u{k}", "a", T0 + k, price=9.0) for k in range(50)]))
    assert lists(Effects(values=worker.talk(T0 + 60_000)), "price")


def test_cold_start_falls_to_the_category_and_then_to_what_is_popular():
    worker = Worker()
    for name, category in {"p1": "shoes", "p2": "shoes", "x": "shoes", "h": "hats"}.items():
        worker.engine.control(
            "items", name.encode(), f'{{"item_id":"{name}","category":"{category}"}}'.encode()
        )
    worker.run(
        log([event("view", f"u{k}", name, T0 + k) for k, name in enumerate(["h"] * 5 + ["p1"] * 3 + ["p2"])])
    )
    worker.talk()
    _, value = lists(worker.feed(log([event("view", "me", "x", T0 + 20)], 20)))[0]
    assert value["items"] == ["p1", "p2", "h"]
    assert value["reasons"] == ["category", "category", "popular"]
    _, value = lists(worker.feed(log([event("search", "you", ts=T0 + 21, query="?")], 21)))[0]
    assert value["items"] == ["h", "p1", "p2", "x"], "x is not popular yet, but somebody has looked at it"


def test_sessions_end_after_half_an_hour_of_nothing():
    for pause, together in ((29, True), (31, False)):
        worker = Worker().run(
            log([event("view", "u", "a", T0), event("view", "u", "b", T0 + pause * MINUTE_MS)])
        )
        assert (("viewed", "a", "b") in pair_weights(worker.engine)) is together


def test_a_crowd_behind_one_id_is_kept_out_of_the_pairs():
    worker = Worker()
    hour = T0 // 3_600_000 * 3_600_000
    events = [event("view", "guest", f"i{k % 50}", hour + k) for k in range(1_500)]
    worker.run(log(events))
    before = worker.engine.item_units[0].pairs
    assert worker.engine.metrics.crowded == 500
    # And it stays a crowd: in the next hour its first event makes no pairs either.
    worker.run(log([event("view", "guest", f"i{k % 50}", hour + 3_600_000 + k) for k in range(50)], 2_000))
    assert worker.engine.item_units[0].pairs == before
    assert item_counts(worker.engine)["i0"][0] == 20, "nor does what it looks at count"


def test_in_a_backlog_each_shopper_gets_one_list_the_same_as_the_last_one_of_many():
    history = log([event("view", f"h{k // 4}", f"i{k * 7 % 40}", T0 + k) for k in range(400)])
    backlog = [
        event("purchase" if k % 50 == 9 else "view", f"u{k * k % 300}", f"i{k * 11 % 40}", T0 + 1_000 + k)
        for k in range(2_500)
    ]
    every, latest = (Worker(max_shoppers=350).run(history) for _ in range(2))
    for worker in (every, latest):
        worker.talk()
    records = log(backlog, len(history))
    live = every.engine.shoppers(0, records, T0)
    once = latest.engine.shoppers(0, records, T0, lists=ListsFor.SHOPPERS)
    last = dict(lists(live))
    assert len(lists(live)) > 2 * len(last)
    assert sorted(name for name, _ in lists(once)) == sorted(last), "one each"
    assert dict(lists(once)) == last, "and its version is that of the shopper's last event"
    news = [[m.value for m in effects.messages if m.topic == "item-updates"] for effects in (live, once)]
    assert news[0] == news[1]
    units = [worker.engine.shopper_units[0] for worker in (every, latest)]
    described = [[describe(unit, number) for number in shoppers_of(unit)] for unit in units]
    assert described[0] == described[1]
    assert not [m for m in once.messages if m.topic == "examples"]


def test_who_was_forgotten_within_a_backlog_gets_no_list():
    worker = Worker(max_shoppers=64).run(
        log([event("view", f"h{k // 2}", "ab"[k % 2], T0 + k) for k in range(8)])
    )
    worker.talk()
    records = log([event("view", f"u{k}", "a", T0 + 100 + k) for k in range(5_000)], 8)
    made = [name for name, _ in lists(worker.engine.shoppers(0, records, T0, lists=ListsFor.SHOPPERS))]
    unit = worker.engine.shopper_units[0]
    assert sorted(made) == sorted(
        describe(unit, n).user_id for n in shoppers_of(unit) if n and describe(unit, n).user_id[0] == "u"
    )


def test_the_more_partitions_share_the_learner_the_fewer_lists_each_has_labelled():
    found = []
    for partitions in (8, 64):
        worker = Worker(item_partitions=partitions, max_items=1 << 15)
        # As after many lists: the share is at its floor.
        worker.engine.metrics.labelled_lists = 10**9
        for first in range(0, 20_000, 1_000):
            numbers = range(first, first + 1_000)
            views = [event("view", f"u{n % 50}", f"i{n * 7 % 41}", T0 + n) for n in numbers]
            worker.feed(log(views, first))
            worker.deliver()
        found.append(sum(len(places_of(unpack_examples(value))) for value in worker.examples))
    assert 200 < found[0] < 800
    assert 1 < found[1] < found[0] / 3


def test_the_engine_makes_a_list_a_shopper_while_it_is_told_of_a_backlog():
    worker = Worker().run(log([event("view", f"h{k // 2}", "ab"[k % 2], T0 + k) for k in range(8)]))
    worker.talk()
    made = []
    for n, behind in enumerate((False, True, False)):
        worker.engine.in_backlog(behind)
        records = log(
            [event("view", "me", "ab"[k % 2], T0 + 100 + 10 * n + k) for k in range(10)], 8 + 10 * n
        )
        made.append(len(lists(worker.engine.shoppers(0, records, T0))))
    assert made == [10, 1, 10]
