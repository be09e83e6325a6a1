"""Why a list is as it is."""

from __future__ import annotations

from stream.rules.explain import Effect
from tests.unit.rules_kit import Shop

IDS = ["a", "b", "c", "d", "e", "f"]


def shop_of_six() -> Shop:
    brands = ["Acme", "Acme", "Acme", "Bolt", "Bolt", "Dune"]
    return Shop({item: {"brand": brand} for item, brand in zip(IDS, brands, strict=True)})


def test_every_removal_and_move_names_its_rule():
    shop = shop_of_six()
    shop.stock("extra")
    shop.say("no-a", kind="exclude", where={"attribute": "brand", "is": "Dune"})
    shop.say("one", kind="cap", attribute="brand", at_most=2)
    shop.say("first", kind="pin", item="extra", position=1)
    shop.say("up", kind="boost", where={"attribute": "brand", "is": "Bolt"}, factor=1.5)
    shop.say("turn", kind="rotate", after=1, factor=0.5)
    shop.say("gone", kind="hide", item="e")
    shop.stock("d", brand="Bolt", stock=0)
    told = shop.explain(IDS, shown=["a"])
    assert told.items == shop.items(IDS, shown=["a"]) == ["extra", "b", "c"]
    assert not told.relaxed
    assert set(told.effects) == {
        Effect("a", "removed", "one", 1, None),
        Effect("a", "lowered", "turn", 1, None, 0.5),
        Effect("d", "removed", "<withdrawn>", 4, None),
        Effect("d", "raised", "up", 4, None, 1.5),
        Effect("e", "removed", "<hidden>", 5, None),
        Effect("e", "raised", "up", 5, None, 1.5),
        Effect("f", "removed", "no-a", 6, None),
        Effect("extra", "pinned", "first", None, 1),
    }


def test_promotions_and_variety_are_told_of_those_that_came_earlier():
    shop = shop_of_six()
    shop.say("p", kind="promote", where={"attribute": "brand", "is": "Dune"}, share=0.5)
    assert shop.explain(IDS, length=2).effects == [Effect("f", "promoted", "p", 6, 2)]
    shop.drop("p")
    shop.say("mix", kind="diversity", lambda_=0.5, attributes=["brand"])
    told = shop.explain(IDS)
    assert told.items == ["a", "d", "f", "b", "c", "e"]
    assert told.effects == [Effect("d", "mixed", "mix", 4, 2), Effect("f", "mixed", "mix", 6, 3)]


def test_what_the_request_does_not_want_and_a_relaxed_list_are_told_and_counted_nowhere():
    shop = shop_of_six()
    shop.say("none", kind="include-only", where={"attribute": "brand", "is": "Nobody"})
    told = shop.explain(IDS, exclude=["b"], category=None)
    assert told.relaxed
    assert told.effects == [Effect("b", "removed", "<not wanted>", 2, None)]
    assert shop.book.relaxed == {}


def test_nothing_is_told_where_nothing_was_done():
    told = shop_of_six().explain(IDS)
    assert (told.items, told.effects) == (IDS, [])
