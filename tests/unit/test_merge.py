"""A visitor who logs in: what was known of the one is known of the other, once, and nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.effects import Effects, Message
from stream.events.records import LogRecord
from stream.runtime.scenarios import load
from stream.shoppers.merge import LEFT, take_over
from stream.shoppers.row import RECENT, SHOPPER
from stream.shoppers.unit import LOGINS_KEY
from tests.unit.core_helpers import MINUTE_MS, T0, Worker, event, items_of, lists, log, shopper_states

OF = {"anna": 0, "anon": 1, "7": 0}


class Shop:
    """A worker with two partitions of events: Anna's, and that of whom she was before she logged in."""

    def __init__(self, **config: Any) -> None:
        self.worker = Worker(sources=2, **config)
        self.logs: list[list[LogRecord]] = [[], []]
        self.follow: list[Message] = []

    def say(self, kind: str, user: str, item: str | None = None, **fields: Any) -> Effects:
        """One event, to the partition of its shopper."""
        mine = self.logs[OF[user]]
        n = len(mine)
        fields.setdefault("event_id", f"{user}{n}")
        fields.setdefault("ts", T0 + 1_000 * sum(map(len, self.logs)))
        return self._push(log([event(kind, user, item, **fields)], n))

    def _push(self, records: list[LogRecord]) -> Effects:
        key = records[0].key
        assert key is not None
        partition = OF[key.decode()]
        self.logs[partition] += records
        effects = self.worker.feed(records, partition)
        self.follow += [m for m in effects.messages if m.topic == "events"]
        self.worker.deliver()
        return effects

    def settle(self) -> Effects:
        """What the worker writes to `events` reaches `events`; the last effects."""
        effects = Effects()
        while self.follow:
            message = self.follow.pop(0)
            assert message.key is not None
            offset = len(self.logs[OF[message.key.decode()]])
            effects = self._push([LogRecord(offset, T0 + MINUTE_MS, message.key, message.value)])
        return effects

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """All that is known of everybody."""
        return shopper_states(self.worker.engine)


def browse(shop: Shop) -> None:
    """Anna was here before, and looks around again without saying who she is."""
    shop.say("view", "anna", "old")
    shop.say("purchase", "anna", "ring", order_id="1")
    for item in ("a", "b"):
        shop.say("view", "anon", item, session_id="s")
    shop.say("purchase", "anon", "b", session_id="s", order_id="2", quantity=2)
    shop.say("hide", "anon", "c", session_id="s")


def test_a_shopper_who_goes_on_in_a_visitors_session_is_that_visitor():
    shop = Shop()
    for item in ("a", "b"):
        shop.say("view", "anon", item, session_id="anon")
    shop.say("view", "anna", "c", session_id="anon")
    told = [m for m in shop.follow if m.topic == "events"]
    shop.settle()
    assert set(shop.states) == {"anna"}
    assert shop.states["anna"]["window"] == ["c", "b", "a"]
    assert len(told) == 1
    # Said once a session; and `identify` on top of it changes nothing.
    before = shop.states
    shop.say("view", "anna", "c", session_id="anon")
    assert not shop.follow
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    assert shop.states["anna"]["window"] == before["anna"]["window"]


def test_an_id_that_happens_to_be_a_sessions_is_nobodys_visitor():
    """Shoppers and sessions are numbered from 1 in many a shop."""
    shop = Shop()
    shop.worker.engine.control("aggregates", LOGINS_KEY, b"{}")
    shop.say("view", "anon", "a", session_id="7")
    shop.say("view", "anna", "c", session_id="anon")
    shop.settle()
    assert set(shop.states) == {"anna", "anon"}


def test_where_nobody_comes_under_a_sessions_id_nothing_is_asked():
    shop = Shop()
    shop.say("view", "anon", "a", session_id="s1")
    shop.say("view", "anna", "c", session_id="s2")
    assert not shop.follow
    assert not shop.worker.engine.logins
    effects = shop.say("view", "anon", "a", session_id="anon")
    told = [(m.key, m.value) for m in effects.messages if m.topic == "aggregates"]
    assert told == [(LOGINS_KEY, b"{}")]
    other = Worker()
    assert other.engine.control("aggregates", *told[0]) is None
    assert other.engine.logins
    assert other.engine.shopper_units[0].logins
    assert other.engine.open_shoppers(0, 2).logins


def test_a_login_is_known_by_headers_and_batches_as_well():
    shop = Shop()
    shop.worker.engine.control("aggregates", LOGINS_KEY, b"{}")
    shop.say("view", "anon", "a", session_id="anon")
    value = b'{"ts":%d,"item_id":"c","session_id":"anon"}' % (T0 + 5_000)
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"h1"), ("ce_type", b"view"), ("ce_subject", b"anna")]
    bad = LogRecord(0, T0, b"anna", b"{")
    good = LogRecord(1, T0 + 5_000, b"anna", value, headers)
    shop._push([bad, good])
    shop.settle()
    assert shop.states["anna"]["window"] == ["c", "a"]


def test_the_visitors_cart_is_the_shoppers_at_once_and_so_is_what_goes_with_it():
    shop = Shop(scenarios=load())
    browse(shop)
    shop.say("cart", "anon", "d", session_id="s")
    shop.say("identify", "anna", session_id="anon")
    ((user, cart),) = lists(shop.settle(), "recs-cart")
    assert user == "anna"
    assert not {"d", "ring", "b", "c"} & set(cart["items"])
    assert cart["items"]


def test_what_a_visitor_did_is_the_shoppers_after_login():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    effects = shop.settle()
    assert set(shop.states) == {"anna"}
    anna = shop.states["anna"]
    assert anna["recent"] == ["b", "a", "ring", "old"]
    assert anna["window"] == ["b", "a"]
    assert (anna["bought"], anna["hidden"]) == (["b", "ring"], ["c"])
    assert anna["events"] == 2 + 1 + 4 + 1
    assert shop.worker.engine.metrics.shoppers_merged == 1
    assert "c" not in items_of(effects, "anna")


def test_the_session_goes_on_where_the_visitor_was():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.say("view", "anna", "d", session_id="anon")
    shop.settle()
    shop.say("view", "anna", "e", session_id="anon")
    assert shop.states["anna"]["window"] == ["e", "d", "b", "a"]


def test_a_visitors_session_that_is_over_is_not_the_shoppers():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.say("view", "anna", "d", session_id="another")
    shop.settle()
    assert shop.states["anna"]["window"] == ["d"]
    assert shop.states["anna"]["recent"] == ["d", "b", "a", "ring", "old"]


def test_the_same_news_again_changes_nothing():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    once = shop.states
    for records in [list(of) for of in shop.logs]:
        for record in records:
            assert record.key is not None
            again = record._replace(offset=len(shop.logs[OF[record.key.decode()]]))
            shop._push([again])
    written = [message.value for message in shop.follow]
    assert len(written) == 1, "the claim, by the identify that came again"
    shop.settle()
    assert shop.states == once


def test_what_a_worker_writes_twice_because_it_died_counts_once():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    once = shop.states
    successor = Worker(sources=2)
    again = [m for p, of in enumerate(list(shop.logs)) for m in successor.feed(of, p).messages]
    shop.follow = [m for m in again if m.topic == "events"]
    assert len(shop.follow) == 2
    shop.settle()
    assert shop.states == once


def test_whoever_comes_back_after_logging_out_is_somebody_new():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    shop.say("view", "anon", "z")
    states = shop.states
    assert states["anon"] == {
        "events": 1,
        "recent": ["z"],
        "window": ["z"],
        "basket": [],
        "bought": [],
        "hidden": [],
    }
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    assert shop.states["anna"]["recent"][:3] == ["b", "a", "z"]


def test_a_login_of_nobody_known_or_of_oneself_changes_little():
    shop = Shop()
    shop.say("view", "anna", "a")
    shop.say("identify", "anna", session_id="anna")
    assert shop.follow == []
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    assert set(shop.states) == {"anna"}
    assert shop.states["anna"]["recent"] == ["a"]
    assert shop.worker.engine.metrics.shoppers_merged == 0


def test_a_crowd_behind_one_id_is_nobodys():
    shop = Shop()
    for k in range(1_001):
        shop.say("view", "anon", f"i{k % 7}", ts=T0)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    assert shop.states["anon"]["events"] == 1_001
    assert shop.states["anna"]["recent"] == []


@pytest.mark.parametrize("partition", [0, 1])
def test_a_unit_that_is_replayed_is_what_it_was_and_says_nothing(partition: int):
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    before = shop.states
    shop.worker.engine.open_shoppers(partition, 1)
    effects = shop.worker.feed(shop.logs[partition], partition, silent=True)
    assert not effects.messages
    assert shop.states == before


@pytest.mark.parametrize("step", [1, 3])
def test_batches_do_not_matter(step: int):
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    other = Worker(sources=2)
    for partition, records in enumerate(shop.logs):
        for at in range(0, len(records), step):
            other.feed(records[at : at + step], partition)
    assert shopper_states(other.engine) == shop.states


def test_nothing_of_a_forgotten_visitor_is_left_for_the_next_one():
    """The row's number is given to somebody else: not a byte of it may say what was before."""
    shop = Shop()
    browse(shop)
    for k in range(RECENT + 5):
        shop.say("view", "anon", f"i{k}", session_id="s")
    shop.say("identify", "anna", session_id="anon")
    shop.settle()
    rows = shop.worker.engine.shopper_units[1].state.rows[:8]
    for field in set(rows.dtype.names or ()) - {"bucket"}:
        assert not rows[field].any(), field


@pytest.mark.parametrize("field", ["viewed", "seen", "hidden"])
def test_an_id_with_a_control_character_is_refused(field: str):
    fields: dict[str, Any] = {
        "session_id": "s", "events": 1, "viewed": [], "in_session": 0, "seen": [], "bought": [], "hidden": [],
    }  # fmt: skip
    worker = Worker()
    effects = worker.feed(log([event("inherit", "anna", **fields | {field: ["a\0b"]})]))
    assert [refused.reason for refused in effects.refused] == ["invalid-field"]


ITEMS = st.lists(st.integers(1, 14), unique=True, max_size=RECENT)


@settings(max_examples=300, deadline=None)
@given(ITEMS, st.integers(0, RECENT), ITEMS, st.integers(0, RECENT), st.booleans())
def test_windows_merge_as_lists_do(mine, inside, theirs, in_theirs, same):
    inside, in_theirs = min(inside, len(mine)), min(in_theirs, len(theirs))
    row, left = np.zeros(1, SHOPPER), np.zeros(1, LEFT)
    row["recent"][0, : len(mine)], row["in_session"] = mine, inside
    left["viewed"][0, : len(theirs)], left["in_session"] = theirs, in_theirs
    take_over(row[0], left[0], same)
    session, rest = mine[:inside], mine[inside:]
    new = [item for item in theirs if item not in session]
    whole = [*session, *new, *(item for item in rest if item not in new)]
    assert row["recent"][0].tolist() == (whole + [0] * RECENT)[:RECENT]
    joined = len([item for item in theirs[:in_theirs] if item not in session]) if same else 0
    assert row["in_session"][0] == min(inside + joined, RECENT)
    seen = set(row["seen"][0].tolist()) - {0}
    assert set(whole[RECENT:]) <= seen <= set(mine) | set(theirs)


def test_a_pipeline_carries_it_through():
    from stream.config import EngineConfig
    from stream.pipeline import Pipeline

    pipeline = Pipeline(EngineConfig(max_items=64, max_shoppers=64))
    pipeline.push(log([event("view", "anon", "a"), event("identify", "anna", session_id="anon")]), T0)
    assert shopper_states(pipeline.engine)["anna"]["recent"] == ["a"]
    assert "anon" not in shopper_states(pipeline.engine)


def test_what_is_written_is_an_event_of_the_contract():
    shop = Shop()
    browse(shop)
    shop.say("identify", "anna", session_id="anon")
    written = []
    while shop.follow:
        message = shop.follow[0]
        written.append(msgspec.json.decode(message.value))
        shop._push([LogRecord(len(shop.logs[OF[written[-1]["user_id"]]]), T0, message.key, message.value)])
        shop.follow.pop(0)
    assert [(of["type"], of["user_id"]) for of in written] == [("claim", "anon"), ("inherit", "anna")]
    assert written[1]["bought"] == [{"item_id": "b", "quantity": 2}]
