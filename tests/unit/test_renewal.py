"""Lists of shoppers who have no event just now: made again when what may be shown changes, or they expire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.effects import Effects
from stream.renewal import AT_ONCE, EVERY_SHARE, FIRST_SHARE, Renewal
from tests.unit.core_helpers import T0, event, lists, log
from tests.unit.test_engine_rules import brand, drop, say, started

TTL_MS = 7 * 86_400_000


class Shop:
    """A worker, its renewal, and what readers of Redis see."""

    def __init__(self, **config: Any) -> None:
        self.worker = started(**config)
        self.renewal = Renewal(self.worker.engine, TTL_MS)
        self.seen: dict[tuple[str, str], dict[str, Any]] = {}
        assert not self.step()

    def step(self, now_ms: int = T0) -> list[tuple[str, str]]:
        """What is published by one call, after a tick."""
        ticked = self.worker.engine.tick(now_ms).values
        made = self.renewal.due(now_ms).values
        for values in [*ticked, *made]:
            for name, value in zip(values.ids, values.values, strict=True):
                told = msgspec.json.decode(value)
                before = self.seen.get((values.kind, name.decode()), told)
                assert before["version"] <= told["version"]
                self.seen[values.kind, name.decode()] = told
        return [(values.kind, name.decode()) for values in made for name in values.ids]

    def walk(self, now_ms: int = T0) -> list[tuple[str, str]]:
        """All calls until there is nothing left."""
        found = self.step(now_ms)
        out = list(found)
        while found:
            found = self.step(now_ms)
            out += found
        return out

    def shown(self, kind: str) -> set[str]:
        return {item for (each, _), value in self.seen.items() if each == kind for item in value["items"]}


def test_nothing_is_made_again_while_nothing_changes():
    shop = Shop()
    assert not shop.walk()
    shop.worker.feed(log([event("view", "u1", "i5", T0 + 600_000)], 600))
    assert not shop.walk()


def test_a_rule_reaches_everybodys_lists_once_and_so_does_its_end():
    shop = Shop()
    users = {f"u{n}" for n in range(30)}
    assert say(shop.worker, "x", kind="exclude", where={"attribute": "brand", "is": "Acme"}) is None
    made = [name for kind, name in shop.walk() if kind == "recs"]
    assert (len(made), set(made)) == (30, users)
    assert not any(brand(item) == "Acme" for item in shop.shown("recs"))
    assert not shop.walk()
    drop(shop.worker, "x")
    assert {name for kind, name in shop.walk() if kind == "recs"} == users
    assert any(brand(item) == "Acme" for item in shop.shown("recs"))


def test_what_sells_out_leaves_the_lists_of_shoppers_and_of_items():
    shop = Shop()
    shop.worker.engine.control("items", b"i7", b'{"item_id":"i7","stock":3}')
    assert not shop.walk()
    shop.worker.engine.control("items", b"i7", b'{"item_id":"i7","stock":0}')
    kinds = {kind for kind, _ in shop.walk()}
    assert kinds >= {"recs", "similar"}
    assert "i7" not in shop.shown("recs") | shop.shown("similar")
    # To come back is no reason to look at everything again, and what nobody knows was never shown.
    shop.worker.engine.control("items", b"i7", b'{"item_id":"i7","stock":1}')
    shop.worker.engine.control("items", b"unknown", b'{"item_id":"unknown","stock":0}')
    assert not shop.walk()


def test_facts_count_if_a_rule_is_about_them():
    shop = Shop()
    say(shop.worker, "x", kind="exclude", where={"attribute": "tags", "has": "recalled"})
    shop.walk()
    facts = {"item_id": "i3", "brand": "Acme"}
    shop.worker.engine.control("items", b"i3", msgspec.json.encode(facts | {"title": "a lamp"}))
    assert not shop.walk()
    shop.worker.engine.control("items", b"i3", msgspec.json.encode(facts | {"labels": ["recalled"]}))
    assert shop.walk()
    assert "i3" not in shop.shown("recs")


def test_who_was_seen_last_comes_first_and_a_call_is_bounded():
    shop = Shop()
    views = [event("view", f"v{n}", f"i{n % 40}", T0 + 700_000 + n) for n in range(3 * AT_ONCE)]
    shop.worker.run(log(views, 700))
    say(shop.worker, "h", kind="hide", item="i1")
    calls = [[name for kind, name in shop.step() if kind == "recs"] for _ in range(4)]
    assert [len(made) for made in calls] == [AT_ONCE, AT_ONCE, AT_ONCE, 30]
    assert set(calls[0]) == {f"v{n}" for n in range(2 * AT_ONCE, 3 * AT_ONCE)}


def test_changes_meanwhile_are_for_the_next_walk():
    shop = Shop()
    views = [event("view", f"v{n}", f"i{n % 40}", T0 + 700_000 + n) for n in range(2 * AT_ONCE)]
    shop.worker.run(log(views, 700))
    say(shop.worker, "h", kind="hide", item="i1")
    shop.step()
    say(shop.worker, "g", kind="hide", item="i2")
    assert len([name for kind, name in shop.walk() if kind == "recs"]) == AT_ONCE + 30 + 2 * AT_ONCE + 30
    assert not {"i1", "i2"} & shop.shown("recs")


def test_partitions_that_leave_meanwhile_are_passed_over():
    shop = Shop()
    views = [event("view", f"v{n}", f"i{n % 40}", T0 + 700_000 + n) for n in range(3 * AT_ONCE)]
    shop.worker.run(log(views, 700))
    say(shop.worker, "h", kind="hide", item="i1")
    shop.worker.engine.tick(T0)
    assert shop.renewal.due(T0).values
    shop.worker.engine.close_shoppers(0)
    shop.worker.engine.close_items(0)
    assert not shop.renewal.due(T0).values


def test_in_a_backlog_it_waits():
    shop = Shop()
    say(shop.worker, "h", kind="hide", item="i1")
    shop.worker.engine.in_backlog(True)
    assert not shop.walk()
    shop.worker.engine.in_backlog(False)
    assert shop.walk()


@pytest.mark.parametrize("share", [FIRST_SHARE, FIRST_SHARE + EVERY_SHARE])
def test_item_lists_prices_and_trending_lists_do_not_expire(share: float):
    worker = started()
    seen = [
        event("view", f"u{n}", "i1", T0 + 650_000 + n, price=20.0 + n % 3, event_id=f"p{n}")
        for n in range(300)
    ]
    worker.run(log(seen, 650))
    worker.talk(T0 + 10_000)
    for n in range(20):
        worker.engine.tick(T0 + 20_000 + 1_000 * n)
    renewal = Renewal(worker.engine, TTL_MS)
    start_ms = T0 + 60_000
    assert not renewal.due(start_ms).values
    if share > FIRST_SHARE:
        while renewal.due(start_ms + int(FIRST_SHARE * TTL_MS)).values:
            pass
        for n in range(20):
            worker.engine.tick(start_ms + int(FIRST_SHARE * TTL_MS) + 1_000 * n)
    at_ms = start_ms + int(share * TTL_MS)
    quiet = [values for n in range(9) for values in worker.engine.tick(at_ms - 60_000 + 1_000 * n).values]
    assert not quiet
    kinds: set[str] = set()
    for n in range(9):
        made = renewal.due(at_ms + 1_000 * n).values + worker.engine.tick(at_ms + 1_000 * n).values
        kinds |= {values.kind for values in made if len(values.ids)}
    assert kinds >= {"similar", "price"}
    assert not {kind for kind in kinds if kind.startswith("recs")}
    # Trending lists are merged when a partition tells something.
    worker.run(log([event("view", "u1", "i1", T0 + 990_000)], 990))
    assert lists(Effects(values=worker.talk(at_ms + 100_000)), "trending")
