"""Each kind of rule by example."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.rules_kit import DAY_MS, NOW_MS, Shop

ACME = {"attribute": "brand", "is": "Acme"}


@pytest.fixture
def shop() -> Shop:
    return Shop(
        {
            "a": {"brand": "Acme", "category": "shoes", "list_price": 30, "cost": 10, "stock": 5},
            "b": {"brand": "Bolt", "category": "shoes", "list_price": 60, "labels": ["sale", "new"]},
            "c": {
                "brand": "Acme",
                "category": "hats",
                "list_price": 90,
                "attributes": {"colour": ["red", "blue"]},
            },
            "d": {"brand": "Dune", "category": "hats", "available_from": NOW_MS - 2 * DAY_MS},
            "e": {"brand": "Eden", "category": "bags", "attributes": {"weight": 3, "vegan": True}},
        }
    )


ALL = ["a", "b", "c", "d", "e"]


def test_without_rules_the_list_stays_as_it_is(shop: Shop):
    made = shop.make(ALL)
    assert made.items == ALL
    assert made.origin == [0, 1, 2, 3, 4]
    assert made.scores == pytest.approx([0.0, -0.1, -0.2, -0.3, -0.4])
    assert shop.items(ALL, length=2) == ["a", "b"]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ({"attribute": "brand", "is": "Acme"}, "bde"),
        ({"attribute": "brand", "in": ["Acme", "Eden"]}, "bd"),
        ({"not": {"attribute": "brand", "is": "Acme"}}, "ac"),
        ({"attribute": "price", "below": 60}, "bcde"),
        ({"attribute": "price", "at_least": 60}, "ade"),
        ({"not": {"attribute": "price", "below": 60}}, "a"),
        ({"attribute": "tags", "has": "sale"}, "acde"),
        ({"attribute": "colour", "has": "blue"}, "abde"),
        ({"attribute": "colour", "is": "red"}, "abde"),
        ({"attribute": "weight", "is": 3}, "abcd"),
        ({"attribute": "weight", "in": [1, 2]}, "abcde"),
        ({"attribute": "vegan", "is": True}, "abcd"),
        ({"attribute": "vegan", "is": False}, "abcde"),
        ({"attribute": "margin", "at_least": 0.6}, "bcde"),
        ({"attribute": "stock", "below": 6}, "bcde"),
        ({"attribute": "age_days", "below": 3}, "abce"),
        ({"attribute": "age_days", "below": 2}, "abcde"),
        ({"all": [ACME, {"attribute": "category", "is": "hats"}]}, "abde"),
        ({"any": [ACME, {"attribute": "category", "is": "bags"}]}, "bd"),
        ({"not": {"any": [ACME, {"all": [{"attribute": "category", "is": "bags"}]}]}}, "ace"),
    ],
)
def test_exclude_takes_out_what_fulfils_the_condition(shop: Shop, where, left):
    assert shop.say("x", kind="exclude", where=where) is None
    assert shop.items(ALL) == list(left)
    assert shop.drop("x") is None
    assert shop.items(ALL) == ALL


def test_items_that_the_catalogue_does_not_know_have_no_attributes(shop: Shop):
    shop.say("x", kind="exclude", where=ACME)
    assert shop.items(["a", "unknown", "b"]) == ["unknown", "b"]
    shop.say("x", kind="exclude", where={"not": ACME})
    assert shop.items(["a", "unknown", "b"]) == ["a"]


def test_include_only_rules_are_all_to_be_fulfilled(shop: Shop):
    shop.say("acme", kind="include-only", where=ACME)
    assert shop.items(ALL) == ["a", "c"]
    shop.say("hats", kind="include-only", where={"attribute": "category", "is": "hats"})
    assert shop.items(ALL) == ["c"]


def test_include_only_is_set_aside_rather_than_showing_nothing(shop: Shop):
    shop.say("none", kind="include-only", where={"attribute": "brand", "is": "Nobody"})
    shop.say("never", kind="exclude", where=ACME)
    shop.say("hide", kind="hide", item="b")
    made = shop.make(ALL)
    assert (made.items, made.relaxed) == (["d", "e"], True)
    assert shop.book.relaxed == {"none": 1}
    shop.say("all", kind="exclude", where={"not": {"attribute": "brand", "is": "Nobody"}})
    assert shop.items(ALL) == []
    shop.drop("none")
    assert shop.book.relaxed == {}


def test_boost_and_bury_add_the_logarithm_of_their_factor(shop: Shop):
    shop.say("up", kind="boost", where={"attribute": "brand", "is": "Eden"}, factor=2)
    shop.say("down", kind="bury", where=ACME, factor=0.5)
    made = shop.make(ALL)
    assert made.items == ["e", "b", "d", "a", "c"]
    assert made.scores[0] == pytest.approx(-0.4 + math.log(2))
    assert made.scores[3] == pytest.approx(math.log(0.5))


def test_freshness_fades_with_age(shop: Shop):
    shop.say("new", kind="freshness", days=4, factor=4)
    made = shop.make(ALL)
    assert made.items == ["d", "a", "b", "c", "e"]
    assert made.scores[0] == pytest.approx(-0.3 + math.log(4) / 2)
    assert shop.items(ALL, now_ms=NOW_MS + 3 * DAY_MS) == ALL
    assert shop.items(ALL, now_ms=NOW_MS - 3 * DAY_MS) == ALL


def test_what_was_shown_often_and_not_clicked_sinks(shop: Shop):
    shop.say("turn", kind="rotate", after=2, factor=0.5)
    made = shop.make(ALL, shown=["a", "b", "a", "b", "b"])
    assert made.items == ["c", "d", "e", "a", "b"]
    assert made.scores[-1] == pytest.approx(-0.1 + 2 * math.log(0.5))
    assert shop.make(ALL, shown=["a"] * 100).scores[-1] == pytest.approx(8 * math.log(0.5))


def test_a_pin_takes_its_place_and_brings_what_was_no_candidate(shop: Shop):
    shop.say("p", kind="pin", item="e", position=2)
    made = shop.make(["a", "b", "c"])
    assert made.items == ["a", "e", "b", "c"]
    assert made.origin == [0, -1, 1, 2]
    assert made.scores[1] == pytest.approx(-0.2)
    assert shop.items(ALL) == ["a", "e", "b", "c", "d"]
    assert shop.items(ALL, length=1) == ["a"]


def test_pins_of_one_place_stand_one_after_the_other_by_priority(shop: Shop):
    shop.say("p", kind="pin", item="e", position=1)
    shop.say("q", kind="pin", item="d", position=1, priority=5)
    shop.say("r", kind="pin", item="e", position=4, priority=-1)
    assert shop.items(ALL) == ["d", "e", "a", "b", "c"]


def test_a_pin_beyond_the_last_candidate_moves_up(shop: Shop):
    shop.say("p", kind="pin", item="e", position=9)
    assert shop.items(["a", "b"]) == ["a", "b", "e"]


def test_a_pin_survives_only_if_the_item_may_be_shown(shop: Shop):
    shop.say("p", kind="pin", item="c", position=1)
    assert shop.items(ALL)[0] == "c"
    rules: dict[str, dict[str, Any]] = {
        "x": {"kind": "exclude", "where": ACME},
        "y": {"kind": "hide", "item": "c"},
        "z": {"kind": "include-only", "where": {"attribute": "brand", "in": ["Bolt", "Dune"]}},
    }
    for key, fields in rules.items():
        shop.say(key, **fields)
        assert "c" not in shop.items(ALL)
        shop.drop(key)
    assert "c" not in shop.items(ALL, exclude=["c"])
    assert "c" not in shop.items(ALL, category="shoes")
    shop.stock("c", stock=0)
    assert "c" not in shop.items(ALL)
    shop.say("q", kind="pin", item="nobody-knows", position=1)
    assert "nobody-knows" not in shop.items(ALL)


def test_promoted_items_get_their_share_spread_over_the_list():
    shop = Shop({f"i{k}": {"brand": "Acme" if k >= 15 else "Bolt"} for k in range(20)})
    ids = [f"i{k}" for k in range(20)]
    shop.say("p", kind="promote", where=ACME, share=0.3)
    assert shop.items(ids, length=10) == ["i0", "i1", "i2", "i15", "i3", "i4", "i16", "i5", "i6", "i17"]
    shop.say("p", kind="promote", where=ACME, share=0.45)
    assert sum(int(item[1:]) >= 15 for item in shop.items(ids, length=10)) == 5
    shop.say("p", kind="promote", where=ACME, share=1.0)
    assert shop.items(ids, length=7) == ["i15", "i16", "i17", "i18", "i19", "i0", "i1"]


def test_a_cap_holds_for_pins_too_and_counts_them_first(shop: Shop):
    shop.say("cap", kind="cap", attribute="brand", at_most=1)
    assert shop.items(ALL) == ["a", "b", "d", "e"]
    shop.say("p", kind="pin", item="c", position=4)
    assert shop.items(ALL) == ["b", "d", "e", "c"]
    shop.say("tags", kind="cap", attribute="colour", at_most=1)
    shop.stock("d", brand="Dune", attributes={"colour": "blue"})
    assert shop.items(ALL) == ["b", "e", "c"]


def test_diversity_puts_what_is_unlike_the_last_ones_earlier(shop: Shop):
    shop.say("mix", kind="diversity", lambda_=0.5, attributes=["category", "brand"])
    assert shop.items(ALL) == ["a", "d", "e", "b", "c"]
    shop.say("mix", kind="diversity", lambda_=1.0, attributes=["category", "brand"])
    assert shop.items(ALL) == ALL


def test_hide_and_unhide_by_scenario_and_priority(shop: Shop):
    shop.say("h", kind="hide", item="a")
    assert shop.items(ALL) == ["b", "c", "d", "e"]
    shop.say("u", kind="unhide", item="a", scenarios=["buy-again"])
    assert "a" not in shop.items(ALL, scenario="buy-again")
    shop.say("u", kind="unhide", item="a", scenarios=["buy-again"], priority=1)
    assert "a" in shop.items(ALL, scenario="buy-again")
    assert "a" not in shop.items(ALL)
    shop.drop("h")
    assert shop.items(ALL) == ALL


def test_an_item_that_is_out_of_stock_is_not_shown(shop: Shop):
    shop.say("cap", kind="cap", attribute="brand", at_most=9)
    shop.stock("b", stock=0)
    assert shop.items(ALL) == ["a", "c", "d", "e"]


def test_a_rule_holds_in_its_time_scenario_segment_and_context_only(shop: Shop):
    shop.say("t", kind="exclude", where=ACME, from_ms=NOW_MS, until_ms=NOW_MS + 1000)
    shop.say("h", kind="hide", item="e", from_ms=NOW_MS, until_ms=NOW_MS + 1000)
    assert shop.items(ALL, now_ms=NOW_MS - 1) == ALL
    assert shop.items(ALL, now_ms=NOW_MS) == ["b", "d"]
    assert shop.items(ALL, now_ms=NOW_MS + 1000) == ALL
    shop.say("s", kind="exclude", where=ACME, scenarios=["cart"])
    assert shop.items(ALL, now_ms=NOW_MS + 1000) == ALL
    assert shop.items(ALL, now_ms=NOW_MS + 1000, scenario="cart") == ["b", "d", "e"]
    shop.say("s", kind="exclude", where=ACME, segment="vip")
    assert shop.items(ALL, now_ms=NOW_MS + 1000, segment="vip") == ["b", "d", "e"]
    assert shop.items(ALL, now_ms=NOW_MS + 1000, segment="other") == ALL
    shop.say("s", kind="exclude", where=ACME, context={"attribute": "category", "is": "bags"})
    assert shop.items(ALL[:4], now_ms=NOW_MS + 1000, anchors=["e"]) == ["b", "d"]
    assert shop.items(ALL[:4], now_ms=NOW_MS + 1000, anchors=["e", "d"]) == ["a", "b", "c"]
    assert shop.items(ALL[:4], now_ms=NOW_MS + 1000) == ["a", "b", "c", "d"]


def test_items_grow_older_by_the_hour(shop: Shop):
    shop.say("x", kind="exclude", where={"attribute": "age_days", "at_least": 5})
    assert shop.items(ALL) == ALL
    assert shop.items(ALL, now_ms=NOW_MS + 3 * DAY_MS + 3_600_000) == ["a", "b", "c", "e"]


def test_a_scenario_may_do_without_kinds_but_not_without_exclusions(shop: Shop):
    shop.say("turn", kind="rotate", after=1, factor=0.1)
    shop.say("x", kind="exclude", where=ACME)
    assert shop.items(ALL, scenario="email", shown=["b"]) == ["b", "d", "e"]
    assert shop.items(ALL, scenario="home", shown=["b"]) == ["d", "e", "b"]


def test_the_request_leaves_out_anchors_what_it_names_and_other_categories(shop: Shop):
    assert shop.items(ALL, anchors=["a", "never-seen"], exclude=["c"]) == ["b", "d", "e"]
    assert shop.items(ALL, category="hats") == ["c", "d"]
    assert shop.items(ALL, category="no-such") == []
