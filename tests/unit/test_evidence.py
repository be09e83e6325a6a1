"""How many shoppers stand behind a place: never more than there were, and nothing of fewer than five."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.client import Recommended, decode_list
from stream.events.records import LogRecord
from stream.items.distinct import BITS, LEAST, about, bits_of, count, publishable
from stream.items.row import VIEWED_SLOTS
from tests.unit.core_helpers import (
    T0,
    Worker,
    bits_of_all,
    event,
    lists,
    log,
    pair_bits,
    pair_shoppers,
)

Pairs = dict[tuple[str, str, str], set[str]]

MOVES = st.lists(
    st.tuples(st.sampled_from(["view", "view", "cart", "purchase"]), st.integers(0, 11), st.integers(0, 5)),
    min_size=1,
    max_size=120,
)


def walks(moves: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
    return [
        event(kind, f"u{user}", f"i{item}", T0 + k, order_id="o")
        for k, (kind, user, item) in enumerate(moves)
    ]


def crowd(size: int, *items: str, of: str = "u") -> list[dict[str, Any]]:
    """So many shoppers who look at these items one after the other."""
    return [
        event("view", f"{of}{k}", item, T0 + 100 * k + at)
        for k in range(size)
        for at, item in enumerate(items)
    ]


def shown(value: bytes) -> list[Recommended]:
    return list(decode_list(value))


def hold(kind: str, anchor: str, item: Recommended, true: Pairs) -> None:
    """What is said of a place is not more than there was."""
    behind = len(true.get((kind, anchor, item.id), ()))
    assert item.shoppers <= behind
    assert item.shoppers == 0 or item.shoppers >= LEAST
    if behind < LEAST:
        assert item.shoppers == 0


# -- the bitmap ------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_bits_are_counted_and_few_are_not_told(bits):
    assert count(np.uint32(bits)) == bits.bit_count()
    assert publishable(np.uint32(bits)) == (bits.bit_count() if bits.bit_count() >= LEAST else 0)


def test_a_count_becomes_as_many_bits():
    for n in range(BITS + 5):
        assert count(bits_of(np.array([n]))[0]) == min(n, BITS)


def test_about_how_many_there_are():
    assert [about(n) for n in (0, 5, 23, 31, 32)] == [0, 5, 41, 111, None]


# -- what is counted -------------------------------------------------------------------------------------


@given(MOVES, st.integers(1, 40), st.sampled_from([1, 2]), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_bits_are_those_of_the_shoppers_whatever_comes_twice_or_in_another_order(
    moves, every, partitions, random
):
    events = walks(moves)
    worker = Worker(item_partitions=partitions)
    records = log(events)
    for start in range(0, len(records), every):
        worker.feed(records[start : start + every])
        worker.feed(random.sample(records[:start], min(start, 3)))
    worker.deliver()
    # And from a zombie, who cuts batches in another way.
    other = Worker(item_partitions=partitions)
    other.run(records, [7, 20])
    for partition, again in enumerate(other.sent):
        first = len(worker.sent[partition])
        values = [LogRecord(first + k, T0, None, record.value) for k, record in enumerate(again)]
        worker.engine.items(partition, values, T0)
    assert pair_bits(worker.engine) == pair_bits(other.engine) == bits_of_all(pair_shoppers(events))


def test_a_neighbour_that_takes_a_slot_over_begins_with_its_own_shoppers():
    """Of one who is new in a full row nobody else may be told, whoever stood behind the one before."""
    worker = Worker()
    others = [f"n{k}" for k in range(VIEWED_SLOTS)]
    views = [
        event("view", f"{name}-{k}", item, T0) for name in others for k in range(8) for item in ("x", name)
    ]
    views += [event("view", "late", item, T0) for item in ("x", "new")]
    worker.run(log(views), range(0, len(views), 500))
    true, found = bits_of_all(pair_shoppers(views)), pair_bits(worker.engine)
    assert ("viewed", "x", "new") in found
    of_x = {pair for pair in found if pair[:2] == ("viewed", "x")}
    assert len(of_x) == VIEWED_SLOTS
    assert all(found[pair] == true[pair] for pair in of_x)
    assert found["viewed", "x", "new"].bit_count() == 1


def test_state_that_is_saved_and_restored_tells_the_same():
    worker = Worker(rows_saved_per_event=4.0)
    worker.run(log(crowd(9, "a", "b", "c")), [5, 11])
    unit = worker.engine.item_units[0]
    saved = [message.value for message in worker.engine.saving.items_left(unit, 64)]
    again = Worker()
    again.engine.restore_items(0, saved)
    assert pair_bits(again.engine) == pair_bits(worker.engine)
    assert any(bits.bit_count() >= LEAST for bits in pair_bits(again.engine).values())


# -- what is published -----------------------------------------------------------------------------------


@given(MOVES, st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_never_more_than_there_were_and_nothing_of_fewer_than_five(moves, partitions):
    events = walks(moves)
    worker = Worker(item_partitions=partitions).run(log(events), range(0, len(events), 10))
    true = pair_shoppers(events)
    effects = worker.feed(log([event("view", "me", f"i{k}", T0 + 500 + k) for k in range(3)], len(events)))
    last: list[str] = []
    for k, value in enumerate(v for values in effects.values for v in values.values):
        last.insert(0, f"i{k}")
        for item in shown(value):
            if item.reason in ("viewed", "bought", "led_to"):
                assert item.because is not None
                assert item.because in last
                hold(item.reason, item.because, item, true)
            else:
                assert (item.because, item.shoppers) == (None, 0)
    for values in worker.talk():
        kind = {"similar": "viewed", "together": "bought"}.get(values.kind)
        for name, value in zip(values.ids, values.values, strict=True):
            for item in shown(value) if kind else ():
                assert item.because is None
                hold(str(kind), name.decode(), item, true)


@pytest.mark.parametrize(("shoppers", "told"), [(4, False), (40, True)])
def test_a_place_says_which_of_the_last_items_is_its_reason(shoppers, told):
    """Forty cannot but set five bits; four never do."""
    worker = Worker().run(log(crowd(shoppers, "a", "b") + crowd(shoppers, "c", "d", of="v")), [50])
    worker.talk()
    effects = worker.feed(
        log([event("view", "me", "a", T0 + 9_000), event("view", "me", "c", T0 + 9_001)], 900)
    )
    value = effects.values[0].values[1]
    found = {item.id: item for item in shown(value)}
    assert (found["b"].because, found["d"].because) == ("a", "c")
    assert all((LEAST <= found[item].shoppers <= shoppers) == told for item in "bd")
    assert (b'"shoppers"' in value) == told
    sentence = f"you viewed a; at least {found['b'].shoppers} shoppers viewed both"
    assert found["b"].sentence() == (sentence if told else None)


def test_a_list_that_nothing_stands_behind_is_as_short_as_before():
    worker = Worker().run(log(crowd(3, "a", "b")), [])
    worker.talk()
    effects = worker.feed(log([event("view", "me", "new", T0 + 9_000)], 900))
    told = lists(effects)[-1][1]
    assert set(told) == {"version", "generated_at", "model", "items", "scores", "reasons"}
    assert {item.sentence() for item in shown(effects.values[0].values[0])} == {"popular in the shop"}


def test_rows_of_other_workers_tell_what_their_owners_publish():
    owner = Worker().run(log(crowd(40, "a", "b") + crowd(3, "a", "c", of="v")), [50])
    found = {(values.kind, name): value for values in owner.talk() for name, value in
             zip(values.ids, values.values, strict=True)}  # fmt: skip
    copy = Worker()
    copy.engine.close_items(0)
    assert copy.engine.adopt(b"a", found["similar", b"a"], None) is None
    one, other = (
        {item.id: (item.because, item.shoppers) for item in shown(effects.values[0].values[0])}
        for effects in (
            worker.feed(log([event("view", "me", "a", T0 + 9_000)], 900)) for worker in (owner, copy)
        )
    )
    assert one == other
    assert one["b"][1] >= LEAST
    assert one["c"] == ("a", 0)


def test_a_pin_has_no_shoppers_behind_it_and_what_it_moves_keeps_its_own():
    worker = Worker().run(log(crowd(40, "a", "b", "c")), [50])
    worker.talk()
    rule = b'{"kind":"pin","item":"z","position":1}'
    for topic, key, value in (("items", b"z", b'{"item_id":"z"}'), ("rules", b"r", rule)):
        assert worker.engine.control(topic, key, value) is None
    effects = worker.feed(log([event("view", "me", "a", T0 + 9_000)], 900))
    first, *rest = shown(effects.values[0].values[0])
    assert (first.id, first.because, first.shoppers, first.sentence()) == ("z", None, 0, "chosen by the shop")
    assert all(item.because == "a" and item.shoppers >= LEAST for item in rest)
