"""What holds of arranged lists whatever the rules."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rules_kit import Shop

ITEMS = [f"i{k}" for k in range(24)]
BRANDS, CATEGORIES = ["A", "B", "C"], ["x", "y", "z"]


def made_up(seed: int) -> list[dict[str, Any]]:
    """Facts of all items, each of which may lack any."""
    rng = Random(seed)
    drawn = (
        {
            "brand": rng.choice(BRANDS),
            "category": rng.choice(CATEGORIES),
            "list_price": rng.randint(1, 100),
            "labels": rng.sample(["p", "q", "r"], rng.randint(0, 3)),
            "stock": rng.choice([0, 1, 9]),
        }
        for _ in ITEMS
    )
    return [{name: value for name, value in facts.items() if rng.random() < 0.7} for facts in drawn]


def drawn_pool(seed: int) -> list[str]:
    """Candidates in some order."""
    rng = Random(seed)
    return rng.sample(ITEMS, rng.choice([0, 1, 5, 20, 24]))


shops = st.integers(0, 1 << 32).map(made_up)
pools = st.integers(0, 1 << 32).map(drawn_pool)

test = st.one_of(
    st.sampled_from(BRANDS).map(lambda brand: {"attribute": "brand", "is": brand}),
    st.sampled_from(["p", "q"]).map(lambda tag: {"attribute": "tags", "has": tag}),
    st.integers(1, 100).map(lambda price: {"attribute": "price", "below": price}),
    st.integers(1, 100).map(lambda price: {"attribute": "price", "at_least": price}),
    st.lists(st.sampled_from(CATEGORIES), min_size=1).map(lambda some: {"attribute": "category", "in": some}),
)
conditions = st.recursive(
    test,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)

rules = st.one_of(
    st.builds(lambda where: {"kind": "exclude", "where": where}, conditions),
    st.builds(lambda where: {"kind": "include-only", "where": where}, conditions),
    st.builds(lambda where, f: {"kind": "boost", "where": where, "factor": f}, conditions, st.floats(1.1, 9)),
    st.builds(
        lambda where, f: {"kind": "bury", "where": where, "factor": f}, conditions, st.floats(0.1, 0.9)
    ),
    st.builds(
        lambda item, place: {"kind": "pin", "item": item, "position": place},
        st.sampled_from(ITEMS),
        st.integers(1, 12),
    ),
    st.builds(
        lambda where, s: {"kind": "promote", "where": where, "share": s}, conditions, st.floats(0.01, 1)
    ),
    st.builds(
        lambda name, most: {"kind": "cap", "attribute": name, "at_most": most},
        st.sampled_from(["brand", "category", "tags"]),
        st.integers(1, 5),
    ),
    st.builds(
        lambda weight, names: {"kind": "diversity", "lambda": weight, "attributes": names},
        st.floats(0, 1),
        st.sampled_from([["brand"], ["category", "brand"], ["tags", "category"]]),
    ),
    st.builds(lambda item: {"kind": "hide", "item": item}, st.sampled_from(ITEMS)),
    st.builds(lambda n: {"kind": "rotate", "after": n, "factor": 0.5}, st.integers(1, 3)),
)
rule_sets = st.lists(rules, max_size=8)


def fulfils(condition: dict[str, Any], item: dict[str, Any]) -> bool:
    """The language again, in the plainest words."""
    if "all" in condition:
        return all(fulfils(part, item) for part in condition["all"])
    if "any" in condition:
        return any(fulfils(part, item) for part in condition["any"])
    if "not" in condition:
        return not fulfils(condition["not"], item)
    field = {"tags": "labels", "price": "list_price"}.get(condition["attribute"], condition["attribute"])
    value = item.get(field)
    if "below" in condition:
        return value is not None and value < condition["below"]
    if "at_least" in condition:
        return value is not None and value >= condition["at_least"]
    if "has" in condition:
        return condition["has"] in (value or [])
    return value in condition.get("in", [condition.get("is")])


def shop_of(all_facts: list[dict[str, Any]], said: list[dict[str, Any]]) -> Shop:
    shop = Shop(dict(zip(ITEMS, all_facts, strict=True)))
    for k, rule in enumerate(said):
        assert shop.say(f"r{k}", **rule) is None
    return shop


@settings(max_examples=150)
@given(shops, rule_sets.filter(len), pools)
def test_nothing_is_shown_that_must_not_be_and_nothing_twice(all_facts, said, pool):
    made = shop_of(all_facts, said).make(pool)
    by_id = dict(zip(ITEMS, all_facts, strict=True))
    assert len(set(made.items)) == len(made.items) <= 20
    for item in made.items:
        assert by_id[item].get("stock") != 0
        assert {"kind": "hide", "item": item} not in said
        for rule in said:
            if rule["kind"] == "exclude":
                assert not fulfils(rule["where"], by_id[item])
            if rule["kind"] == "include-only" and not made.relaxed:
                assert fulfils(rule["where"], by_id[item])
    for item, origin in zip(made.items, made.origin, strict=True):
        assert pool[origin] == item if origin >= 0 else item not in pool


@settings(max_examples=150)
@given(shops, rule_sets, pools)
def test_caps_are_never_exceeded(all_facts, said, pool):
    made = shop_of(all_facts, said).make(pool)
    by_id = dict(zip(ITEMS, all_facts, strict=True))
    for rule in said:
        if rule["kind"] == "cap":
            field = {"tags": "labels"}.get(rule["attribute"], rule["attribute"])
            values: Counter[str] = Counter()
            for item in made.items:
                value = by_id[item].get(field, [])
                values.update(value if isinstance(value, list) else [value])
            assert all(count <= rule["at_most"] for count in values.values())


@settings(max_examples=150)
@given(shops, pools, st.dictionaries(st.integers(1, 12), st.sampled_from(ITEMS), max_size=4), conditions)
def test_pins_stand_in_their_places_when_allowed(all_facts, pool, wanted, where):
    by_id = dict(zip(ITEMS, all_facts, strict=True))
    places = {item: place for place, item in sorted(wanted.items(), reverse=True)}
    said = [{"kind": "pin", "item": item, "position": place} for item, place in places.items()]
    shop = shop_of(all_facts, [*said, {"kind": "exclude", "where": where}])
    items = shop.items(pool)
    for item, place in places.items():
        allowed = by_id[item].get("stock") != 0 and not fulfils(where, by_id[item])
        assert (item in items) == allowed or len(items) == 20
        if allowed and len(items) >= max(places.values()):
            assert items[place - 1] == item


@settings(max_examples=150)
@given(shops, pools, conditions, st.floats(0.01, 1), st.integers(1, 20))
def test_the_promoted_share_is_met_when_there_are_enough(all_facts, pool, where, share, length):
    by_id = dict(zip(ITEMS, all_facts, strict=True))
    shop = shop_of(all_facts, [{"kind": "promote", "where": where, "share": share}])
    items = shop.items(pool, length=length)
    allowed = [item for item in pool if by_id[item].get("stock") != 0]
    enough = [item for item in allowed if fulfils(where, by_id[item])]
    promoted = [item for item in items if fulfils(where, by_id[item])]
    assert len(promoted) >= min(len(enough), math.ceil(share * length - 1e-6))
    assert len(items) == min(length, len(allowed))
    # Apart from that nobody passes anybody.
    assert promoted == enough[: len(promoted)]
    rest = [item for item in allowed if item not in enough]
    assert [item for item in items if item not in promoted] == rest[: len(items) - len(promoted)]


@settings(max_examples=150)
@given(shops, rule_sets, pools, st.randoms(use_true_random=False))
def test_the_order_of_messages_changes_nothing(all_facts, said, pool, random):
    keyed = [(f"r{k}", rule) for k, rule in enumerate(said)]
    shown = pool[:3] * 2
    first = shop_of(all_facts, said).make(pool, shown=shown)
    shop = Shop()
    shop.say("gone", kind="hide", item=ITEMS[0])
    shop.say("r0", kind="exclude", where={"attribute": "brand", "in": BRANDS})
    messages: list[tuple[str, dict[str, Any] | None]] = [*keyed, ("gone", None)]
    random.shuffle(messages)
    half = random.randint(0, len(messages))
    if not said:
        shop.drop("r0")
    for key, rule in messages[:half]:
        assert (shop.say(key, **rule) if rule else shop.drop(key)) is None
    shop.items(pool)
    stocked = list(zip(ITEMS, all_facts, strict=True))
    random.shuffle(stocked)
    for item, fields in stocked:
        shop.stock(item, **fields)
    for key, rule in messages[half:]:
        assert (shop.say(key, **rule) if rule else shop.drop(key)) is None
    assert shop.make(pool, shown=shown) == first


@settings(max_examples=150)
@given(shops, rule_sets, rules, pools)
def test_a_rule_that_is_taken_away_leaves_no_trace(all_facts, said, one_more, pool):
    shop = shop_of(all_facts, said)
    before = shop.make(pool)
    shop.say("more", **one_more)
    shop.make(pool)
    shop.drop("more")
    assert shop.make(pool) == before


@settings(max_examples=150)
@given(shops, pools, st.integers(1, 30))
def test_without_rules_a_list_is_what_was_ranked(all_facts, pool, length):
    made = shop_of(all_facts, []).make(pool, length=length)
    assert made.items == pool[:length]
    assert made.origin == list(range(len(made.items)))


@settings(max_examples=150)
@given(shops, st.lists(conditions, min_size=1, max_size=3), pools)
def test_boosted_lists_are_in_falling_score_and_equals_keep_their_order(all_facts, wheres, pool):
    said = [{"kind": "boost", "where": where, "factor": 2.0} for where in wheres]
    by_id = dict(zip(ITEMS, all_facts, strict=True))
    made = shop_of(all_facts, said).make(pool, scores=[0.0] * len(pool), length=24)
    allowed = [item for item in pool if by_id[item].get("stock") != 0]
    times = {item: sum(fulfils(where, by_id[item]) for where in wheres) for item in allowed}
    assert made.items == sorted(allowed, key=lambda item: -times[item])
