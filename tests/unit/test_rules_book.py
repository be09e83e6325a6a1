"""Messages of rules: what is refused, what waits, what follows from changes of items and numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stream.errors import InputError
from stream.events.types import ATTRIBUTES_MAX
from stream.items.sweep import sweep
from stream.recommend.popular import Popular
from stream.rules import attributes, book, plan
from tests.unit.rules_kit import DAY_MS, NOW_MS, Shop

ACME = {"attribute": "brand", "is": "Acme"}
BOOST: dict[str, Any] = {"kind": "boost", "where": ACME, "factor": 2}


@pytest.fixture
def shop() -> Shop:
    return Shop({"a": {"brand": "Acme"}, "b": {"brand": "Bolt", "attributes": {"colour": "red"}}, "c": {}})


def deep(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = ACME
    for _ in range(levels):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"kind": "boots"}, "kind is 'boots'; allowed are exclude, include-only, boost"),
        ({"factor": 2}, "kind is None; allowed are"),
        ([1], "the message is no JSON object"),
        (BOOST | {"factor": 1000}, "factor: Expected `float` <= 100.0"),
        (BOOST | {"factor": 1}, "factor: Expected `float` > 1.0"),
        (BOOST | {"kind": "bury"}, "factor: Expected `float` < 1.0"),
        (BOOST | {"strength": 2}, "has no field 'strength'; allowed are scenarios, from_ms"),
        ({"kind": "boost", "where": ACME}, "missing required field `factor`"),
        (
            BOOST | {"where": {"attribute": "colr", "is": "x"}},
            "where names the attribute 'colr', which no item",
        ),
        (BOOST | {"context": {"attribute": "colr", "is": "x"}}, "context names the attribute 'colr'"),
        (
            BOOST | {"where": {"attribute": "brand"}},
            "where needs exactly one of is, in, below, at_least, has",
        ),
        (BOOST | {"where": {}}, "where needs exactly one of all, any, not, attribute, and has none"),
        (BOOST | {"where": {"all": [ACME], "any": [ACME]}}, "and has all and any"),
        (BOOST | {"where": {"all": [ACME], "is": "x"}}, "where has is without an attribute"),
        (
            BOOST | {"where": {"attribute": "brand", "iss": "x"}},
            "unknown field `iss`; allowed are all, any, not",
        ),
        (
            BOOST | {"where": {"attribute": "brand", "below": 3}},
            "where compares brand with a number: it is a text",
        ),
        (
            BOOST | {"where": {"not": {"attribute": "price", "is": "x"}}},
            "where.not compares price with a text",
        ),
        (BOOST | {"where": deep(8)}, "where.not.not.not.not.not.not.not.not goes deeper than 8"),
        (BOOST | {"where": {"any": [{"all": [ACME] * 40}] * 2}}, "where has more than 64 tests"),
        (BOOST | {"scenarios": ["hom"]}, "scenarios names 'hom'; allowed are buy-again, cart"),
        (BOOST | {"from_ms": 5, "until_ms": 5}, "until_ms is 5; allowed is what lies after from_ms, 5"),
        ({"kind": "pin", "item": "a", "position": 0}, "position: Expected `int` >= 1"),
        ({"kind": "pin", "item": "a\n", "position": 1}, "item holds a control character"),
        ({"kind": "promote", "where": ACME, "share": 20}, "share: Expected `float` <= 1.0"),
        ({"kind": "cap", "attribute": "price", "at_most": 2}, "attribute names price, which is a number"),
        ({"kind": "cap", "attribute": "brnd", "at_most": 2}, "attribute names the attribute 'brnd'"),
        ({"kind": "diversity", "lambda": 2, "attributes": ["brand"]}, "lambda: Expected `float` <= 1.0"),
        ({"kind": "diversity", "lambda": 0.5, "attributes": ["x"]}, "attributes names the attribute 'x'"),
        ({"kind": "hide", "item": "a", "segment": "vip"}, "has no field 'segment'; allowed are"),
    ],
)
def test_a_refused_message_says_why_in_one_sentence_and_the_old_rule_stays(shop: Shop, rule, said):
    shop.say("r", kind="exclude", where=ACME)
    refused = shop.book.take(b"r", json.dumps(rule).encode())
    assert refused is not None
    assert refused.startswith("The rule 'r' is refused: ")
    assert said in refused
    assert refused.count("\n") == 0
    assert refused.endswith(".")
    assert shop.items(["a", "b"]) == ["b"]


@pytest.mark.parametrize(
    "value", [b"", b"{", b"\xff\xfe", b'{"kind":' + b"[" * 100_000, b'"' + b"x" * 70_000 + b'"']
)
def test_bytes_that_are_no_rule_are_refused(shop: Shop, value):
    assert "The rule 'r' is refused: " in (shop.book.take(b"r", value) or "")
    assert not shop.book.rules


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"a\nb", b"x" * 129])
def test_a_key_that_is_no_id_is_refused(shop: Shop, key):
    assert "A rule is refused: its key" in (shop.book.take(key, json.dumps(BOOST).encode()) or "")


def test_removing_what_is_not_there_is_nothing(shop: Shop):
    assert shop.drop("never") is None


def test_a_rule_whose_attribute_is_unknown_waits_for_it(shop: Shop):
    size = {"kind": "exclude", "where": {"attribute": "size", "is": "s"}}
    assert shop.say("r", kind="exclude", where=ACME) is None
    assert "names the attribute 'size'" in (shop.say("r", **size) or "")
    assert shop.book.waiting == ["r"]
    assert shop.items(["a", "b", "c"]) == ["b", "c"]
    shop.stock("c", attributes={"size": "s"})
    assert shop.items(["a", "b", "c"]) == ["a", "b"]
    assert shop.book.waiting == []


def test_a_later_message_ends_the_waiting(shop: Shop):
    shop.say("r", kind="exclude", where={"attribute": "size", "is": "s"})
    shop.drop("r")
    shop.stock("c", attributes={"size": "s"})
    assert shop.items(["a", "b", "c"]) == ["a", "b", "c"]


def test_rules_follow_every_change_of_an_item(shop: Shop):
    shop.say("r", kind="exclude", where=ACME)
    assert shop.items(["a", "b", "c"]) == ["b", "c"]
    shop.stock("a", brand="Bolt")
    shop.stock("c", brand="Acme")
    assert shop.items(["a", "b", "c"]) == ["a", "b"]
    shop.catalogue.update(b"c", None)
    shop.stock("a", brand="Acme")
    assert shop.items(["a", "b", "c"]) == ["b"]


def test_many_changes_leave_no_garbage_behind(shop: Shop):
    for k in range(5_000):
        shop.stock("a", brand=f"brand-{k % 3}", labels=[f"tag-{j}" for j in range(k % 7)])
        shop.book.plan("home", None, NOW_MS)
    assert len(shop.book.attributes.entries) <= 1 << 13
    shop.say("r", kind="exclude", where={"attribute": "brand", "is": "brand-1"})
    assert shop.items(["a", "b"]) == ["b"]


def test_numbers_that_are_given_back_take_no_rule_along(shop: Shop):
    shop.say("r", kind="exclude", where=ACME)
    shop.say("h", kind="hide", item="ghost")
    shop.say("p", kind="pin", item="late", position=1)
    assert shop.items(["a", "ghost", "b"]) == ["b"]
    shop.catalogue.update(b"a", None)
    # As after many more that were removed.
    del shop.catalogue.removed[b"a"]
    shop.book.plan("home", None, NOW_MS)
    gone = sweep(shop.table, [], Popular(shop.table), shop.catalogue)
    assert len(gone) == 3
    shop.book.forget(gone)
    assert shop.items(["new-1", "new-2", "new-3", "ghost", "b"]) == ["new-1", "new-2", "new-3", "b"]
    shop.stock("late")
    assert shop.items(["b", "new-1"]) == ["late", "b", "new-1"]


def test_there_is_room_for_so_many_rules_and_no_more(shop: Shop, monkeypatch):
    for k in range(plan.MAX_RULES):
        assert shop.say(f"r{k}", **BOOST) is None
    refused = shop.say("one-more", **BOOST) or ""
    assert "there are 512 rules of all kinds but hide and unhide; allowed are 512" in refused
    assert shop.say("r0", kind="exclude", where=ACME) is None
    assert shop.items(["a", "b"]) == ["b"]
    shop.drop("r500")
    assert shop.say("one-more", kind="exclude", where={"attribute": "brand", "is": "Bolt"}) is None
    assert shop.items(["a", "b", "c"]) == ["c"]
    monkeypatch.setattr(book, "MAX_HIDING", 2)
    assert [shop.say(f"h{k}", kind="hide", item=f"x{k}") is None for k in range(3)] == [True, True, False]


def test_values_beyond_the_limits_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(attributes, "MAX_TERMS", 2)
    monkeypatch.setattr(attributes, "MAX_NAMED", 1)
    shop = Shop({"a": {"brand": "A", "category": "x", "attributes": {"p": 1, "q": 2}, "labels": ["t"]}})
    shop.say("hidden", kind="hide", item="b")
    shop.book.plan("home", None, NOW_MS)
    assert shop.book.attributes.left_out == 2
    assert "'q'" in (shop.say("r", kind="exclude", where={"attribute": "q", "is": 2}) or "")
    assert shop.say("r", kind="exclude", where={"attribute": "tags", "has": "t"}) is None
    assert shop.items(["a"]) == ["a"]


def test_a_page_may_ask_for_scenarios_that_there_are(shop: Shop):
    with pytest.raises(InputError, match="no scenario 'shop-window'; there are buy-again, cart"):
        shop.items(["a"], scenario="shop-window")


def test_an_item_with_too_many_attributes_is_refused_and_the_old_facts_stay(shop: Shop):
    many = {f"attribute-{k}": "x" for k in range(10_000)}
    assert f"length <= {ATTRIBUTES_MAX}" in (shop.stock("a", brand="Bolt", attributes=many) or "")
    assert f"length <= {ATTRIBUTES_MAX}" in (shop.stock("a", labels=["x"] * 10_000) or "")
    assert "'brand' has the name of a field" in (shop.stock("a", attributes={"brand": "x"}) or "")
    shop.say("r", kind="exclude", where=ACME)
    assert shop.items(["a", "b"]) == ["b"]


def test_an_item_needs_neither_title_nor_category_nor_anything():
    shop = Shop()
    assert shop.stock("bare") is None
    assert shop.stock("empty", brand="", labels=[], attributes={}) is None
    shop.say("cap", kind="cap", attribute="category", at_most=1)
    shop.say("mix", kind="diversity", lambda_=0.1, attributes=["brand", "category"])
    assert shop.items(["bare", "empty"]) == ["bare", "empty"]


def test_plans_are_kept_as_long_as_nothing_changes(shop: Shop):
    shop.say("r", **BOOST, segment="vip")
    first = shop.book.plan("home", "vip", NOW_MS)
    assert shop.book.plan("home", "vip", NOW_MS + DAY_MS) is first
    assert shop.book.plan("home", "others", NOW_MS) is shop.book.plan("home", None, NOW_MS)
    shop.say("s", **BOOST)
    assert len(shop.book.plan("home", "vip", NOW_MS).rules) == 2
    assert np.array_equal(shop.book.plan("home", None, NOW_MS).rules["slot"], [1])
