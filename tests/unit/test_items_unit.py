"""Bounded memory: who has to go when a bucket is full, and numbers that are given out again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.effects import Effects
from stream.events.records import LogRecord
from stream.exchange import PAIR_WEIGHT
from stream.items.cooccurrence import add
from stream.items.row import BUCKETS, ITEM
from stream.items.saved import save
from stream.items.sweep import sweep
from tests.unit.core_helpers import (
    T0,
    Worker,
    event,
    item_counts,
    items_of,
    lists,
    log,
    pair_weights,
    shopper_states,
)


def consistent(worker: Worker) -> None:
    """Counts lie only in rows that their unit knows of, and the unit counts its rows right."""
    table = worker.engine.table
    rows = table.rows[: table.interner.used]
    assert not (rows["views"][~rows["owned"]]).any()
    for unit in worker.engine.item_units.values():
        members = unit.members()
        counted = np.bincount(rows["bucket"][members], minlength=64)
        assert counted.tolist() == unit.bucket_size.tolist()
        assert counted.max(initial=0) <= max(8, worker.engine.config.max_items // table.partitions // 64)


@pytest.mark.parametrize("step_ms", [0, 1_000])
@pytest.mark.parametrize("item_partitions", [1, 3])
def test_a_full_bucket_of_items_lets_go_and_stays_consistent(step_ms, item_partitions):
    worker = Worker(item_partitions=item_partitions, max_items=512)
    for start in range(0, 1_500, 50):
        events = [event("view", f"u{k % 5}", f"i{k}", T0 + k * step_ms) for k in range(start, start + 50)]
        worker.run(log(events, start))
        consistent(worker)
        assert item_counts(worker.engine)[f"i{start + 49}"][0] == 1


def test_the_least_recent_items_go_first():
    worker = Worker(max_items=512)
    for k in range(2_000):
        worker.run(
            log(
                [
                    event("view", f"u{k % 7}", f"i{k}", T0 + k * 1_000),
                    event("view", f"v{k % 3}", "i0", T0 + k * 1_000),
                ],
                2 * k,
            )
        )
    kept = [int(name[1:]) for name in item_counts(worker.engine)]
    assert item_counts(worker.engine)["i0"][0] == 2_001
    assert set(range(1_900, 2_000)) <= set(kept)
    assert min(k for k in kept if k) > 1_000


def test_the_least_recent_shoppers_go_first_and_come_back_as_new():
    worker = Worker(max_shoppers=512)
    for k in range(2_000):
        worker.feed(
            log(
                [event("view", f"u{k}", "a", T0 + k * 1_000), event("view", "loyal", "b", T0 + k * 1_000)],
                2 * k,
            )
        )
    unit = worker.engine.shopper_units[0]
    states = shopper_states(worker.engine)
    assert len(unit) == len(states) <= 512
    assert states["loyal"]["events"] == 2_000
    assert {f"u{k}" for k in range(1_950, 2_000)} <= states.keys()
    assert "u0" not in states
    worker.feed(log([event("view", "u0", "c", T0 + 3_000_000)], 5_000))
    assert shopper_states(worker.engine)["u0"] == {
        "events": 1, "recent": ["c"], "window": ["c"], "basket": [], "bought": [], "hidden": [],
    }  # fmt: skip


@pytest.mark.parametrize("max_shoppers", [1, 8, 100, 600])
def test_more_new_shoppers_in_one_batch_than_there_is_room_for(max_shoppers):
    worker = Worker(max_shoppers=max_shoppers)
    names = [f"u{k}" for k in range(5_000)]
    worker.feed(log([event("purchase", name, f"i{k % 50}", T0 + k) for k, name in enumerate(names)]))
    states = shopper_states(worker.engine)
    assert len(states) == len(worker.engine.shopper_units[0]) <= max(512, max_shoppers)
    assert names[-1] in states
    assert all(state["bought"] == [f"i{int(name[1:]) % 50}"] for name, state in states.items())


@settings(max_examples=10)
@given(st.lists(st.integers(0, 1_199), max_size=8))
def test_eviction_of_shoppers_does_not_depend_on_batches(cuts):
    events = [event("purchase", f"u{k * k % 701}", f"i{k % 9}", T0 + k * 500) for k in range(1_200)]
    whole, cut = Worker(max_shoppers=64), Worker(max_shoppers=64)
    whole.run(log(events))
    cut.run(log(events), cuts)
    assert shopper_states(whole.engine) == shopper_states(cut.engine)
    assert item_counts(whole.engine) == item_counts(cut.engine)


def test_an_evicted_shoppers_history_is_nobody_elses():
    worker = Worker(max_shoppers=64)
    worker.feed(log([event("purchase", f"old{k}", f"i{k % 40}", T0 + k) for k in range(3_000)]))
    worker.feed(log([event("hide", f"new{k}", "x", T0 + 10_000 + k) for k in range(3_000)], 3_000))
    for name, state in shopper_states(worker.engine).items():
        if name.startswith("new"):
            assert (state["bought"], state["hidden"]) == ([], ["x"])


def test_a_number_is_free_again_only_when_nothing_holds_it():
    worker = Worker(max_items=512)
    engine = worker.engine
    worker.run(
        log(
            [
                event("purchase", "buyer", "bought"),
                event("hide", "buyer", "hidden"),
                event("view", "w", "seen"),
            ]
        )
    )
    engine.control("items", b"listed", b'{"item_id":"listed"}')
    worker.run(log([event("view", "p", "left"), event("view", "p", "right")], 10))
    worker.talk()
    engine.table.numbers(b"nobody", 1)
    before = {
        name: engine.table.interner.find(name)
        for name in (b"bought", b"hidden", b"seen", b"listed", b"left", b"right")
    }
    number = engine.table.interner.find(b"nobody")
    gone = sweep(engine.table, engine.shopper_units.values(), engine.popular, engine.catalogue)
    assert gone.tolist() == [number]
    assert {name: engine.table.interner.find(name) for name in before} == before
    assert int(engine.table.numbers(b"another", 1)[0]) == number
    engine.close_items(0)
    engine.close_shoppers(0)
    engine.popular.update(b"popular:0", b'{"version":"9","clock_ms":1,"total_popular":0,"total_trending":0,'
                          b'"items":[],"popular":[],"trending":[]}')  # fmt: skip
    engine.popular.merge(T0 + 3_600_000)
    sweep(engine.table, engine.shopper_units.values(), engine.popular, engine.catalogue)
    assert engine.table.interner.find(b"listed") == before[b"listed"]
    assert len(engine.table.interner) == 1


def test_lists_stay_right_while_numbers_are_given_out_again():
    worker = Worker(max_items=512, max_shoppers=64)
    at = 0
    for generation in range(40):
        a, b = f"a{generation}", f"b{generation}"
        noise = [event("view", f"n{generation}-{k}", f"x{generation}-{k}", T0 + at + k) for k in range(60)]
        pairs = [event("view", f"u{generation}-{k // 2}", (a, b)[k % 2], T0 + at + 100 + k) for k in range(8)]
        worker.run(log(noise + pairs, at))
        effects = worker.feed(log([event("view", f"me{generation}", a, T0 + at + 200)], at + 200))
        assert items_of(effects, f"me{generation}")[0] == b
        pushed = Effects(values=worker.talk(T0 + at + 300))
        assert dict(lists(pushed, "similar"))[a]["items"] == [b]
        at += 4_000


def test_a_full_row_of_neighbours_lets_the_lightest_go():
    row = np.zeros(1, ITEM)[0]["bought"]
    slots = len(row["item"])
    for other in range(slots):
        assert not add(row, other, 1.0 + other, 1.0, np.uint32(1))
    assert add(row, 99, 0.5, 1.0, np.uint32(2))
    assert 0 + 1 not in row["item"].tolist()
    assert row["shoppers"][row["item"].tolist().index(99 + 1)] == 2, "and takes nobody with it"
    assert row["total"] == sum(1.0 + k for k in range(slots)) + 0.5


def test_weights_of_pairs_fall_with_distance_and_are_less_backwards():
    worker = Worker().run(log([event("view", "u", name) for name in "abc"]))
    told = {
        (item, other): round(weight, 5) for (_, item, other), weight in pair_weights(worker.engine).items()
    }
    assert told == {
        ("a", "b"): 1,
        ("b", "a"): 0.6,
        ("a", "c"): 0.5,
        ("c", "a"): 0.3,
        ("b", "c"): 1,
        ("c", "b"): 0.6,
    }
    assert PAIR_WEIGHT.max() == 1


def test_ties_in_item_lists_are_settled_by_the_id_and_not_by_who_came_first():
    """Thirty neighbours of one weight, met in opposite orders: the same twenty, in the same order."""
    made = []
    names = [f"n{k:02}" for k in range(30)]
    for order in (names, names[::-1]):
        worker = Worker()
        worker.run(
            log(
                [
                    e
                    for k, n in enumerate(order)
                    for e in (event("view", f"u{k}", "a"), event("view", f"u{k}", n))
                ]
            )
        )
        values = Effects(values=worker.talk())
        made.append(dict(lists(values, "similar"))["a"]["items"])
    assert made[0] == made[1]
    assert len(made[0]) == 20


def test_item_lists_are_published_once_for_every_change():
    worker = Worker().run(log([event("view", "u", name) for name in "abc"]))
    assert {name for name, _ in lists(Effects(values=worker.talk()), "similar")} == {"a", "b", "c"}
    assert not lists(Effects(values=worker.talk(T0 + 60_000)), "similar")
    worker.run(log([event("purchase", "v", name, order_id="o") for name in "ab"], 10))
    told = Effects(values=worker.talk(T0 + 120_000))
    assert dict(lists(told, "together"))["a"]["items"] == ["b"]
    assert dict(lists(told, "together"))["b"]["reasons"] == ["bought"]


def test_a_tick_publishes_no_more_than_its_limit_and_the_rest_later():
    worker = Worker().run(log([event("view", "u", f"i{k}") for k in range(30)]))
    told = [name for _ in range(4) for name, _ in lists(worker.engine.tick(T0, 10), "similar")]
    assert len(told) == len(set(told)) == 30


def test_lists_that_changed_most_do_not_wait_for_all_others():
    worker = Worker()
    known = [event("view", f"u{k}", f"i{j}") for k in range(8) for j in range(30)]
    worker.run(log(known))
    while lists(worker.engine.tick(T0, 100), "similar"):
        pass
    # One more visit changes every list a little, another makes two that nobody has seen yet.
    more = [event("view", "u9", f"i{j}") for j in range(30)] + [event("view", "v", name) for name in "ab"]
    worker.run(log(more, len(known)))
    first = [name for name, _ in lists(worker.engine.tick(T0, 4), "similar")]
    assert {"a", "b"} < set(first)
    told = [name for _ in range(40) for name, _ in lists(worker.engine.tick(T0, 4), "similar")]
    assert sorted([*told, *first]) == sorted(["a", "b", *(f"i{j}" for j in range(30))])


def test_lists_of_an_item_that_was_dropped_and_came_again_are_new():
    worker = Worker().run(log([event("view", "u", name) for name in "ab"]))
    worker.talk()
    table, (unit,) = worker.engine.table, worker.engine.item_units.values()
    assert table.lists_due.told[unit.members()].all()
    table.drop(unit.members())
    assert not table.lists_due.told[: table.interner.used].any()


def test_after_a_restore_what_is_new_does_not_wait_behind_what_was_told_before():
    worker = Worker()
    known = [event("view", f"u{k}", f"i{j}") for k in range(20) for j in range(30)]
    worker.run(log(known))
    saved = [save(worker.engine.item_units[0], bucket) for bucket in range(BUCKETS)]
    assert worker.engine.table.rows["lists_due"].any(), "all waits to be published when it is saved"
    other = Worker()
    other.engine.restore_items(0, saved)
    more = [event("view", "u9", f"i{j}") for j in range(30)] + [event("view", "v", name) for name in "ab"]
    # Above what the buckets hold.
    other.engine.item_units[0].watermark = {}
    for message in other.engine.shoppers(0, log(more), T0).messages:
        if message.topic == "item-updates":
            other.engine.items(0, [LogRecord(9, T0, None, message.value)], T0)
    first = [name for name, _ in lists(other.engine.tick(T0, 4), "similar")]
    assert {"a", "b"} < set(first)
    told = [name for _ in range(40) for name, _ in lists(other.engine.tick(T0, 4), "similar")]
    assert sorted([*told, *first]) == sorted(["a", "b", *(f"i{j}" for j in range(30))])
