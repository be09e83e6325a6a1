"""Where a shopper comes from: what others take who come the same way, before anything else is known."""

from __future__ import annotations

import doctest
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream.cohorts
from stream.client import Client
from stream.cohorts import FIELDS, OF_VISIT, VALUE_MAX_CHARS, cohorts
from stream.errors import InputError
from stream.events.records import LogRecord
from stream.events.types import View
from stream.items.cohort_lists import EVERY_MS, LEAST_WEIGHT
from stream.items.cohort_names import NAMES_MOST, CohortNames, hashes
from stream.items.cohorts import COHORTS, HELD, LEAST_SHOPPERS, find, forget, hear_from, new_cohorts
from stream.learn.learner import Learner
from stream.learn.model import pack_snapshot
from stream.recommend.in_cohort import HEAVIEST
from stream.recommend.respond import Response
from stream.rules.request import RequestContext
from stream.rules.rule import LENGTH_MAX
from stream.saving import whole
from stream.shoppers.describe import describe
from stream.shoppers.row import SHOPPER
from tests.unit.core_helpers import T0, Worker, event, items_of, lists, log
from tests.unit.test_client import FakeRedis

NEWS, SEARCH = {"referrer": "newsletter"}, {"referrer": "https://www.google.com/search?q=lamp"}


def shop(shoppers: int = 30, model: bool = False) -> Worker:
    """Who comes by the newsletter looks at n0..n9, who comes from a search engine at g0..g9, which are looked
    at twice as often."""
    worker = Worker()
    if model:
        untaught = msgspec.structs.replace(Learner().snapshot(), active=True)
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
    return describe(unit, unit.interner.find(user.encode())).cohorts


@pytest.mark.parametrize("model", [False, True], ids=["plain order", "model's order"])
def test_somebody_unknown_is_shown_what_others_take_who_come_the_same_way(model: bool):
    worker = shop(model=model)
    by_letter = ask(worker, context=NEWS)
    assert first_letters(by_letter.items) == {"n"}
    assert set(by_letter.reasons[:10]) == {"cohort"}
    assert first_letters(ask(worker, context={"referrer": "google.com"}).items) == {"g"}
    # What is not known of says nothing.
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


def test_what_a_crowd_takes_counts_for_nobody_and_nor_does_what_is_not_wanted():
    worker = shop()
    before = worker.engine.table.facts.cohorts.total.sum()
    worker.feed(log([event("hide", "u0", "n1"), event("remove_from_cart", "u0", "n1")], 9_000))
    assert worker.engine.table.facts.cohorts.total.sum() == before
    views = [event("view", "bot", f"b{k % 40}", T0, context=NEWS) for k in range(3_000)]
    worker.feed(log(views, 10_000))
    assert worker.engine.table.facts.cohorts.total.sum() <= before + 1_001 * worker.engine.table.slow.gain(T0)


# -- the texts ---------------------------------------------------------------------------------------


def test_the_examples_of_its_documentation():
    assert doctest.testmod(stream.cohorts).failed == 0


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.example.com/a?b=c", "example.com"),
        ("www.Example.com", "example.com"),
        ("example.com/path", "example.com"),
        ("android-app://com.example", "com.example"),
        ("Summer  Mail ", "summer mail"),
        ("http://[broken/", None),
        ("", None),
        (None, None),
        (True, None),
        (["a"], None),
        ("x" * (VALUE_MAX_CHARS + 1), None),
        ("a\0b", None),
    ],
)
def test_a_referrer_is_its_host(referrer: Any, host: str | None):
    assert cohorts({"referrer": referrer}) == ({1: f"referrer={host}"} if host else {})


@given(st.dictionaries(st.sampled_from([*FIELDS, "else"]), st.one_of(st.none(), st.text(), st.integers())))
def test_any_context_can_be_told_and_is_read_alike_everywhere(context: dict[str, Any]):
    found = cohorts(context)
    assert list(found) == sorted(found)
    assert all(name.startswith(f"{FIELDS[k]}=") and name.isprintable() for k, name in found.items())
    assert cohorts({FIELDS[k]: name.partition("=")[2] for k, name in found.items() if k != 1}) == {
        k: name for k, name in found.items() if k != 1
    }
    assert all(k >= OF_VISIT for k in cohorts(context, profile=True))
    assert np.count_nonzero(hashes(found)) == len(found)


def test_only_so_many_names_are_kept():
    names = CohortNames()
    for k in range(NAMES_MOST + 10):
        told = View(event_id="e", ts=T0, user_id="u", item_id="i", context={"country": f"c{k}"})
        names.told([(0, told)], 1)
    assert len(names.names) == NAMES_MOST
    assert "country=c0" not in names.names.values()
    assert names.told([], 5).shape == (0, len(FIELDS))


# -- the counts --------------------------------------------------------------------------------------


def of(*keys: int, bucket: int = 0) -> Any:
    row = np.zeros(1, SHOPPER)[0]
    row["cohorts"][: len(keys)] = keys
    row["bucket"] = bucket
    return row


@given(st.lists(st.integers(0, HELD * 3), min_size=1, max_size=600))
def test_no_sum_is_too_low_and_none_too_high_by_more_than_the_lightest(items: list[int]):
    table, truth = new_cohorts(), Counter(items)
    for n, item in enumerate(items):
        hear_from(table, of(7, bucket=n % 64), item, 1.0, 1.0)
    at = int(np.flatnonzero(table.key == 7)[0])
    assert find(table, 7) == (at if len(items) >= LEAST_SHOPPERS else -1)
    held = {item - 1: weight for item, weight in zip(table.item[at], table.weight[at], strict=True) if item}
    assert sum(held.values()) == table.total[at] == len(items)
    lightest = min(held.values()) if len(held) == HELD else 0.0
    for item, weight in held.items():
        assert truth[item] <= weight <= truth[item] + lightest
    assert all(count <= lightest for item, count in truth.items() if item not in held)


def test_where_there_is_no_room_the_cohort_that_is_heard_of_least_gives_way():
    table = new_cohorts()
    keys = [5 + COHORTS * k for k in range(9)]
    for n, key in enumerate(keys):
        for shopper in range(LEAST_SHOPPERS + (n != 3)):
            hear_from(table, of(key, bucket=shopper), n, 1.0, 1.0)
    assert [find(table, key) >= 0 for key in keys] == [n != 3 for n in range(9)]
    assert table.item[find(table, keys[8])][:2].tolist() == [9, 0]
    assert find(table, 0) == -1


def test_items_that_are_forgotten_make_room():
    table = new_cohorts()
    for item in range(HELD):
        hear_from(table, of(7), item, 1.0, 1.0 + item)
    forget(table, np.array([0, 4, 9], np.int32))
    at = int(np.flatnonzero(table.key == 7)[0])
    assert set(table.item[at].tolist()) == {0, *range(1, HELD + 1)} - {1, 5, 10}
    assert np.array_equal(table.weight[at] > 0, table.item[at] > 0)
    for item in (HELD, HELD + 1, 0):
        hear_from(table, of(7), item, 1.0, 1.0)
    assert set(table.item[at].tolist()) == set(range(1, HELD + 3)) - {5, 10}


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


def test_when_landmarks_move_nothing_changes():
    worker = shop()
    before = ask(worker, context=NEWS)
    factor_ms = int(65 * worker.engine.table.slow.half_life_ms)
    worker.engine.table.reach(T0 + factor_ms)
    assert worker.engine.table.facts.cohorts.one[0] < 1e-6
    assert ask(worker, context=NEWS).items == before.items


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
    # Sold out: it is in no list that is told from now on.
    worker.engine.control("items", b"new", b'{"item_id":"new","stock":0}')
    worker.run(log([event("view", "w", "n1", T0)], 200))
    assert "new" not in published(worker, T0 + 4 * EVERY_MS)["referrer=newsletter"]["items"]
    assert published(worker, T0 + 6 * EVERY_MS) == {}
    worker.engine.publisher.tell_again()
    worker.run(log([event("view", "w", "n1", T0)], 201))
    assert list(published(worker, T0 + 8 * EVERY_MS)) == ["referrer=newsletter"]


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
    client._redis = FakeRedis({})
    assert client.first(SEARCH) is None


def test_a_request_may_be_wrong_in_one_sentence():
    with pytest.raises((InputError, msgspec.ValidationError)):
        msgspec.convert({"context": "google"}, RequestContext)
