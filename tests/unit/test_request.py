"""Requests: a list for a page that says what lies in the cart, what it shows already, how much it wants."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import InputError
from stream.items.distinct import LEAST
from stream.learn.model import pack_snapshot
from stream.recommend.respond import Response
from stream.rules.request import RequestContext
from stream.rules.rule import LENGTH_MAX
from stream.runtime.scenarios import load
from tests.unit.core_helpers import T0, Worker, items_of, lists, log
from tests.unit.scenario_kit import ITEMS, happens, known, started
from tests.unit.test_learner import taught

CATEGORY = {item: f"c{n % 4}" for n, item in enumerate(ITEMS)}
MANY = settings(max_examples=60)


def visited(model: bool = False) -> Worker:
    """A worker that knows a shopper `u`."""
    worker = started()
    if model:
        assert worker.engine.control("models", b"ranking", pack_snapshot(taught().snapshot())) is None
    kinds = ("view", "cart", "purchase", "view", "impression", "cart", "view", "hide", "view")
    worker.run(log([happens(n, kind, "u", ITEMS[3 * n]) for n, kind in enumerate(kinds)], 400))
    worker.talk(T0 + 20_000)
    return worker


@pytest.fixture(scope="module", params=[False, True], ids=["plain order", "model's order"])
def worker(request: pytest.FixtureRequest) -> Worker:
    return visited(request.param)


def ask(worker: Worker, shopper: str | None = "u", **fields: Any) -> Response:
    return worker.engine.recommend(RequestContext(**fields), shopper, T0 + 30_000)


REQUESTS = st.fixed_dictionaries(
    {
        "scenario": st.sampled_from(sorted(load())),
        "anchors": st.lists(st.sampled_from([*ITEMS, "never heard of"]), max_size=5),
        "category": st.sampled_from([None, None, "c0", "c1", "c3", "nowhere"]),
        "exclude": st.lists(st.sampled_from([*ITEMS, "unknown"]), max_size=30),
        "length": st.sampled_from([None, 1, 3, 20, 35, LENGTH_MAX]),
        "segment": st.sampled_from([None, "vip"]),
    }
)


@given(request_=REQUESTS, shopper=st.sampled_from(["u", "stranger", None]))
@MANY
def test_all_of_a_request_is_respected(worker: Worker, request_, shopper):
    made = ask(worker, shopper, **request_)
    assert len(made.items) == len(made.scores) == len(made.reasons) == len(set(made.items))
    assert len(made.items) <= (request_["length"] or load()[request_["scenario"]].length)
    assert not set(made.items) & {*request_["anchors"], *request_["exclude"]}
    if request_["category"]:
        assert {CATEGORY[item] for item in made.items} <= {request_["category"]}
    hidden = known(worker)["u"].hidden if shopper == "u" else []
    assert not set(made.items) & set(hidden)
    assert made.scores == sorted(made.scores, reverse=True)


def state_of(worker: Worker) -> list[bytes]:
    engine = worker.engine
    unit, table = engine.shopper_units[0], engine.table
    arrays = [
        unit.state.rows, unit.state.histories, unit.state.waiting.ring, unit.state.counts, table.rows,
        table.facts.item, table.facts.heard, table.facts.hot, engine.popular.leaders.overall,
        *(due.ends for due in (*table.wanted, *table.lists_due[:2])),
    ]  # fmt: skip
    numbers = [len(unit.interner), len(table.interner), unit.interner.used, table.interner.used]
    metrics = msgspec.json.encode(engine.metrics.as_dict())
    rules = msgspec.json.encode([engine.rules.relaxed, engine.rules._clock_ms])
    return [np.ascontiguousarray(array).tobytes() for array in arrays] + [bytes(numbers), metrics, rules]


@given(request_=REQUESTS, shopper=st.sampled_from(["u", "stranger", None]))
@settings(max_examples=30)
def test_a_request_changes_nothing(worker: Worker, request_, shopper):
    before, first = state_of(worker), ask(worker, shopper, **request_)
    assert state_of(worker) == before
    assert ask(worker, shopper, **request_) == first


def test_rows_that_a_request_wanted_are_not_fetched_for_it():
    worker = Worker(item_partitions=2, scenarios=load())
    worker.run(log([happens(n, "view", f"u{n % 3}", ITEMS[n % 7]) for n in range(60)]), [20, 40])
    worker.talk()
    worker.engine.close_items(1)
    worker.engine.wanted(1000)
    ask(worker, "u1", anchors=ITEMS[:5])
    assert worker.engine.wanted(1000) == []


@pytest.mark.parametrize("model", [False, True], ids=["plain order", "model's order"])
def test_a_bare_request_is_answered_with_what_was_published(model: bool):
    worker = visited(model)
    effects = worker.feed(log([happens(30, "cart", "u", "i7")], 430))
    assert ask(worker).items == items_of(effects, "u")
    for name in ("cart", "email"):
        ((_, value),) = lists(effects, f"recs-{name}")
        made = ask(worker, scenario=name)
        assert (made.items, made.reasons, made.model) == (value["items"], value["reasons"], value["model"])
        assert made.scores == value["scores"]
        assert (made.anchors, made.because) == (value.get("anchors", []), value.get("because", made.because))
        assert made.shoppers == value.get("shoppers", [0] * len(made.items))


def test_anchors_come_before_what_the_shopper_looked_at():
    worker = visited()
    worker.run(log([happens(40 + n, "view", f"w{n // 2}", ("i38", "i39")[n % 2]) for n in range(80)], 440))
    worker.talk(T0 + 200_000)
    assert ask(worker, anchors=["i38"]).items[0] == "i39"
    assert ask(worker, "stranger", anchors=["i38"]).items[0] == "i39"
    assert ask(worker, anchors=["i38", "i5"]).items != ask(worker, anchors=["i5", "i38"]).items


def test_whoever_is_not_known_is_shown_what_is_popular_of_the_category(worker: Worker):
    made = ask(worker, None)
    assert len(made.items) == 20
    assert set(made.reasons) == {"popular"}
    of_category = ask(worker, None, category="c2", length=5)
    assert len(of_category.items) == 5
    assert not made.relaxed
    assert not of_category.relaxed


def test_as_many_are_given_as_there_are(worker: Worker):
    made = ask(worker, "stranger", length=LENGTH_MAX)
    assert 20 < len(made.items) <= len(ITEMS)
    assert len(ask(worker, "stranger", length=LENGTH_MAX, exclude=ITEMS[:30]).items) <= 10


def test_a_scenario_without_candidates_falls_back_to_what_is_popular_and_says_so(worker: Worker):
    made = ask(worker, None, scenario="buy-again", length=4)
    assert (len(made.items), made.relaxed, made.model) == (4, True, "share")
    assert set(ask(worker, scenario="buy-again").items) == set(known(worker)["u"].bought)
    nothing = ask(worker, category="nowhere")
    assert (nothing.items, nothing.relaxed) == ([], True)
    assert ask(worker, exclude=ITEMS) == Response([], [], [], [], [], [], "share", True)


def test_a_request_says_what_stands_behind_each_place():
    worker = visited()
    worker.run(log([happens(40 + n, "view", f"w{n // 2}", ("i38", "i39")[n % 2]) for n in range(80)], 440))
    worker.talk(T0 + 200_000)
    for shopper in ("u", "stranger"):
        made = ask(worker, shopper, anchors=["i38"])
        assert (made.items[0], made.reasons[0], made.anchors[made.because[0]]) == ("i39", "viewed", "i38")
        assert LEAST <= made.shoppers[0] <= 40
        assert len(made.items) == len(made.because) == len(made.shoppers)
        assert all(n == 0 or n >= LEAST for n in made.shoppers)
    popular = ask(worker, None)
    assert (popular.anchors, set(popular.because), set(popular.shoppers)) == ([], {-1}, {0})


def test_rules_hold_for_requests_and_segments_and_are_not_counted():
    worker = visited()
    acme = {"attribute": "brand", "is": "Acme"}
    for key, rule in {
        "vip": {"kind": "exclude", "where": acme, "segment": "vip"},
        "only": {
            "kind": "include-only",
            "where": {"attribute": "brand", "is": "None"},
            "scenarios": ["cart"],
        },
        "pin": {"kind": "pin", "item": "i39", "position": 2},
    }.items():
        assert worker.engine.control("rules", key.encode(), msgspec.json.encode(rule)) is None
    assert {int(item[1:]) % 3 for item in ask(worker, segment="vip", length=50).items} == {0}
    assert {int(item[1:]) % 3 for item in ask(worker, length=50).items} == {0, 1, 2}
    assert ask(worker).items[1] == "i39"
    assert "i39" not in ask(worker, exclude=["i39"]).items
    assert "i39" not in ask(worker, category="c0").items
    made = ask(worker, scenario="cart")
    assert made.relaxed
    assert made.items
    assert worker.engine.rules.relaxed == {}


def test_a_request_may_exclude_a_thousand(worker: Worker):
    made = ask(worker, exclude=[*(f"x{n}" for n in range(960)), *ITEMS[:20]], anchors=ITEMS[20:30])
    assert set(made.items) <= set(ITEMS[30:])
    assert made.items


def test_a_scenario_that_there_is_not_is_named_in_one_sentence(worker: Worker):
    with pytest.raises(
        InputError, match=r"^There is no scenario 'checkout'; there are buy-again, cart, email"
    ):
        ask(worker, scenario="checkout")
