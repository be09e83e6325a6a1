"""Where a shopper comes from: what others take who come the same way, before anything else is known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.client import Client
from stream.errors import InputError
from stream.events.records import LogRecord
from stream.items.cohort_lists import EVERY_MS, LEAST_WEIGHT
from stream.items.cohorts import LEAST_SHOPPERS, find
from stream.learn.learner import Learner
from stream.learn.model import pack_snapshot
from stream.recommend.encode import PLAIN
from stream.recommend.in_cohort import HEAVIEST
from stream.recommend.respond import Response
from stream.rules.request import RequestContext
from stream.rules.rule import LENGTH_MAX
from stream.rules.scenario import Scenario
from stream.saving import whole
from stream.shoppers.describe import describe
from tests.unit.core_helpers import T0, Worker, event, items_of, lists, log
from tests.unit.test_client import FakeRedis

NEWS, SEARCH = {"referrer": "newsletter"}, {"referrer": "https://www.google.com/search?q=lamp"}


def shop(shoppers: int = 30, model: bool = False) -> Worker:
    """Who comes by the newsletter looks at n0..n9, who comes from a search engine at g0..g9, which are looked
    at twice as often."""
    worker = Worker()
    if model:
        untaught = msgspec.structs.replace(Learner().snapshot(), active=True, name="listwise")
        assert worker.engine.control("models", b"ranking", pack_snapshot(untaught)) is None
    views = []
    for k in range(3 * shoppers):
        name, context = ("n", NEWS) if k % 3 == 0 else ("g", SEARCH)
        for n in range(4):
            told = {"context": context} if n == 0 else {}
            views.append(event("view", f"u{k}", f"{name}{(k + n) % 10}", T0 + 10 * k + n, **told))
    worker.run(log(views), [40, len(views) // 2])
    worker.talk()
    return worker


def ask(worker: Worker, shopper: str | None = None, **fields: Any) -> Response:
    return worker.engine.recommend(RequestContext(**fields), shopper, T0 + 30_000)


def first_letters(items: list[str], many: int = 10) -> set[str]:
    return {item[0] for item in items[:many]}


def cohorts_of(worker: Worker, user: str) -> list[str]:
    unit = worker.engine.shopper_units[0]
    found = describe(unit, unit.interner.find(user.encode())).cohorts
    names = [unit.table.cohort_names.names[int(key, 16)] for key in found.values()]
    assert [name.partition("=")[0] for name in names] == list(found)
    return names


@pytest.mark.parametrize("model", [False, True], ids=["plain order", "model's order"])
def test_somebody_unknown_is_shown_what_others_take_who_come_the_same_way(model: bool):
    worker = shop(model=model)
    by_letter = ask(worker, context=NEWS)
    assert first_letters(by_letter.items) == {"n"}
    assert set(by_letter.reasons[:10]) == {"cohort"}
    assert first_letters(ask(worker, context={"referrer": "google.com"}).items) == {"g"}
    # What is not known of says nothing.
    # It does not say that the model has ranked it.
    assert by_letter.model == PLAIN
    effects = worker.feed(log([event("search", "zoe", query="x", context=NEWS)], 9_000))
    assert [value["model"] for _, value in lists(effects)] == [PLAIN]
    effects = worker.feed(log([event("view", "zoe", "n1"), event("view", "yan", "n1")], 9_001))
    assert {value["model"] for _, value in lists(effects)} == {worker.engine.metrics.model}
    assert (worker.engine.metrics.model == PLAIN) != model
    popular = ask(worker)
    for nothing in ({}, {"referrer": "elsewhere"}, {"country": "de"}):
        assert ask(worker, context=nothing) == popular
    assert set(popular.reasons) == {"popular"}


def test_cohorts_are_mixed():
    worker = Worker()
    views = [
        event("view", f"{name}{k}", f"{name}-{k % 3}", T0 + k, context={field: name})
        for k in range(40)
        for field, name in (("segment", "vip"), ("country", "de"), ("device", "tv"))
    ]
    worker.run(log(views), [50])
    worker.talk()
    both = ask(worker, segment="vip", context={"country": "DE"}).items
    assert {item[:2] for item in both[:6]} == {"vi", "de"}
    assert {item[:2] for item in ask(worker, segment="vip").items[:3]} == {"vi"}


def test_an_event_without_an_item_is_enough():
    worker = shop()
    effects = worker.feed(log([event("search", "zoe", query="x", context=NEWS)], 9_000))
    assert first_letters(items_of(effects, "zoe")) == {"n"}
    assert cohorts_of(worker, "zoe") == ["referrer=newsletter"]


def test_of_a_cohort_of_few_shoppers_nothing_is_said():
    for shoppers in (1, LEAST_SHOPPERS + 12):
        worker = shop()
        views = [
            event("view", f"s{k % shoppers}", "secret", T0 + k, context={"segment": "board"})
            for k in range(60)
        ]
        worker.feed(log(views, 9_000))
        found = ask(worker, segment="board").items
        assert (found[0] == "secret") == (shoppers > 1)


def test_a_cohort_of_a_visit_ends_with_it_and_the_others_hold_until_something_else_is_said():
    worker = shop()
    context = {
        "referrer": "newsletter",
        "category": "Lamps",
        "segment": "vip",
        "country": "DE",
        "device": "tv",
    }
    worker.feed(log([event("search", "zoe", query="x", session_id="a", context=context)], 9_000))
    every = ["category=lamps", "referrer=newsletter", "segment=vip", "country=de", "device=tv"]
    assert cohorts_of(worker, "zoe") == every
    worker.feed(log([event("view", "zoe", "n1", session_id="a", context={"screen": "x"})], 9_001))
    assert cohorts_of(worker, "zoe") == every
    worker.feed(log([event("view", "zoe", "n1", session_id="b", context={"country": "FR"})], 9_002))
    assert cohorts_of(worker, "zoe") == ["segment=vip", "country=fr", "device=tv"]
    # In a profile a category is an interest.
    told = {"category": "lamps", "segment": "b2b"}
    worker.feed(log([event("profile", "zoe", session_id="b", context=told)], 9_003))
    assert cohorts_of(worker, "zoe") == ["segment=b2b", "country=fr", "device=tv"]


def test_a_shopper_who_has_looked_at_something_is_not_new():
    worker = shop()
    effects = worker.feed(log([event("view", "zoe", "g1", context=NEWS)], 9_000))
    assert first_letters(items_of(effects, "zoe"), 5) == {"g"}
    assert "cohort" not in next(value["reasons"] for name, value in lists(effects) if name == "zoe")


def test_what_cohorts_take_is_counted_anew_from_saved_shoppers():
    worker = shop()
    saved = [message.value for message in whole(worker.engine.shopper_units[0])]
    again = Worker()
    again.engine.open_shoppers(0, 1)
    again.engine.restore_shoppers(0, saved)
    assert first_letters(ask(again, context=NEWS).items) == {"n"}
    assert first_letters(ask(again, context=SEARCH).items) == {"g"}


def test_where_a_visitor_came_from_goes_along_when_he_logs_in():
    worker = shop()
    told = NEWS | {"country": "DE"}
    worker.feed(log([event("search", "cookie", query="x", session_id="s", context=told)], 9_000))
    worker.feed(log([event("search", "anna", query="x", session_id="s", context={"country": "FR"})], 9_001))
    effects = worker.feed(log([event("identify", "anna", session_id="cookie")], 9_002))
    for offset in (9_003, 9_004):
        (message,) = [m for m in effects.messages if m.topic == "events"]
        effects = worker.feed([LogRecord(offset, T0, message.key, message.value)])
    assert cohorts_of(worker, "anna") == ["referrer=newsletter", "country=fr"]


def test_a_bucket_that_comes_back_is_not_counted_twice():
    worker = shop()
    saved = [message.value for message in whole(worker.engine.shopper_units[0])]
    totals = []
    for _ in range(3):
        worker.engine.open_shoppers(0, 1)
        worker.engine.restore_shoppers(0, saved)
        totals.append(worker.engine.table.facts.cohorts.total.sum())
    assert totals[0] == totals[1] == totals[2]


def test_who_came_long_ago_is_no_shopper_of_a_cohort_any_more():
    worker = Worker()
    told = {"segment": "board"}
    views = [event("view", f"u{k}", "old", T0, context=told) for k in range(2 * LEAST_SHOPPERS)]
    worker.run(log(views))
    half_life_ms = int(worker.engine.table.slow.half_life_ms)
    for age, said in ((0.9, True), (1.5, True), (2.6, False)):
        at = T0 + int(age * half_life_ms)
        later = log([event("view", "u1", "secret", at, context=told)], 1_000 + int(age * 10))
        worker.run(later)
        key = next(iter(worker.engine.table.cohort_names.names))
        assert (find(worker.engine.table.facts.cohorts, key) >= 0) == said, age


def test_what_a_crowd_takes_counts_for_nobody_and_nor_does_what_is_not_wanted():
    worker = shop()
    before = worker.engine.table.facts.cohorts.total.sum()
    worker.feed(log([event("hide", "u0", "n1"), event("remove_from_cart", "u0", "n1")], 9_000))
    assert worker.engine.table.facts.cohorts.total.sum() == before
    views = [event("view", "bot", f"b{k % 40}", T0, context=NEWS) for k in range(3_000)]
    worker.feed(log(views, 10_000))
    assert worker.engine.table.facts.cohorts.total.sum() <= before + 1_001 * worker.engine.table.slow.gain(T0)


def test_when_landmarks_move_nothing_changes():
    worker = shop()
    before = ask(worker, context=NEWS)
    factor_ms = int(65 * worker.engine.table.slow.half_life_ms)
    worker.engine.table.reach(T0 + factor_ms)
    assert worker.engine.table.facts.cohorts.one[0] < 1e-6
    assert ask(worker, context=NEWS).items == before.items


@pytest.mark.parametrize("alike", [True, False])
def test_the_heaviest_items_of_a_cohort_are_candidates_also_where_all_are_as_heavy(alike: bool):
    worker, many = Worker(), 2 * HEAVIEST
    views = [
        event("view", f"u{k}-{n}", f"i{k}", T0, context=NEWS)
        for k in range(many)
        for n in range(1 if alike else 1 + k // HEAVIEST)
    ]
    worker.run(log(views))
    worker.talk()
    found = ask(worker, context=NEWS, length=LENGTH_MAX)
    assert found.reasons.count("cohort") >= min(HEAVIEST, LENGTH_MAX)
    if not alike:
        shown = [item for item, reason in zip(found.items, found.reasons, strict=True) if reason == "cohort"]
        assert all(int(item[1:]) >= HEAVIEST for item in shown)


# -- what is published -------------------------------------------------------------------------------


def published(worker: Worker, now_ms: int) -> dict[str, dict[str, Any]]:
    effects = worker.engine.tick(now_ms)
    assert {values.topic for values in effects.values if values.kind == "cohort"} <= {False}
    return dict(lists(effects, "cohort"))


def test_lists_of_cohorts_are_published_for_apps_that_know_nothing_else_of_a_visitor():
    worker = Worker()
    first = worker.run(log([event("view", f"u{k}", f"n{k % 10}", T0 + k, context=NEWS) for k in range(60)]))
    told = {name: value for values in first.talk() for name, value in lists_in(values)}
    (found,) = told
    assert found == "referrer=newsletter"
    assert set(told[found]["items"]) == {f"n{k}" for k in range(10)}
    assert told[found]["scores"] == sorted(told[found]["scores"], reverse=True)
    more = [event("view", f"v{k}", "new", T0 + k, context=NEWS) for k in range(40)]
    worker.run(log(more, 100))
    assert published(worker, T0 + 5_000) == {}
    assert published(worker, T0 + 2 * EVERY_MS)["referrer=newsletter"]["items"][0] == "new"
    # Sold out: it is in no list that is told from now on, and where nothing is left the list is emptied.
    worker.engine.control("items", b"new", b'{"item_id":"new","stock":0}')
    worker.run(log([event("view", "w", "n1", T0)], 200))
    assert "new" not in published(worker, T0 + 4 * EVERY_MS)["referrer=newsletter"]["items"]
    assert published(worker, T0 + 6 * EVERY_MS) == {}
    worker.engine.publisher.tell_again()
    worker.run(log([event("view", "w", "n1", T0)], 201))
    assert list(published(worker, T0 + 8 * EVERY_MS)) == ["referrer=newsletter"]
    for k in range(10):
        worker.engine.control("items", b"n%d" % k, None)
    worker.run(log([event("view", "w", "x", T0, context=NEWS)], 202))
    assert published(worker, T0 + 10 * EVERY_MS)["referrer=newsletter"]["items"] == ["x"]
    worker.engine.control("items", b"x", None)
    worker.run(log([event("view", "w", "x", T0)], 203))
    assert published(worker, T0 + 12 * EVERY_MS)["referrer=newsletter"]["items"] == []
    worker.run(log([event("view", "w", "x", T0)], 204))
    assert published(worker, T0 + 14 * EVERY_MS) == {}


def lists_in(values: Any) -> list[tuple[str, dict[str, Any]]]:
    if values.kind != "cohort":
        return []
    rows = zip(values.ids, values.values, strict=True)
    return [(name.decode(), msgspec.json.decode(value)) for name, value in rows]


def test_a_cohort_of_which_little_is_known_has_no_list():
    worker = Worker()
    many = int(LEAST_WEIGHT) - 1
    worker.run(log([event("view", f"u{k}", "a", T0, context=NEWS) for k in range(many)]))
    assert not [name for values in worker.talk() for name, _ in lists_in(values)]


def test_the_client_reads_the_first_list_that_there_is():
    listed = {"version": "0-0", "generated_at": 1, "model": "cohort", "scores": [1.0], "reasons": ["cohort"]}
    values = {
        f"stream:v1:{key}": msgspec.json.encode(listed | {"items": [item]})
        for key, item in (
            ("cohort:{referrer=google.com}", "g"),
            ("cohort:{country=de}", "d"),
            ("trending:{all}", "t"),
        )
    }
    client = Client("redis://127.0.0.1:1")
    client._redis = FakeRedis(values)

    def first(**context: Any) -> str:
        found = client.first(context)
        assert found is not None
        return found.items[0].id

    assert first(country="DE", **SEARCH) == "g"
    assert first(country="DE", **NEWS) == "d"
    assert first(country="FR") == first() == "t"
    empty = listed | {"items": [], "scores": [], "reasons": []}
    values["stream:v1:cohort:{referrer=google.com}"] = msgspec.json.encode(empty)
    assert first(country="DE", **SEARCH) == "d"
    client._redis = FakeRedis({})
    assert client.first(SEARCH) is None


def test_what_a_request_leaves_empty_says_nothing():
    worker = shop()
    views = [event("view", f"s{k}", "vip", T0 + k, context={"segment": "vip"}) for k in range(60)]
    worker.feed(log(views, 9_000))
    assert ask(worker, segment="vip", context={"segment": None, "country": None}).items[0] == "vip"


def test_a_shop_that_wants_no_popular_items_is_given_none():
    home = Scenario(sources=("cohort", "co-occurrence"), after=("every",))
    worker = Worker(scenarios={"home": home})
    worker.run(log([event("view", f"u{k}", f"n{k % 10}", T0 + k, context=NEWS) for k in range(60)]))
    worker.run(log([event("view", f"v{k}", f"p{k % 10}", T0 + k) for k in range(60)], 100))
    worker.talk()
    effects = worker.feed(log([event("search", "zoe", query="x", context=NEWS)], 9_000))
    assert first_letters(items_of(effects, "zoe"), 20) == {"n"}


def test_a_request_may_be_wrong_in_one_sentence():
    with pytest.raises((InputError, msgspec.ValidationError)):
        msgspec.convert({"context": "google"}, RequestContext)
