"""Popularity over all partitions: merged alike by everybody, from whatever order and time it was told."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.effects import Effects, version
from stream.events.codes import VIEW
from stream.items.facts import POPULAR, hear
from stream.items.table import DAY_MS, ItemTable
from stream.recommend.popular import CATEGORY_LEADERS, Partial, Popular
from tests.unit.core_helpers import T0, Worker, event, lists, log


def partial(position: int, items: dict[str, float], clock_ms: int = T0, lineage_ms: int = 1) -> bytes:
    weights = list(items.values())
    told = Partial(
        version(lineage_ms, position).decode(),
        clock_ms,
        sum(weights),
        sum(weights),
        list(items),
        weights,
        weights,
    )
    return msgspec.json.encode(told)


def leaders(popular: Popular, table: ItemTable) -> list[str]:
    return [table.interner.name(n - 1).decode() for n in popular.leaders.overall.tolist() if n]


PARTIALS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 5), st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 3))
    ),
    max_size=8,
    unique_by=lambda told: told[:2],
)


@settings(max_examples=50)
@given(PARTIALS, st.randoms(use_true_random=False))
def test_the_order_of_partials_does_not_matter(told, random):
    seen = []
    for messages in (told, random.sample(told, len(told))):
        table = ItemTable(64, 4)
        popular = Popular(table)
        for p, position, weights in messages:
            # An item belongs to one partition.
            mine = {f"{name}{p}": float(weight) for name, weight in weights.items()}
            popular.update(b"popular:%d" % p, partial(position, mine))
        popular.merge(0)
        seen.append((leaders(popular, table), popular.trending))
    assert seen[0] == seen[1]


def test_an_older_partial_changes_nothing():
    table = ItemTable(64, 1)
    popular = Popular(table)
    popular.update(b"popular:0", partial(5, {"a": 1.0}))
    assert popular.merge(1_000)
    popular.update(b"popular:0", partial(4, {"b": 1.0}))
    assert not popular.merge(2_000)
    assert leaders(popular, table) == ["a"]
    popular.update(b"popular:0", partial(0, {"c": 1.0}, lineage_ms=2))
    assert popular.merge(3_000)
    assert leaders(popular, table) == ["c"]


def test_what_a_quiet_partition_told_long_ago_has_faded():
    """Weights are as of each partial's own clock; the newest clock is everybody's now."""
    table = ItemTable(64, 2)
    popular = Popular(table)
    popular.update(b"popular:0", partial(9, {"old": 10.0}, T0))
    popular.update(b"popular:1", partial(2, {"new": 3.0}, T0 + int(60 * DAY_MS)))
    popular.merge(4_000)
    assert leaders(popular, table) == ["new", "old"]
    assert popular.trending[0][0] == b"new"
    heard = table.facts.item["popular"]
    ratio = heard[table.interner.find(b"old")] / heard[table.interner.find(b"new")]
    assert np.isclose(ratio, 2.5 / 3.0, rtol=1e-4)


def test_what_the_shop_knows_counts_only_for_items_that_own_shoppers_have_not_looked_at():
    table = ItemTable(64, 1)
    popular = Popular(table)
    for _ in range(30):
        hear(table.facts, int(table.numbers(b"mine", 1)[0]), 1.0, VIEW)
    popular.update(b"popular:0", partial(1, {"mine": 1.0, "other": 3.0}))
    popular.merge(5_000)
    heard = table.facts.item["popular"]
    assert heard[table.interner.find(b"mine")] == 30
    assert np.isclose(heard[table.interner.find(b"other")], 0.75 * 30)
    assert table.facts.heard[POPULAR] == 30 + heard[table.interner.find(b"other")]
    popular.update(b"popular:0", partial(2, {"mine": 1.0, "other": 9.0}))
    popular.merge(7_000)
    assert np.isclose(heard[table.interner.find(b"other")], 0.75 * 30), "told once"


def shop(item_partitions: int, reverse: bool) -> Worker:
    """260 items of 6 categories, seen once to three times each; numbers by order of the catalogue."""
    worker = Worker(item_partitions=item_partitions)
    names = [f"i{k:03}" for k in range(260)]
    for name in reversed(names) if reverse else names:
        entry = {"item_id": name, "category": f"c{int(name[1:]) % 6}"}
        worker.engine.control("items", name.encode(), msgspec.json.encode(entry))
    events = [event("view", f"u{k}", name) for k, name in enumerate(names * 3) if k % 7 or k < 260]
    return worker.run(log(events))


def test_leaders_are_the_same_on_workers_that_number_items_differently():
    """More items at equal weight than are told: the id's hash decides, not the number."""
    told: list[Any] = []
    for reverse in (False, True):
        worker = shop(1, reverse)
        worker.talk()
        popular, table = worker.engine.popular, worker.engine.table
        by_category = {
            worker.engine.catalogue.categories.name(c): [
                table.interner.name(n - 1) for n in row.tolist() if n
            ]
            for c, row in enumerate(popular.leaders.by_category[:10])
            if c
            if row[0]
        }
        told.append((leaders(popular, table), by_category, popular.trending))
    assert told[0] == told[1]
    assert len(told[0][0]) == 200
    assert {len(row) for row in told[0][1].values()} == {CATEGORY_LEADERS}


def test_trending_is_published_for_the_shop_and_every_category_once_it_changes():
    worker = shop(2, False)
    told = dict(lists(Effects(values=worker.talk()), "trending"))
    assert told.keys() == {"all", "c0", "c1", "c2", "c3", "c4", "c5"}
    assert all(len(value["items"]) == 20 for value in told.values())
    assert all(value["scores"] == sorted(value["scores"], reverse=True) for value in told.values())
    assert not lists(Effects(values=worker.talk(T0 + 60_000)), "trending")


def test_a_category_called_all_hides_nothing():
    worker = Worker()
    worker.engine.control("items", b"x", b'{"item_id":"x","category":"all"}')
    worker.run(log([event("view", "u", "x"), event("view", "v", "y"), event("view", "w", "y")]))
    assert dict(lists(Effects(values=worker.talk()), "trending"))["all"]["items"] == ["y", "x"]


def test_what_is_told_within_a_second_is_merged_at_once():
    table = ItemTable(64, 2)
    popular = Popular(table)
    popular.update(b"popular:0", partial(1, {"a": 1.0}))
    assert popular.merge(5_000)
    popular.update(b"popular:1", partial(1, {"b": 2.0}))
    assert not popular.merge(5_999)
    assert popular.merge(6_000)
    assert leaders(popular, table) == ["b", "a"]
    popular.update(b"popular:1", partial(2, {"c": 2.0}))
    assert popular.merge(100), "a clock that was set back does not stop it"
