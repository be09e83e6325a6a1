"""What was shown and passed over: kept from impressions, and made to rotate by rules."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.shoppers.row import SHOWN
from tests.unit.core_helpers import MINUTE_MS, T0, Worker, items_of, log
from tests.unit.scenario_kit import ITEMS, happens, known, started
from tests.unit.test_merge import Shop


def rotate(worker: Worker, after: int = 2, factor: float = 0.01, **fields: Any) -> None:
    rule = {"kind": "rotate", "after": after, "factor": factor, **fields}
    assert worker.engine.control("rules", b"rotate", msgspec.json.encode(rule)) is None


def after_shows(worker: Worker, times: int, then: str | None = None) -> tuple[list[str], list[str]]:
    """A shopper's lists before and after the first item was shown `times` times (and `then` happened)."""
    before = items_of(worker.feed(log([happens(0, "view", "u", "i5")], 400)), "u")
    shown = [happens(1 + n, "impression", "u", items=before[:1]) for n in range(times)]
    worker.feed(log(shown, 401))
    if then is not None:
        worker.feed(log([happens(50, then, "u", before[0])], 450))
    return before, items_of(worker.feed(log([happens(60, "view", "u", "i5")], 460)), "u")


def test_what_was_shown_and_passed_over_makes_room_in_the_next_list():
    worker = started()
    rotate(worker)
    before, after = after_shows(worker, 2)
    assert before[0] not in after[:10]
    assert [item for item in after if item != before[0]][:8] == before[1:9]


def test_it_is_not_held_against_an_item_that_was_shown_too_seldom():
    worker = started()
    rotate(worker, after=3)
    before, after = after_shows(worker, 2)
    assert after == before


def test_without_a_rule_nothing_rotates():
    before, after = after_shows(started(), 5)
    assert after == before


def test_a_rule_of_another_scenario_is_none_of_this_ones():
    worker = started()
    rotate(worker, scenarios=["cart"])
    before, after = after_shows(worker, 5)
    assert after == before


@pytest.mark.parametrize("then", ["view", "cart", "like", "purchase"])
def test_an_item_that_the_shopper_comes_to_starts_anew(then):
    worker = started()
    after_shows(worker, 5, then)
    assert known(worker)["u"].shown == {}


def test_the_same_rule_holds_in_other_scenarios():
    worker = started()
    rotate(worker)
    worker.feed(log([happens(0, "view", "u", "i5")], 400))
    first = worker.feed(log([happens(1, "cart", "u", "i6")], 401))
    (mail,) = [v for values in first.values if values.kind == "recs-email" for v in values.values]
    shown = msgspec.json.decode(mail)["items"][:1]
    worker.feed(log([happens(2 + n, "impression", "u", items=shown) for n in range(3)], 402))
    second = worker.feed(log([happens(9, "cart", "u", "i6")], 410))
    (mail,) = [v for values in second.values if values.kind == "recs-email" for v in values.values]
    assert shown[0] not in msgspec.json.decode(mail)["items"][:5]


def test_the_record_is_bounded_and_a_repeated_impression_counts_once():
    worker = started()
    worker.feed(log([happens(n, "impression", "u", items=[f"x{n}", "y"]) for n in range(50)], 400))
    shown = known(worker)["u"].shown
    assert sum(shown.values()) == SHOWN
    assert shown["y"] == SHOWN // 2
    worker.feed(log([happens(49, "impression", "u", items=["z"])], 500))
    assert "z" not in known(worker)["u"].shown


def test_strange_impressions_harm_nobody():
    worker = started()
    strange = [
        happens(0, "impression", "u", items=["a\x00b", "ok", "\x01"]),
        happens(1, "impression", "u", items=["\x00"]),
        happens(2, "impression", "u", items=[f"many{n}" for n in range(1000)]),
        happens(3, "impression", "u", items=["last"]) | {"item_id": "i1"},
    ]
    effects = worker.feed(log(strange[:2], 400))
    assert not effects.refused
    assert known(worker)["u"].shown == {"ok": 1}
    worker.feed(log(strange[2:], 402))
    assert known(worker)["u"].shown["last"] == 1
    assert sum(known(worker)["u"].shown.values()) == SHOWN


def test_numbers_of_items_that_were_shown_are_not_given_back():
    worker = started(max_items=1024)
    worker.feed(log([happens(0, "impression", "u", items=["rare"]), happens(1, "cart", "u", "kept")], 400))
    for k in range(0, 12_000, 100):
        worker.run(log([happens(10 + n, "view", f"v{n % 7}", f"new{n}") for n in range(k, k + 100)], 500 + k))
        worker.engine.tick(T0 + k * 1_000)
    state = known(worker)["u"]
    assert (state.shown, state.cart) == ({"rare": 1}, ["kept"])


def test_a_visitor_who_logs_in_brings_the_cart_and_what_was_shown_along():
    shop = Shop()
    shop.say("cart", "anna", "ring")
    shop.say("cart", "anon", "lamp")
    shop.say("cart", "anon", "desk")
    shown = [{"item_id": item, "position": k} for k, item in enumerate(("sofa", "sofa", "rug"))]
    shop.say("impression", "anon", items=shown)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    found = known(shop.worker)
    assert set(found) == {"anna"}
    assert found["anna"].cart == ["ring", "lamp", "desk"]
    assert found["anna"].shown == {"rug": 1, "sofa": 2}


def test_who_is_forgotten_leaves_no_cart_to_whoever_comes_next():
    worker = started(inactive_ms=MINUTE_MS)
    worker.feed(log([happens(0, "cart", "u", "i1"), happens(1, "impression", "u", items=["i2"])], 400))
    late = [happens(10_000, "view", "v", "i1"), happens(20_000, "view", "w", "i1")]
    worker.feed(log([*late, happens(20_001, "hide", "new", "i3")], 402))
    found = known(worker)
    assert "u" not in found
    assert (found["new"].cart, found["new"].shown, found["new"].hidden) == ([], {}, ["i3"])
    assert set(ITEMS)
