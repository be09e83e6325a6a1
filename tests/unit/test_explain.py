"""Why an item is in a list, or is not: what is said is what ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.explanation import Explained, explain
from stream.learn.learner import Learner
from stream.learn.model import pack_snapshot
from stream.recommend.features import FEATURES, N_CONTEXTS, N_FEATURES
from stream.recommend.network import SIZE
from tests.unit.core_helpers import T0, Worker, event, items_of, log, shopper_states

NOW_MS = T0 + 50_000


def walk(shoppers: int = 30) -> list[dict[str, Any]]:
    """Shoppers who look at a few of forty items, the first ones most."""
    random = np.random.default_rng(5)
    return [
        event("view", f"u{user}", f"i{int(40 * random.random() ** 2)}", T0 + 100 * user + k)
        for user in range(shoppers)
        for k in range(8)
    ]


@pytest.fixture
def worker() -> Worker:
    worker = Worker().run(log(walk()), [100])
    worker.talk()
    return worker


def told(worker: Worker, user: str, item: str) -> Explained:
    found = explain(worker.engine, 0, user, item, NOW_MS)
    assert found is not None
    return found


def put_a_model_in_force(worker: Worker) -> None:
    """One whose order is published, with a weight of its own for every feature, and a network."""
    snapshot, random = Learner().snapshot(), np.random.default_rng(1)
    assert snapshot.network is not None
    weights = random.normal(size=(N_CONTEXTS, N_FEATURES)).round(3).tolist()
    layer = msgspec.structs.replace(
        snapshot.network, weights=random.normal(size=SIZE).round(3).tolist(), refines=True
    )
    value = pack_snapshot(msgspec.structs.replace(snapshot, weights=weights, network=layer, active=True))
    assert worker.engine.control("models", b"ranking", value) is None


def look(worker: Worker, user: str, *items: str, at: int = 1_000) -> list[str]:
    """The list after these views."""
    views = [event("view", user, item, T0 + 10_000 + k) for k, item in enumerate(items)]
    return items_of(worker.feed(log(views, at)), user)


def put(worker: Worker, item: str, **facts: Any) -> None:
    value = json.dumps({"item_id": item} | facts).encode()
    assert worker.engine.control("items", item.encode(), value) is None


def say(worker: Worker, key: str, **rule: Any) -> None:
    assert worker.engine.control("rules", key.encode(), json.dumps(rule).encode()) is None


# -- what is said is what ranks --------------------------------------------------------------------------


@pytest.mark.parametrize("model", [False, True])
def test_the_list_and_every_place_in_it_are_those_that_are_published(worker, model):
    if model:
        put_a_model_in_force(worker)
    published = look(worker, "me", "i0", "i3", "i1")
    found = [told(worker, "me", item) for item in published]
    assert all(one.items == published for one in found)
    assert [one.place for one in found] == list(range(1, len(published) + 1))
    assert [one.model_place if model else one.plain_place for one in found] == [one.place for one in found]
    assert {one.why for one in found} == {None}
    assert any(one.sentence and one.because in ("i0", "i3", "i1") for one in found) or model


def test_the_products_add_up_to_the_total_that_ranks(worker):
    put_a_model_in_force(worker)
    published = look(worker, "me", "i0", "i3", "i1")
    totals: list[float] = []
    added: list[float] = []
    for item in published:
        one = told(worker, "me", item)
        assert sorted(f.name for f in one.features) == sorted(FEATURES)
        assert all(f.product == pytest.approx(f.value * f.weight) for f in one.features)
        added.append(one.added or 0.0)
        assert sum(f.product for f in one.features) + (one.added or 0.0) == pytest.approx(one.total)
        totals.append(float(one.total or 0.0))
    assert totals == sorted(totals, reverse=True)
    assert len(set(added)) > 1
    last = told(worker, "me", published[-1])
    assert last.ahead == 0.0
    assert told(worker, "me", published[0]).ahead == pytest.approx(totals[0] - totals[-1])


def test_looking_changes_nothing(worker):
    published = look(worker, "me", "i0", "i3")
    before = shopper_states(worker.engine), worker.engine.table.rows.tobytes()
    used = worker.engine.table.interner.used
    for item in (*published, "i0", "nothing"):
        told(worker, "me", item)
    assert (shopper_states(worker.engine), worker.engine.table.rows.tobytes()) == before
    assert worker.engine.table.interner.used == used
    assert not worker.engine.table.facts.mark.any()


# -- why not ---------------------------------------------------------------------------------------------


def test_what_is_looked_at_or_hidden_or_withdrawn_says_so(worker):
    look(worker, "me", "i0", "i3")
    worker.feed(log([event("hide", "me", "i1", T0 + 11_000)], 2_000))
    put(worker, "i2", stock=0)
    why = {item: told(worker, "me", item).why for item in ("i3", "i1", "i2")}
    assert why["i3"] == "the shopper looks at it now"
    assert why["i1"] == "the shopper hid it, or rated it low"
    assert str(why["i2"]).startswith("it is withdrawn")


def test_what_nothing_leads_to_says_so(worker):
    look(worker, "me", "i0")
    worker.feed(log([event("return", "somebody", "lonely", T0)], 2_000))
    lonely, never = told(worker, "me", "lonely"), told(worker, "me", "never")
    assert str(lonely.why).startswith("no source proposes it")
    assert (lonely.features, lonely.total, lonely.unknown) == ([], None, False)
    assert never.unknown


def test_the_rule_that_removed_an_item_is_named(worker):
    first, second, *_ = look(worker, "me", "i0", "i3")
    put(worker, first, category="old")
    put(worker, "brand-new")
    say(worker, "no-old", kind="exclude", where={"attribute": "category", "is": "old"})
    say(worker, "secret", kind="hide", item=second)
    say(worker, "top", kind="pin", item="brand-new", position=1)
    excluded, hidden = told(worker, "me", first), told(worker, "me", second)
    assert (excluded.place, excluded.why) == (None, "the rule no-old removed it")
    assert (excluded.plain_place, hidden.plain_place) == (1, 2)
    assert (hidden.place, hidden.why) == (None, "the shop's rules leave it out: hidden")
    pinned = told(worker, "me", "brand-new")
    assert (pinned.place, pinned.reason, pinned.sentence) == (1, "pinned", "chosen by the shop")
    assert [(effect.rule, effect.effect) for effect in pinned.rules] == [("top", "pinned")]


def test_a_rotation_is_told_with_its_factor(worker):
    first, *_ = look(worker, "me", "i0", "i3")
    say(worker, "turn", kind="rotate", after=1, factor=0.5)
    assert not told(worker, "me", first).rules
    shown = [{"item_id": first, "position": 0}]
    worker.feed(log([event("impression", "me", ts=T0 + 1, items=shown)], 2_500))
    (effect,) = told(worker, "me", first).rules
    assert (effect.rule, effect.effect, effect.factor) == ("turn", "lowered", 0.5)


def test_a_shopper_whom_nobody_knows_has_no_explanation(worker):
    assert explain(worker.engine, 0, "nobody", "i0", NOW_MS) is None


# -- the command -----------------------------------------------------------------------------------------


def asked(tmp_path: Path, *arguments: str) -> Any:
    path = tmp_path / "events.jsonl"
    events = [{"event_id": f"e{n}"} | one for n, one in enumerate(walk())]
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    return CliRunner().invoke(app, ["explain", *arguments, "--events", str(path)])


def test_a_log_is_explained_without_kafka(tmp_path):
    answer = json.loads(asked(tmp_path, "u3", "i0", "--json").stdout)
    assert (answer["user_id"], answer["item_id"], answer["unknown"]) == ("u3", "i0", False)
    assert answer["as_of"] == "the end of events.jsonl"
    first = answer["items"][0]
    page = asked(tmp_path, "u3", first).stdout
    for part in ("place in the list", "what each source says of it", "co-occurrence", "log_popular"):
        assert part in page


@pytest.mark.parametrize(("shopper", "item"), [("nobody", "i0"), ("u3", "nothing")])
def test_who_or_what_is_unknown_is_one_sentence(tmp_path, shopper, item):
    answer = asked(tmp_path, shopper, item)
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("Nothing is known of ")
