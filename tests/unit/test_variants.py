"""Variants of a product: the product is recommended, the variant is priced."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.exchange import decode
from stream.items import saved as saved_items
from stream.items.row import BUCKETS
from stream.pricing import PricingConfig
from stream.pricing.config import Mode
from stream.shoppers import saved as saved_shoppers
from tests.unit.catalogue_kit import last_list, published, remove, stands_for, tell, withdrawn
from tests.unit.core_helpers import (
    T0,
    Worker,
    assert_close,
    event,
    item_counts,
    log,
    pair_weights,
    price_counts,
    shopper_states,
)

PRODUCT = {"p1": "p", "p2": "p", "q1": "q"}


def with_variants(worker: Worker) -> Worker:
    for variant, product in PRODUCT.items():
        assert tell(worker.engine, variant, title=variant, parent_id=product, list_price=20.0) is None
    return worker


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["view", "view", "cart", "remove_from_cart", "purchase", "return", "rating", "like"]),
        st.sampled_from("uvw"),
        st.sampled_from(["p1", "p2", "q1", "p", "x", "y"]),
        st.sampled_from([None, 10.0, 12.5]),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=60,
)


def as_log(drawn):
    at, out = T0, []
    for kind, user, item, price, step in drawn:
        at += step * 60_000
        fields = {"order_id": "o"} if kind == "purchase" else {"rating": 4.0} if kind == "rating" else {}
        out.append(event(kind, user, item, at, **fields, **({"price": price} if price else {})))
    return out


def of_products(events):
    return [e | {"item_id": PRODUCT.get(e["item_id"], e["item_id"])} for e in events]


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.lists(st.integers(0, 60), max_size=3), st.sampled_from([1, 3]))
def test_all_but_prices_is_as_if_the_events_named_the_product(drawn, cuts, partitions):
    events = as_log(drawn)
    cuts = [cut for cut in cuts if cut < len(events)]
    worker = with_variants(Worker(item_partitions=partitions)).run(log(events), cuts)
    whole = Worker(item_partitions=partitions).run(log(of_products(events)), cuts)
    assert_close(pair_weights(worker.engine), pair_weights(whole.engine))
    assert shopper_states(worker.engine) == shopper_states(whole.engine)
    counts, expected = item_counts(worker.engine), item_counts(whole.engine)
    assert {item: row for item, row in counts.items() if item not in PRODUCT} == expected
    # And prices as if no event had named a product.
    raw = Worker(item_partitions=partitions).run(log(events), cuts)
    assert_close(price_counts(worker.engine), price_counts(raw.engine))
    assert {item: row for item, row in counts.items() if item in PRODUCT} == {
        item: row for item, row in item_counts(raw.engine).items() if item in PRODUCT
    }
    for one in (worker, whole):
        one.talk()
    assert_close(dict(worker.engine.popular.trending), dict(whole.engine.popular.trending))


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.integers(0, 60))
def test_lists_hold_a_product_once_and_no_variant_whenever_the_catalogue_said_so(drawn, at):
    events = as_log(drawn)
    worker = Worker().run(log(events[:at]))
    with_variants(worker).run(log(events[at:], at)).talk()
    for user in {e["user_id"] for e in events}:
        items = last_list(worker, user)
        assert len(items) == len(set(items))
        assert not set(items) & set(PRODUCT)
    for item, row in published(worker).items():
        assert not row.keys() & (PRODUCT.keys() | {PRODUCT.get(item, item)})
    assert not {item.decode() for item, _ in worker.engine.popular.trending} & PRODUCT.keys()


def test_an_event_of_a_variant_is_told_once_to_it_and_once_to_its_product():
    worker = with_variants(Worker())
    worker.feed(log([event("view", "u", "p1", price=9.0), event("view", "u", "x", T0 + 1, price=5.0)]))
    touches = decode(worker.sent[0][0].value or b"").touches
    assert touches.event.tolist() == [0, 0, 1]
    assert touches.price_minor.tolist() == [-1, 900, 500]


def test_the_same_event_twice_counts_once_for_both():
    worker = with_variants(Worker())
    records = log([event("purchase", "u", "p1", price=9.0)])
    worker.run(records).run(records)
    assert item_counts(worker.engine) == {"p": (0, 0, 1, 1, 0), "p1": (0, 0, 1, 1, 0)}
    worker.engine.items(0, worker.sent[0], T0)
    assert item_counts(worker.engine) == {"p": (0, 0, 1, 1, 0), "p1": (0, 0, 1, 1, 0)}


def test_prices_are_those_of_variants():
    worker = with_variants(Worker(pricing=PricingConfig(mode=Mode.SHADOW)))
    views = [event("view", f"u{k}", ("p1", "p2", "x")[k % 3], T0 + k, price=20.0) for k in range(90)]
    worker.run(log(views))
    told = {
        name for _ in range(60) for values in worker.talk() if values.kind == "price" for name in values.ids
    }
    assert told == {b"p1", b"p2", b"x"}


def test_who_bought_a_variant_is_not_recommended_the_product():
    worker = with_variants(Worker()).run(
        log([event("view", "v", item, T0 + k) for k, item in enumerate(["x", "p1", "x"])])
    )
    worker.run(log([event("purchase", "u", "p2", T0 + 5), event("view", "u", "x", T0 + 6)], 3)).talk()
    assert last_list(worker, "u") == []
    worker.run(log([event("return", "u", "p2", T0 + 7), event("view", "u", "x", T0 + 8)], 5))
    assert last_list(worker, "u") == ["p"]


def test_a_product_is_for_sale_while_one_of_its_variants_is():
    engine = with_variants(Worker()).engine
    tell(engine, "p1", parent_id="p", stock=0)
    assert withdrawn(engine, "p1")
    assert not withdrawn(engine, "p")
    tell(engine, "p2", parent_id="p", stock=0)
    assert withdrawn(engine, "p"), "it has no entry, and none of its variants is in stock"
    tell(engine, "p", title="p", stock=0)
    assert withdrawn(engine, "p")
    tell(engine, "p", title="p", stock=3)
    assert not withdrawn(engine, "p"), "it says so itself"
    tell(engine, "p", title="p", stock=0)
    tell(engine, "p2", parent_id="p", stock=1)
    assert not withdrawn(engine, "p")
    remove(engine, "p2")
    assert withdrawn(engine, "p")
    remove(engine, "p")
    tell(engine, "p2", parent_id="p", stock=1)
    assert withdrawn(engine, "p"), "what was removed is not shown, whatever variants are left"


def test_a_variant_that_is_moved_counts_for_its_new_product():
    worker = with_variants(Worker())
    tell(worker.engine, "p1", parent_id="r")
    assert stands_for(worker.engine, "p1") == "r"
    tell(worker.engine, "p1", title="by itself")
    assert stands_for(worker.engine, "p1") == "p1"
    tell(worker.engine, "p1", parent_id="p1")
    assert stands_for(worker.engine, "p1") == "p1", (
        "the first of its product's variants: so many shops say it"
    )
    worker.run(log([event("view", "u", "p1", price=3.0)]))
    assert item_counts(worker.engine) == {"p1": (1, 0, 0, 0, 0)}


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0, 1e13])
def test_prices_that_are_none_are_refused_and_the_old_facts_stay(price):
    engine = Worker().engine
    tell(engine, "a", list_price=5.0)
    value = (
        b'{"item_id": "a", "list_price": %s}'
        % str(price).replace("nan", "NaN").replace("inf", "Infinity").encode()
    )
    refused = engine.control("items", b"a", value)
    assert refused is not None
    assert "b'a'" in refused
    assert "\n" not in refused
    assert engine.catalogue.facts[b"a"].list_price == 5.0


def test_an_item_of_ten_thousand_attributes_is_refused_in_a_sentence_and_the_old_facts_stay():
    engine = Worker().engine
    tell(engine, "a", title="as it was")
    for entry in (
        {"attributes": {f"n{k}": k for k in range(10_000)}},
        {"labels": [f"n{k}" for k in range(10_000)]},
        {"attributes": {"colours": [f"n{k}" for k in range(10_000)]}},
    ):
        refused = tell(engine, "a", **entry)
        assert refused is not None
        assert "b'a'" in refused
        assert len(refused) < 300
        assert engine.catalogue.facts[b"a"].title == "as it was"
    assert engine.metrics.catalogue_refused == 3


def test_an_item_without_title_and_category_may_be_recommended():
    worker = Worker()
    assert tell(worker.engine, "a") is None
    assert tell(worker.engine, "b", unknown={"to": ["this", "version"]}, brand="x") is None
    worker.run(
        log([event("view", "v", "a"), event("view", "v", "b", T0 + 1), event("view", "u", "b", T0 + 2)])
    )
    worker.talk()
    assert last_list(worker, "u") == ["a"]


def test_a_rating_that_is_no_number_is_a_dead_letter():
    value = msgspec.json.encode(event("rating", "u", "a", event_id="e", rating=4.0))
    record = log([event("view", "u", "a")])[0]
    for text in (b"NaN", b"Infinity", b'"five"', b"-1", b"1e9"):
        effects = Worker().feed([record._replace(value=value.replace(b"4.0", text))])
        assert [refused.reason for refused in effects.refused] != []


@settings(max_examples=25, deadline=None)
@given(EVENTS, st.integers(0, 60), st.integers(1, 20))
def test_units_that_move_or_are_replayed_are_what_they_were(drawn, at, again):
    """Under a catalogue that maps, and with what a zombie sent once more: no hole, nothing twice."""
    records = log(as_log(drawn))
    stayed = with_variants(Worker(item_partitions=3)).run(records)
    moved = with_variants(Worker(item_partitions=3)).run(records[:at], [k for k in (3, 7) if k < at])
    moved.engine.close_shoppers(0)
    moved.engine.open_shoppers(0, 1)
    for start in range(0, min(at, len(records)), again):
        moved.feed(records[start : min(start + again, at)], silent=True)
    moved.run(records[at:])
    for partition, sent in enumerate(moved.sent):
        zombies = [record._replace(offset=len(sent) + k) for k, record in enumerate(stayed.sent[partition])]
        sent += zombies
    moved.deliver()
    assert moved.engine.metrics.holes == 0
    assert_same(stayed, moved)
    for partition, sent in enumerate(moved.sent):
        moved.engine.open_items(partition, 1)
        moved.engine.items(partition, sent, T0, silent=True)
    assert_same(stayed, moved)


def assert_same(one: Worker, other: Worker) -> None:
    assert item_counts(one.engine) == item_counts(other.engine)
    assert shopper_states(one.engine) == shopper_states(other.engine)
    assert_close(pair_weights(one.engine), pair_weights(other.engine))
    assert_close(price_counts(one.engine), price_counts(other.engine))


@pytest.mark.parametrize("at", [0, 13, 40])
def test_saved_units_that_come_back_are_what_they_were(at):
    kinds = ["view", "view", "cart", "purchase", "return", "like"]
    items = ["p1", "p2", "q1", "p", "x", "y"]
    drawn = [(kinds[k * 5 % 6], "uvw"[k % 3], items[k * k % 6], 10.0, k % 4) for k in range(60)]
    records = log(as_log(drawn))
    one, other = (with_variants(Worker(item_partitions=2)) for _ in range(2))
    one.run(records[:at])
    shoppers = one.engine.shopper_units[0]
    other.engine.restore_shoppers(0, [saved_shoppers.save(shoppers, bucket) for bucket in range(BUCKETS)])
    for q, unit in one.engine.item_units.items():
        other.engine.restore_items(q, [saved_items.save(unit, bucket) for bucket in range(BUCKETS)])
    other.sent, other._delivered = [list(sent) for sent in one.sent], list(one._delivered)
    for worker in (one, other):
        worker.run(records[at:])
    assert_same(one, other)
