"""A bot, or everybody behind one id: found after a thousand events in an hour, and kept out of the counts."""

from __future__ import annotations

import numpy as np

from stream.items.facts import EVENTS, POPULAR
from stream.shoppers.describe import describe
from stream.shoppers.session import CROWD_EVENTS_PER_HOUR
from tests.unit.core_helpers import T0, Worker, event, item_counts, log, pair_weights, price_counts

HOUR = T0 // 3_600_000 * 3_600_000
ITEMS = 400


def people() -> list[dict]:
    """Shoppers who look at neighbours on a ring of items."""
    rng = np.random.default_rng(1)
    out: list[dict] = []
    for k in range(3_000):
        at = int(rng.integers(ITEMS))
        for step in range(3):
            item = f"i{(at + step) % ITEMS}"
            out.append(
                event("view", f"u{k}", item, HOUR + len(out) * 100, price=5.0, event_id=f"p{len(out)}")
            )
    return out


def bot(views: int, kind: str = "view") -> list[dict]:
    return [
        event(kind, "bot", f"i{k * 7 % ITEMS}", HOUR + k * 36, price=1.0, event_id=f"b{k}")
        for k in range(views)
    ]


def run(events: list[dict]) -> Worker:
    worker = Worker(item_partitions=2)
    records = log(sorted(events, key=lambda e: e["ts"]))
    for at in range(0, len(records), 5_000):
        worker.run(records[at : at + 5_000])
    return worker


def test_a_bot_that_looks_at_100_000_items_in_an_hour_adds_no_more_than_a_thousand_views():
    alone, beset, bounded = (
        run(people()),
        run(people() + bot(100_000)),
        run(people() + bot(CROWD_EVENTS_PER_HOUR)),
    )
    engine = beset.engine
    assert engine.metrics.crowded == 100_000 - CROWD_EVENTS_PER_HOUR
    assert item_counts(engine) == item_counts(bounded.engine)
    views = [sum(row[0] for row in item_counts(one.engine).values()) for one in (alone, beset)]
    assert views[1] - views[0] == CROWD_EVENTS_PER_HOUR
    # Beyond the bound nobody's lists know of it: rows of neighbours, prices, popularity, what is trending.
    assert pair_weights(engine) == pair_weights(bounded.engine)
    assert price_counts(engine) == price_counts(bounded.engine)
    for one in (beset, bounded):
        one.talk()
    assert engine.popular.trending == bounded.engine.popular.trending
    for heard in (EVENTS, POPULAR):
        assert engine.table.facts.heard[heard] == bounded.engine.table.facts.heard[heard]
    # And within it, what it says of any two items is little beside what people say.
    said, with_it = pair_weights(alone.engine), pair_weights(engine)
    lost = [pair for pair, weight in said.items() if with_it.get(pair, 0.0) < weight * (1 - 1e-5)]
    assert not lost


def test_it_is_named_once_and_of_many_the_latest():
    worker = Worker()
    worker.run(log(bot(CROWD_EVENTS_PER_HOUR)))
    assert worker.engine.metrics.crowds == []
    more = [event("view", "bot", "i1", HOUR + 36_000_000 // 1000 + k, event_id=f"m{k}") for k in range(5)]
    worker.run(log(more, CROWD_EVENTS_PER_HOUR))
    assert worker.engine.metrics.crowds == ["bot"]
    worker.engine.metrics.name_crowds([f"b{k}" for k in range(25)] + ["b24"])
    assert worker.engine.metrics.crowds == [f"b{k}" for k in range(5, 25)]


def test_it_is_told_of_who_is_asked_for():
    unit = run(people()[:300] + bot(1_500)).engine.shopper_units[0]
    assert describe(unit, unit.interner.find(b"bot")).crowd
    assert not describe(unit, unit.interner.find(b"u1")).crowd


def test_an_id_that_everybody_shares_makes_no_neighbours_but_what_it_buys_is_sold():
    worker = run(bot(CROWD_EVENTS_PER_HOUR))
    pairs = worker.engine.item_units[0].pairs + worker.engine.item_units[1].pairs
    popular = worker.engine.table.rows["popular"].sum()
    later = [
        event("purchase", "bot", "i7", HOUR + 3_500_000, price=1.0, quantity=2, event_id=f"s{k}")
        for k in range(5)
    ]
    later.append(event("return", "bot", "i7", HOUR + 3_500_001, event_id="r"))
    before = item_counts(worker.engine)["i7"]
    prices = worker.engine.table.rows["conversions"].sum()
    worker.run(log(later, CROWD_EVENTS_PER_HOUR))
    after = item_counts(worker.engine)["i7"]
    assert tuple(np.subtract(after, before)) == (0, 0, 5, 10, 1)
    assert worker.engine.item_units[0].pairs + worker.engine.item_units[1].pairs == pairs
    assert worker.engine.table.rows["popular"].sum() == popular
    assert worker.engine.table.rows["conversions"].sum() == prices
