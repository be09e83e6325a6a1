"""Lists of named scenarios as workers publish them: after which events, of what, under which keys."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.effects import BESIDE, Effects, ListsFor
from stream.refill import Refill
from stream.rules.scenario import parse
from stream.runtime.scenarios import load
from stream.runtime.topics import OF_KIND
from stream.shoppers.row import CART
from stream.values import key_of, kind_of
from tests.unit.core_helpers import T0, Worker, lists, log
from tests.unit.scenario_kit import ITEMS, happens, known, started, told, visits

FEW = settings(max_examples=12)
AFTER = {name: scenario.after for name, scenario in load().items() if scenario.after}


def kinds_of(effects: Effects, user: str) -> set[str]:
    return {
        values.kind
        for values in effects.values
        if values.kind.startswith("recs")
        for name in values.ids
        if name == user.encode()
    }


def say(worker: Worker, key: str, **fields: Any) -> None:
    assert worker.engine.control("rules", key.encode(), msgspec.json.encode(fields)) is None


@given(visits())
@FEW
def test_lists_are_made_after_their_events_only_and_hold_what_they_should(events):
    worker, sessions, seen = started(), set(), set()
    for n, each in enumerate(events):
        user = each["user_id"]
        effects = worker.feed(log([each], 400 + n))
        found = kinds_of(effects, user)
        if (user, each["event_id"]) in seen:
            assert not found
            continue
        seen.add((user, each["event_id"]))
        opened, kind = user not in sessions, each["type"]
        sessions.add(user)
        due = {
            kind_of(name)
            for name, after in AFTER.items()
            if kind in after
            or (kind != "impression" and ("every" in after or ("session" in after and opened)))
        }
        assert found == due
        state = known(worker)[user]
        for _, value in lists(effects, "recs-cart"):
            assert not set(state.cart) & set(value["items"])
            assert not set(state.bought) & set(value["items"])
        for _, value in lists(effects, "recs-buy-again"):
            assert set(value["items"]) == set(state.bought) - set(state.hidden)
        for _, value in lists(effects, "recs-email"):
            assert not set(state.recent) & set(value["items"])
            assert value["version"].endswith(f"{BESIDE + 400 + n:016d}")


@given(visits(), st.lists(st.integers(0, 30), max_size=5))
@FEW
def test_carts_and_what_was_shown_are_kept_as_a_person_would_whatever_the_batches(events, cuts):
    worker = Worker(scenarios=load()).run(log(events), [cut for cut in cuts if cut < len(events)])
    found = {user: (state.cart, state.shown) for user, state in known(worker).items()}
    assert found == told(events)


@given(visits(), st.integers(0, 30), st.sampled_from([1, 3, 100]))
@FEW
def test_a_replay_keeps_them_and_gives_no_lists(events, at, again):
    records = log(events)
    at = min(at, len(events))
    stayed = Worker(scenarios=load()).run(records)
    moved = Worker(scenarios=load())
    for start in range(0, at, again):
        effects = moved.feed(records[start : min(start + again, at)], silent=True)
        assert not effects.values
    moved.run(records[at:])
    assert known(moved) == known(stayed)


@given(visits(40), st.integers(1, 40))
@FEW
def test_saved_buckets_keep_them(events, at):
    records = log(events)
    one = Worker(rows_saved_per_event=1000.0).run(records[:at])
    saved = [
        message.value for message in one.engine.unsaved(10_000).saved if message.topic == "shopper-state"
    ]
    other = Worker()
    other.engine.open_shoppers(0, 1)
    other.engine.restore_shoppers(0, saved)
    assert known(other) == known(one)
    one.feed(records[at:])
    other.feed(records[at:])
    assert known(other) == known(one)


def test_the_cart_is_bounded_and_the_oldest_goes_first():
    worker = started()
    worker.feed(log([happens(n, "cart", "u", ITEMS[n]) for n in range(CART + 4)], 400))
    assert known(worker)["u"].cart == ITEMS[4 : CART + 4]
    worker.feed(log([happens(100, "cart", "u", ITEMS[5])], 500))
    assert known(worker)["u"].cart == [ITEMS[4], *ITEMS[6 : CART + 4], ITEMS[5]]


def test_what_is_bought_together_with_the_cart_comes_first():
    worker = Worker(scenarios=load())
    bought = [happens(n, "purchase", f"u{n // 2}", ("lamp", "bulb")[n % 2]) for n in range(40)]
    viewed = [happens(100 + n, "view", f"v{n // 2}", ("lamp", "desk")[n % 2]) for n in range(200)]
    for each in bought:
        each["order_id"] = each["user_id"]
    worker.run(log([*bought, *viewed]), [40, 100])
    worker.talk(T0 + 400_000)
    effects = worker.feed(log([happens(400, "cart", "new", "lamp")], 400))
    ((_, value),) = lists(effects, "recs-cart")
    assert value["items"][:2] == ["bulb", "desk"]


def test_what_was_bought_often_and_lately_is_bought_again_first():
    worker = started()
    order = ["i1", "i2", "i3", "i1", "i4", "i3", "i5"]
    effects = worker.feed(log([happens(n, "purchase", "u", item) for n, item in enumerate(order)], 400))
    ((_, value),) = lists(effects, "recs-buy-again")
    weight = {item: sum(1 / (len(order) - k) for k, at in enumerate(order) if at == item) for item in order}
    assert value["items"] == sorted(weight, key=lambda item: -weight[item])
    assert value["model"] == "share"
    effects = worker.feed(log([happens(50, "return", "u", "i5")], 450))
    ((_, value),) = lists(effects, "recs-buy-again")
    assert "i5" not in value["items"]


def test_a_mail_is_of_many_kinds():
    worker = started()
    effects = worker.feed(log([happens(n, "view", "u", ITEMS[4 * n]) for n in range(6)], 400))
    ((_, value),), ((_, home),) = lists(effects, "recs-email"), lists(effects)[-1:]
    of_mail, of_home = ([int(item[1:]) % 4 for item in made["items"]] for made in (value, home))
    assert 8 < len(of_mail) <= 12
    assert max(of_mail.count(each) for each in of_mail) == 3
    assert max(of_home.count(each) for each in of_home) > 3


def test_scenarios_have_keys_of_their_own_which_clash_with_no_other():
    keys = {key_of("stream", kind_of(name), "u") for name in load()} | {
        key_of("stream", kind, "u") for kind in (*OF_KIND, "worker") if kind != "recs"
    }
    assert len(keys) == len(load()) + len(OF_KIND)
    assert key_of("stream", kind_of("cart"), "u") == "stream:v1:recs-cart:{u}"


def test_views_cost_nothing_more_and_only_home_goes_to_a_topic():
    worker = started()
    worker.feed(log([happens(0, "view", "u", "i1")], 400))
    effects = worker.feed(log([happens(n, "view", "u", f"i{n}") for n in range(1, 9)], 401))
    assert [values.kind for values in effects.values] == ["recs"]
    effects = worker.feed(log([happens(20, "cart", "u", "i1")], 420))
    assert {values.kind: (values.topic, values.redis) for values in effects.values} == {
        "recs": (True, True),
        "recs-cart": (False, True),
        "recs-email": (False, True),
    }


def test_a_backlog_gives_each_shopper_one_list_of_each_scenario_that_is_due():
    worker = started()
    events = [happens(n, kind, "u", f"i{n}") for n, kind in enumerate(("cart", "view", "cart", "view"))]
    effects = worker.engine.shoppers(0, log(events, 400), T0, lists=ListsFor.SHOPPERS)
    assert sorted(values.kind for values in effects.values) == ["recs", "recs-cart", "recs-email"]
    ((_, value),) = lists(effects, "recs-cart")
    assert value["version"].endswith(f"{BESIDE + 402:016d}")
    assert not worker.engine.shoppers(0, log(events, 500), T0, lists=ListsFor.NOBODY).values


def test_what_is_said_of_another_scenarios_list_is_not_said_of_home():
    worker = started()
    effects = worker.feed(log([happens(0, "cart", "u", "i1")], 400))
    ((_, cart),), ((_, home),) = lists(effects, "recs-cart"), lists(effects)
    shown = home["items"][:3]
    ring = worker.engine.shopper_units[0].state.waiting.ring
    for n, (version, confirmed) in enumerate(((cart["version"], 0), (home["version"], 1)), 1):
        worker.feed(log([happens(n, "impression", "u", items=shown, request_id=version)], 400 + n))
        assert int(ring["confirmed"].sum()) == confirmed


@pytest.mark.parametrize("kind", ["hide", "rating"])
def test_what_a_shopper_does_not_want_leaves_every_list_at_once(kind):
    worker = started()
    effects = worker.feed(log([happens(0, "purchase", "u", "i2"), happens(1, "cart", "u", "i1")], 400))
    ((_, cart),), ((_, again),) = lists(effects, "recs-cart"), lists(effects, "recs-buy-again")
    unwanted = cart["items"][0]
    said = [happens(2, kind, "u", unwanted, **({"rating": 1.0} if kind == "rating" else {}))]
    said.append(happens(3, kind, "u", "i2", **({"rating": 1.0} if kind == "rating" else {})))
    effects = worker.feed(log(said, 402))
    found = {each: lists(effects, each)[-1][1]["items"] for each in kinds_of(effects, "u")}
    assert found.keys() == {"recs", "recs-cart", "recs-email", "recs-buy-again"}
    assert again["items"] == ["i2"]
    for items in found.values():
        assert not {unwanted, "i2"} & set(items)


# -- item pages --------------------------------------------------------------------------------------


def test_the_list_of_an_items_page_follows_its_similar_items():
    worker = started()
    worker.run(log([happens(n, "view", "u", item) for n, item in enumerate(("i30", "i31", "i32"))], 400))
    values = worker.engine.tick(T0 + 10_000, 500).values
    pages, similar = (dict(lists(Effects(values=values), kind)) for kind in ("recs-product", "similar"))
    assert set(similar) <= set(pages)
    assert {"i30", "i31", "i32"} <= set(pages)
    for item, page in pages.items():
        assert item not in page["items"]
        assert len(page["items"]) == 20
    for item, value in similar.items():
        assert 2 * len(set(value["items"][:10]) & set(pages[item]["items"])) >= len(value["items"][:10])


def test_item_pages_are_under_the_rules_of_their_scenario_and_bounded_by_the_ticks_limit():
    worker = started()
    say(worker, "no", kind="exclude", where={"attribute": "brand", "is": "Acme"}, scenarios=["product"])
    worker.run(log([happens(n, "view", "u", ITEMS[n % 40]) for n in range(60)], 400))
    values = worker.engine.tick(T0 + 10_000, 8).values
    pages = lists(Effects(values=values), "recs-product")
    assert 0 < len(pages) <= 8
    assert {int(item[1:]) % 3 for _, page in pages for item in page["items"]} == {0}
    assert "similar" in {each.kind for each in values}


# -- rules and a shop's own files ------------------------------------------------------------------------


def test_a_rule_of_one_scenario_changes_no_other():
    worker = started()
    say(worker, "no", kind="exclude", where={"attribute": "brand", "is": "Acme"}, scenarios=["cart"])
    effects = worker.feed(log([happens(0, "cart", "u", "i1")], 400))
    brands = {
        kind: {int(item[1:]) % 3 > 0 for _, value in lists(effects, kind) for item in value["items"]}
        for kind in ("recs", "recs-cart", "recs-email")
    }
    assert brands == {"recs": {True, False}, "recs-cart": {False}, "recs-email": {True, False}}


def test_a_rule_that_leaves_nothing_gives_an_empty_list_and_is_counted():
    worker = started()
    say(
        worker,
        "all",
        kind="exclude",
        where={"not": {"attribute": "brand", "is": "Nobody"}},
        scenarios=["cart"],
    )
    before = worker.engine.metrics.empty_lists
    effects = worker.feed(log([happens(0, "cart", "u", "i1")], 400))
    assert [value["items"] for _, value in lists(effects, "recs-cart")] == [[]]
    assert worker.engine.metrics.empty_lists == before + 1
    say(
        worker, "only", kind="include-only", where={"attribute": "brand", "is": "Nobody"}, scenarios=["email"]
    )
    effects = worker.feed(log([happens(1, "cart", "u", "i2")], 401))
    assert [len(value["items"]) for _, value in lists(effects, "recs-email")] == [12]
    worker.engine.tick(T0 + 10_000)
    assert worker.engine.metrics.rules_relaxed == {"only": 1}


def test_a_shops_own_scenario_is_published_under_its_name_and_may_be_named_by_rules():
    own = parse("search.toml", 'sources = ["popular"]\nafter = ["search"]\nlength = 5\n')
    worker = started(scenarios=load() | {"search": own})
    say(worker, "no", kind="hide", item="i1", scenarios=["search"])
    effects = worker.feed(log([happens(0, "view", "u", "i2"), happens(1, "search", "u")], 400))
    ((user, value),) = lists(effects, "recs-search")
    assert (user, len(value["items"])) == ("u", 5)
    assert worker.engine.metrics.scenario_lists > 0


@pytest.mark.parametrize("user", ["u", "nobody"])
def test_what_was_lost_is_made_again(user):
    worker = started()
    events = [happens(n, kind, "u", f"i{n}") for n, kind in enumerate(("view", "cart", "purchase"))]
    worker.run(log(events, 400))
    worker.talk(T0 + 10_000)
    made = [values for _, some in Refill(worker.engine, 10**6).steps(T0 + 20_000) for values in some]
    found = {
        values.kind for values in made if values.kind.startswith("recs-") and user.encode() in values.ids
    }
    assert found == ({"recs-cart", "recs-email", "recs-buy-again"} if user == "u" else set())
    assert {f"i{n}".encode() for n in range(3)} <= {
        name for values in made if values.kind == "recs-product" for name in values.ids
    }
