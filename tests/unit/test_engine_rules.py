"""Rules of the shop in the engine: what the lists that are published look like under them."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from stream.config import EngineConfig
from stream.engine import Engine
from stream.learn.model import pack_snapshot
from stream.rules.scenario import HOME_ALONE, Scenario
from tests.unit.core_helpers import T0, Worker, event, items_of, lists, log
from tests.unit.test_learner import taught

ITEMS = [f"i{k}" for k in range(40)]
BRANDS = ("Acme", "Bolt", "Cone", "Dune")
NOTHING_FITS = {"attribute": "brand", "is": "Nobody"}


def brand(item: str) -> str:
    return BRANDS[int(item[1:]) % len(BRANDS)]


def history(count: int = 600) -> list[Any]:
    """Shoppers who look at items that lie near each other."""
    chance = random.Random(7)
    return log(
        event("view", f"u{k % 30}", ITEMS[(k // 30 * 3 + chance.randrange(8)) % 40], T0 + k * 1_000)
        for k in range(count)
    )


def started(model: bool = False, **config: Any) -> Worker:
    """A worker that knows the catalogue and the history."""
    worker = Worker(**config)
    for item in ITEMS:
        facts = {"item_id": item, "brand": brand(item), "category": f"c{int(item[1:]) % 3}"}
        worker.engine.control("items", item.encode(), msgspec.json.encode(facts))
    worker.run(history(), range(50, 600, 50))
    worker.talk(T0)
    if model:
        snapshot = taught().snapshot()
        assert worker.engine.control("models", b"ranking", pack_snapshot(snapshot)) is None
        assert worker.engine._ranker.scorer.active[0]
    return worker


def say(worker: Worker, key: str, **fields: Any) -> str | None:
    value = msgspec.json.encode({name.rstrip("_"): field for name, field in fields.items()})
    return worker.engine.control("rules", key.encode(), value)


def drop(worker: Worker, key: str) -> str | None:
    return worker.engine.control("rules", key.encode(), None)


def next_list(worker: Worker, offset: int = 600, user: str = "u1", item: str = "i5") -> dict[str, Any]:
    """The list after one more look at `item`."""
    effects = worker.feed(log([event("view", user, item, T0 + offset * 1_000)], offset))
    return next(value for name, value in lists(effects) if name == user)


def list_again(worker: Worker, user: str = "u1") -> dict[str, Any]:
    """The list as it would be made now, without an event."""
    shopper = worker.engine.shopper_units[0].interner.intern(user.encode(), 1)
    ((value,),) = (found.values for found in worker.engine.lists_again(0, shopper, T0))
    told: dict[str, Any] = msgspec.json.decode(value)
    return told


@pytest.fixture(params=[False, True], ids=["plain order", "model's order"])
def worker(request: pytest.FixtureRequest) -> Worker:
    return started(request.param)


def test_an_exclusion_is_in_force_in_the_next_list_and_ends_with_the_rule(worker: Worker):
    before = next_list(worker)
    assert len(before["items"]) == 20
    assert any(brand(item) == "Acme" for item in before["items"])
    assert say(worker, "x", kind="exclude", where={"attribute": "brand", "is": "Acme"}) is None
    under = next_list(worker, 601)
    kept = [item for item in before["items"] if brand(item) != "Acme"]
    # What was excluded makes room for what ranked below the twentieth place.
    assert len(under["items"]) == 20
    assert under["items"][: len(kept)] == kept
    assert not any(brand(item) == "Acme" for item in under["items"])
    assert drop(worker, "x") is None
    assert next_list(worker, 602)["items"] == before["items"]


def test_hide_and_unhide(worker: Worker):
    first, second = next_list(worker)["items"][:2]
    say(worker, "h", kind="hide", item=first)
    assert next_list(worker, 601)["items"][0] == second
    say(worker, "u", kind="unhide", item=first, priority=1)
    assert next_list(worker, 602)["items"][:2] == [first, second]


def test_pins_stand_where_they_shall_and_say_so(worker: Worker):
    before = next_list(worker)
    last = before["items"][-1]
    say(worker, "p", kind="pin", item=last, position=2)
    worker.engine.control("items", b"brand-new", b'{"item_id":"brand-new"}')
    say(worker, "q", kind="pin", item="brand-new", position=4)
    under = next_list(worker, 601)
    assert (under["items"][1], under["reasons"][1]) == (last, "pinned")
    assert (under["items"][3], under["reasons"][3]) == ("brand-new", "pinned")
    rest = [item for item in under["items"] if item not in (last, "brand-new")]
    assert rest == before["items"][:18]
    assert "pinned" not in before["reasons"]
    assert under["reasons"].count("pinned") == 2


def test_a_pin_is_not_shown_to_who_looks_at_it_or_hid_it(worker: Worker):
    say(worker, "p", kind="pin", item="i30", position=1)
    assert next_list(worker)["items"][0] == "i30"
    assert "i30" not in next_list(worker, 601, item="i30")["items"]
    worker.feed(log([event("hide", "u1", "i30", T0 + 602_000)], 602))
    assert "i30" not in next_list(worker, 603)["items"]
    assert next_list(worker, 604, user="u2")["items"][0] == "i30"


def test_caps_promotions_and_boosts_hold(worker: Worker):
    say(worker, "c", kind="cap", attribute="brand", at_most=3)
    capped = next_list(worker)["items"]
    assert sorted(map(brand, capped)) == sorted(BRANDS * 3)
    drop(worker, "c")
    where = {"attribute": "brand", "is": "Dune"}
    say(worker, "p", kind="promote", where=where, share=0.4)
    assert sum(brand(item) == "Dune" for item in next_list(worker, 601)["items"]) >= 8
    drop(worker, "p")
    plain = list_again(worker)
    say(worker, "b", kind="boost", where=where, factor=3.0)
    raised = list_again(worker)
    scores = dict(zip(plain["items"], plain["scores"], strict=True))
    for item, score in zip(raised["items"], raised["scores"], strict=True):
        if item in scores:
            assert score > scores[item] if brand(item) == "Dune" else score == scores[item]
    first = [brand(found["items"][k]) == "Dune" for found in (plain, raised) for k in range(10)]
    assert sum(first[10:]) > sum(first[:10])


def test_the_last_item_is_the_anchor_of_a_context(worker: Worker):
    where, context = {"attribute": "brand", "is": "Acme"}, {"attribute": "brand", "is": "Bolt"}
    say(worker, "x", kind="exclude", where=where, context=context)
    assert brand("i5") == "Bolt"
    assert "Acme" not in map(brand, next_list(worker)["items"])
    assert "Acme" in map(brand, next_list(worker, 601, item="i6")["items"])


def test_a_rule_holds_in_its_time(worker: Worker):
    say(worker, "x", kind="exclude", where={"not": NOTHING_FITS}, from_ms=T0 + 10_000, until_ms=T0 + 20_000)
    assert next_list(worker)["items"]
    for k, (now_ms, some) in enumerate(((T0 + 10_000, False), (T0 + 20_000, True))):
        view = log([event("view", "u3", "i5", T0 + 700_000)], 700 + k)
        (found,) = lists(worker.engine.shoppers(0, view, now_ms))
        assert bool(found[1]["items"]) is some


def test_where_only_fitting_items_may_be_shown_and_none_fits_the_rule_is_set_aside_and_counted(
    worker: Worker,
):
    before = next_list(worker)["items"]
    say(worker, "only", kind="include-only", where=NOTHING_FITS)
    assert next_list(worker, 601)["items"] == before
    assert next_list(worker, 602)["items"] == before
    worker.engine.tick(T0)
    assert worker.engine.metrics.as_dict()["rules_relaxed"] == {"only": 2}
    assert worker.engine.metrics.rules == 1


def test_a_rule_that_excludes_everything_publishes_an_empty_list_once(worker: Worker):
    say(worker, "x", kind="exclude", where={"not": NOTHING_FITS})
    empty = worker.engine.metrics.empty_lists
    assert next_list(worker)["items"] == []
    assert worker.engine.metrics.empty_lists == empty + 1
    # Nobody waits for a first list because of it.
    assert not [value for value in worker.engine.tick(T0 + 5_000).values if value.kind == "recs"]
    assert list_again(worker)["items"] == []


def test_a_refused_rule_leaves_the_one_that_is_in_force(worker: Worker):
    assert say(worker, "x", kind="exclude", where={"attribute": "brand", "is": "Acme"}) is None
    refused = say(worker, "x", kind="exclude", where={"attribute": "brand"}) or ""
    assert refused.startswith("The rule 'x' is refused: where")
    assert worker.engine.control("rules", b"y", b"no json") is not None
    assert worker.engine.metrics.rules_refused == 2
    assert "Acme" not in map(brand, next_list(worker)["items"])


def test_rules_that_touch_nothing_and_rules_that_are_gone_change_no_byte(worker: Worker):
    other = started(bool(worker.engine._ranker.scorer.active[0]))
    where = {"attribute": "brand", "is": "Acme"}
    say(other, "gone", kind="exclude", where=where)
    drop(other, "gone")
    assert next_list(worker) == next_list(other)
    assert other.engine._ranker.ruled.plan.idle
    say(other, "nothing", kind="boost", where=NOTHING_FITS, factor=2.0)
    assert next_list(worker, 601) == next_list(other, 601)
    assert not other.engine._ranker.ruled.plan.idle


def test_what_is_learned_from_is_the_ranking_before_rules():
    def run(*rules: dict[str, Any]) -> Worker:
        worker = started()
        for k, rule in enumerate(rules):
            assert say(worker, f"r{k}", **rule) is None
        for k in range(200):
            worker.feed(
                log([event("view", f"u{k % 30}", ITEMS[k * 7 % 40], T0 + (600 + k) * 1_000)], 600 + k)
            )
            worker.deliver()
        return worker

    plain = run()
    assert len(plain.examples) > 100
    ruled = run(
        {"kind": "exclude", "where": {"attribute": "brand", "is": "Acme"}},
        {"kind": "pin", "item": "i39", "position": 1},
    )
    assert ruled.examples == plain.examples


def test_the_same_rules_and_records_give_the_same_bytes_in_any_order_of_rules():
    rules: dict[str, dict[str, Any]] = {
        "a": {"kind": "cap", "attribute": "brand", "at_most": 4},
        "b": {"kind": "boost", "where": {"attribute": "category", "is": "c1"}, "factor": 2.0},
        "c": {"kind": "pin", "item": "i7", "position": 3},
        "d": {"kind": "diversity", "lambda_": 0.7, "attributes": ["category"]},
        "e": {"kind": "hide", "item": "i9"},
    }

    def run(order: list[str], cuts: range) -> list[Any]:
        worker = started()
        for key in order:
            assert say(worker, key, **rules[key]) is None
        more = log(
            (event("view", f"u{k % 30}", ITEMS[k * 11 % 40], T0 + (600 + k) * 1_000) for k in range(200)), 600
        )
        out = []
        for at in cuts:
            out += lists(worker.feed(more[at : at + cuts.step]))
        return out

    one = run(sorted(rules), range(0, 200, 200))
    assert len(one) == 200
    assert run(sorted(rules, reverse=True), range(0, 200, 200)) == one
    assert run(sorted(rules), range(0, 200, 7)) == one


def test_rules_hold_for_numbers_that_were_given_back_and_taken_again():
    worker = Worker(max_items=512, max_shoppers=512, inactive_ms=3_600_000)
    say(worker, "h", kind="hide", item="kept-out")
    say(worker, "x", kind="exclude", where={"attribute": "brand", "is": "Acme"})
    worker.engine.control("items", b"acme", b'{"item_id":"acme","brand":"Acme"}')
    offset = 0
    for k in range(60):
        # Ever new items: their numbers run out and those of old ones are given back.
        ids = [f"item-{k}-{n}" for n in range(20)] + ["kept-out", "acme"]
        ts = T0 + k * 1_800_000
        records = log([event("view", f"u{n % 3}", item, ts + n) for n, item in enumerate(ids)], offset)
        offset += len(records)
        effects = worker.feed(records)
        worker.deliver()
        worker.talk(ts)
        for _, value in lists(effects):
            assert not {"kept-out", "acme"} & set(value["items"])
    assert worker.engine.table.interner.used < offset
    assert items_of(effects, "u0")


def test_the_scenario_says_how_long_lists_are_and_where_they_come_from():
    home = Scenario(sources=("co-occurrence",), length=3)
    worker = started(scenarios={"home": home})
    found = next_list(worker)
    assert len(found["items"]) == 3
    assert set(found["reasons"]) == {"viewed"}
    say(worker, "x", kind="hide", item=found["items"][0])
    assert next_list(worker, 601)["items"][:2] == found["items"][1:]
    assert len(next_list(worker, 602)["items"]) == 3
    assert Engine(EngineConfig(max_items=512)).config.scenarios == HOME_ALONE


def test_what_rules_ask_for_is_found_though_it_ranks_nowhere(worker: Worker):
    """A shop in a shop: none of it is like what the shopper looks at, but it is popular enough."""
    far = [f"far{k}" for k in range(12)]
    for item in far:
        facts = {"item_id": item, "brand": "Far", "category": "far"}
        worker.engine.control("items", item.encode(), msgspec.json.encode(facts))
    views = [event("view", f"w{k // 12}", far[k % 12], T0 + 700_000 + k) for k in range(120)]
    worker.run(log(views, 700), range(10, 120, 10))
    worker.talk(T0 + 10_000)
    # So many candidates that none of the popular ones is one.
    assert not set(far) & set(next_list(worker, 900)["items"])
    say(worker, "only", kind="include-only", where={"attribute": "brand", "is": "Far"})
    under = next_list(worker, 901)
    assert set(under["items"]) == set(far)
    assert set(under["reasons"]) <= {"popular", "category", "trending", "related"}
    assert under["scores"] == sorted(under["scores"], reverse=True)
    worker.engine.tick(T0 + 20_000)
    assert not worker.engine.metrics.rules_relaxed
    say(worker, "only", kind="include-only", where=NOTHING_FITS)
    assert len(next_list(worker, 902)["items"]) == 20
    worker.engine.tick(T0 + 30_000)
    assert worker.engine.metrics.rules_relaxed == {"only": 1}
