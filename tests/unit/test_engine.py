"""The engine on whole logs: what it counts, however the log is cut, split, repeated or replayed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import LayoutError, StreamError
from stream.events.records import LogRecord
from stream.exchange import decode
from tests.unit.core_helpers import (
    T0,
    Worker,
    assert_close,
    event,
    item_counts,
    lists,
    log,
    pair_weights,
    price_counts,
    reference,
    shopper_states,
)

ITEMS = ["ä", "b", "c-3", "d", "item/5", "f", "g", "h"]
STEPS = st.sampled_from([0, 1_000, 5_000, 60_000, 2_400_000, -90_000, 86_400_000])
MANY = settings(max_examples=25)


@st.composite
def shop_logs(draw: st.DrawFn, most: int = 40, resent: bool = True) -> list[dict[str, Any]]:
    """Random events of four shoppers on eight items; some are sent again later under their own id."""
    kinds = ["view"] * 4 + [
        "cart",
        "remove_from_cart",
        "purchase",
        "purchase",
        "return",
        "hide",
        "search",
        "like",
        "rating",
    ]
    out: list[dict[str, Any]] = []
    ts = T0
    for n in range(draw(st.integers(1, most))):
        ts += draw(STEPS)
        kind = draw(st.sampled_from(kinds))
        fields: dict[str, Any] = {"event_id": f"e{n}"}
        if draw(st.booleans()):
            fields["session_id"] = draw(st.sampled_from(["s1", "s2"]))
        if kind == "purchase":
            fields |= {"quantity": draw(st.integers(1, 3)), "order_id": draw(st.sampled_from(["o1", "o2"]))}
        if draw(st.booleans()):
            fields["price"] = draw(st.sampled_from([0.0, 9.99, 12.5]))
        if kind == "search":
            fields["query"] = "shoes"
        if kind == "rating":
            fields["rating"] = draw(st.sampled_from([1.0, 4.0]))
        item = None if kind == "search" else draw(st.sampled_from(ITEMS))
        out.append(event(kind, f"u{draw(st.integers(1, 4))}", item, ts, **fields))
        if resent and draw(st.integers(0, 5)) == 0:
            out.append(draw(st.sampled_from(out)))
    out.append(event("view", "last", "b", max(e["ts"] for e in out), event_id="last"))
    return out


def state_of(worker: Worker) -> tuple[Any, ...]:
    engine = worker.engine
    return shopper_states(engine), item_counts(engine), pair_weights(engine), price_counts(engine)


def assert_same_state(one: Worker, other: Worker) -> None:
    mine, yours = state_of(one), state_of(other)
    assert mine[0] == yours[0]
    assert mine[1] == yours[1]
    assert_close(mine[2], yours[2])
    assert_close(mine[3], yours[3])


@given(shop_logs(60))
@MANY
def test_counts_are_those_of_plain_dictionaries(events):
    worker = Worker(item_partitions=2).run(log(events))
    counts, pairs, prices, states = reference(events)
    assert shopper_states(worker.engine) == states
    assert item_counts(worker.engine) == counts
    assert_close(pair_weights(worker.engine), pairs)
    assert_close(price_counts(worker.engine), prices)


@given(shop_logs(), st.lists(st.integers(0, 40), max_size=8))
@MANY
def test_batches_do_not_matter(events, cuts):
    records = log(events)
    whole, cut = Worker(item_partitions=2).run(records), Worker(item_partitions=2).run(records, cuts)
    assert_same_state(whole, cut)
    for mine, yours in zip(whole.sent, cut.sent, strict=True):
        assert content(mine) == content(yours)


def content(records: list[LogRecord]) -> list[tuple[Any, ...]]:
    """All rows of some exchange messages, by source offset, with ids instead of numbers."""
    rows: list[tuple[Any, ...]] = []
    for record in records:
        message = decode(record.value or b"")
        names = message.names.split(b"\0")
        for e, item, code, quantity, price in zip(*message.touches, strict=True):
            rows.append((int(message.offset[e]), names[item], b"", int(code), int(quantity), int(price)))
        for e, item, other, code in zip(*message.pairs, strict=True):
            rows.append((int(message.offset[e]), names[item], names[other], int(code), 0, 0))
    return sorted(rows)


@given(shop_logs(resent=False), st.data())
@MANY
def test_an_event_that_is_sent_again_changes_nothing(events, data):
    plain = Worker().run(log(events))
    doubled = list(events)
    for _ in range(data.draw(st.integers(1, 8))):
        k = data.draw(st.integers(0, len(events) - 1))
        at = data.draw(st.integers(doubled.index(events[k]) + 1, len(doubled)))
        doubled.insert(at, events[k])
    assert_same_state(plain, Worker().run(log(doubled)))


@given(shop_logs(), st.sampled_from([1, 2, 8]), st.sampled_from([1, 2, 4]))
@MANY
def test_partitions_do_not_matter(events, item_partitions, sources):
    one = Worker().run(log(events))
    many = Worker(sources, item_partitions)
    shares: list[list[dict[str, Any]]] = [[] for _ in range(sources)]
    for fields in events:
        shares[sum(fields["user_id"].encode()) % sources].append(fields)
    for source, share in enumerate(shares):
        many.run(log(share), [7], source)
    assert_same_state(one, many)


@given(shop_logs(), shop_logs(), st.randoms(use_true_random=False))
@MANY
def test_sources_may_interleave_in_any_way(left, right, random):
    sums = []
    logs = [log(left), log([fields | {"user_id": "x" + fields["user_id"]} for fields in right])]
    for shuffled in (False, True):
        worker = Worker(2)
        for source, records in enumerate(logs):
            for start in range(0, len(records), 5):
                worker.feed(records[start : start + 5], source)
        if shuffled:
            queues: list[list[LogRecord]] = [[], []]
            for record in worker.sent[0]:
                queues[decode(record.value or b"").source].append(record)
            worker.sent[0] = []
            while any(queues):
                queue = random.choice([q for q in queues if q])
                worker.sent[0].append(queue.pop(0)._replace(offset=len(worker.sent[0])))
        worker.deliver()
        sums.append(worker)
    assert_same_state(*sums)


@given(shop_logs(), st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(0, 40), max_size=4))
@MANY
def test_two_senders_of_one_partition_count_once(events, cuts, others):
    records = log(events)
    expected = Worker().run(records)
    worker, zombie = Worker().run(records, cuts), Worker().run(records, others)
    # The zombie wakes up late and in between.
    worker.sent[0] += [
        record._replace(offset=len(worker.sent[0]) + k) for k, record in enumerate(zombie.sent[0])
    ]
    worker.deliver()
    assert_same_state(expected, worker)


def test_messages_of_two_senders_may_overlap():
    records = log([event("view", "u", item, T0 + k) for k, item in enumerate("abcabcab")])
    one, other = Worker().run(records, [2, 4, 6]), Worker().run(records, [3, 5])
    worker = Worker()
    mixed = [
        one.sent[0][0],
        other.sent[0][0],
        one.sent[0][1],
        other.sent[0][1],
        *one.sent[0][2:],
        other.sent[0][2],
    ]
    worker.engine.items(0, [record._replace(offset=k) for k, record in enumerate(mixed)], T0)
    assert item_counts(worker.engine) == item_counts(one.engine)
    assert_close(pair_weights(worker.engine), pair_weights(one.engine))


def test_a_hole_is_not_applied_and_heals_when_its_sender_sends_again():
    records = log([event("view", "u", item, T0 + k) for k, item in enumerate("abcd")])
    sender = Worker().run(records, [1, 2, 3])
    receiver = Worker()
    messages = [record._replace(offset=k) for k, record in enumerate(sender.sent[0])]
    receiver.engine.items(0, [messages[0], messages[2]], T0)
    assert item_counts(receiver.engine).keys() == {"a"}
    assert receiver.engine.metrics.holes == 1
    receiver.engine.items(0, [record._replace(offset=10 + k) for k, record in enumerate(messages)], T0)
    assert item_counts(receiver.engine) == item_counts(sender.engine)


@given(shop_logs(), st.data())
@MANY
def test_a_unit_that_moved_goes_on_as_if_it_had_stayed(events, data):
    """Replay in other batches than those that were sent, then live: no hole, nothing twice."""
    records = log(events)
    at = data.draw(st.integers(0, len(records)))
    cuts = data.draw(st.lists(st.integers(0, max(at - 1, 0)), max_size=6))
    stayed = Worker(item_partitions=4).run(records)
    moved = Worker(item_partitions=4).run(records[:at], cuts)
    moved.engine.close_shoppers(0)
    moved.engine.open_shoppers(0, 1)
    again = data.draw(st.sampled_from([1, 3, 1000]))
    for start in range(0, at, again):
        moved.feed(records[start : min(start + again, at)], silent=True)
    for record in records[at:]:
        moved.feed([record])
        moved.deliver()
    assert moved.engine.metrics.holes == 0
    assert_same_state(stayed, moved)


def test_replay_sends_nothing():
    worker = Worker()
    effects = worker.feed(log([event("view", "u", "a"), event("view", "u", "b")]), silent=True)
    assert not effects.values
    assert not effects.messages
    assert worker.engine.metrics.events == 0


def test_an_item_unit_that_is_replayed_is_what_it_was():
    worker = Worker().run(log([event("view", "u", item, T0 + k) for k, item in enumerate("abcabc")]), [2, 4])
    before = state_of(worker)
    worker.engine.close_items(0)
    assert not item_counts(worker.engine)
    worker.engine.open_items(0, 1)
    worker.engine.items(0, worker.sent[0], T0, silent=True)
    assert state_of(worker)[1] == before[1]
    assert_close(state_of(worker)[2], before[2])


def test_a_unit_opened_again_starts_empty():
    worker = Worker().run(log([event("view", "u", item, T0 + k) for k, item in enumerate("abc")]))
    worker.engine.open_items(0, 2)
    worker.engine.items(0, worker.sent[0], T0)
    assert item_counts(worker.engine) == {name: (1, 0, 0, 0, 0) for name in "abc"}


def test_a_batch_for_a_unit_that_is_not_open_says_so():
    with pytest.raises(StreamError, match="partition 3 of events was not opened"):
        Worker().engine.shoppers(3, [], T0)


def test_versions_rise_with_offsets_and_have_one_width():
    worker = Worker().run(log([event("view", f"u{k % 3}", item, T0 + k) for k, item in enumerate("abcdef")]))
    worker.talk()
    seen: dict[str, str] = {}
    for k in range(6, 30):
        for user, value in lists(worker.feed(log([event("view", f"u{k % 3}", "abcdef"[k % 6], T0 + k)], k))):
            assert len(value["version"]) == 30
            assert value["version"] > seen.get(user, "")
            assert int(value["version"].split("-")[1]) == k
            seen[user] = value["version"]
    assert len(seen) == 3


def test_a_list_that_was_owed_never_follows_a_newer_one():
    worker = Worker()
    worker.feed(log([event("view", "u", "a")]))
    others = [event("view", "v", item, T0 + k) for k, item in enumerate("abab", 1)]
    worker.run(log(others, 1))
    versions = [
        value["version"]
        for user, value in lists(worker.feed(log([event("view", "u", "a")], 9)))
        if user == "u"
    ]
    for values in worker.talk():
        if values.kind == "recs":
            versions += [
                msg[12:42].decode()
                for name, msg in zip(values.ids, values.values, strict=True)
                if name == b"u"
            ]
    assert versions
    assert versions == sorted(set(versions))


def test_a_first_list_follows_once_something_is_known():
    worker = Worker()
    made = lists(worker.feed(log([event("view", "new", "a"), event("view", "other", "b")])))
    assert [(name, value["items"]) for name, value in made] == [("other", ["a"])]
    worker.deliver()
    published = {name for values in worker.talk() if values.kind == "recs" for name in values.ids}
    assert published == {b"new"}


@pytest.mark.parametrize("request_id", ["1-²", "1-", "-", "²", "1-" + "9" * 120, "\u0661-\u0661"])
def test_a_strange_request_id_harms_nobody(request_id):
    worker = Worker().run(log([event("view", "u", item, T0 + k) for k, item in enumerate("abcabc")]))
    worker.talk()
    worker.feed(log([event("view", "u", "a", T0 + 10)], 10))
    shown = [{"item_id": "b", "position": 0}]
    effects = worker.feed(log([event("impression", "u", ts=T0 + 11, items=shown, request_id=request_id)], 11))
    assert not effects.refused


@pytest.mark.parametrize("topic", ["models", "prices", "aggregates"])
@pytest.mark.parametrize("value", [b"junk", b"{}", b'{"layout": 99, "kind": "tree"}'])
def test_a_control_message_that_nobody_understands_is_refused_not_fatal(topic, value):
    key = {"models": b"ranking", "prices": b"item", "aggregates": b"popular:0"}[topic]
    assert Worker().engine.control(topic, key, value)


def test_an_exchange_message_of_a_newer_layout_stops_the_worker_with_a_sentence():
    worker = Worker().run(log([event("view", "u", "a")]))
    value = bytearray(worker.sent[0][0].value or b"")
    value[4] = 2
    with pytest.raises(LayoutError, match="upgrade this worker"):
        worker.engine.items(0, [LogRecord(5, T0, None, bytes(value))], T0)


@pytest.mark.parametrize("value", [None, b"", b"hello", b"STRX", b"x" * 100])
def test_bytes_that_are_no_exchange_message_are_refused(value):
    effects = Worker().engine.items(0, [LogRecord(0, T0, None, value)], T0)
    assert [refused.reason for refused in effects.refused] == ["not-an-exchange-message"]


def test_a_cut_exchange_message_is_refused():
    value = Worker().run(log([event("view", "u", "a"), event("view", "u", "b")])).sent[0][0].value or b""
    for size in range(len(value)):
        effects = (
            Worker().engine.items(0, [LogRecord(0, T0, None, value[:size])], T0) if size % 7 == 0 else None
        )
        assert effects is None or len(effects.refused) == 1


def test_ever_new_items_never_stop_the_engine():
    worker = Worker(max_items=1024)
    for k in range(0, 12_000, 100):
        events = [event("view", f"u{n % 7}", f"item{n}", T0 + n * 1_000) for n in range(k, k + 100)]
        worker.run(log(events, k))
        worker.engine.tick(T0 + k * 1_000)
    assert worker.engine.table.rows["owned"].sum() <= 1024
    assert "item11999" in item_counts(worker.engine)


SCRIPT = """
import sys
sys.path.insert(0, ".")
from tests.unit.core_helpers import *
w = Worker(item_partitions=3)
w.run(log([event("view", f"u{k*7%11}", f"i{k*k%13}", T0 + k*900) for k in range(300)]), [50, 120])
out = lists(Effects(values=w.talk()), "trending")
out += lists(w.feed(log([event("view", f"u{k}", f"i{k}", T0 + 300_000) for k in range(11)], 300)))
print(hash(str) != 0, repr(out))
"""


def test_another_process_makes_the_same_lists():
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "77")
    ]  # fmt: skip
    assert runs[0] == runs[1]
    assert "'items'" in runs[0]


def test_numbers_of_items_never_decide():
    """The same log on workers that met the items in another order: the same lists."""
    events = [event("view", f"u{k % 5}", f"i{k % 40:02}", T0 + k) for k in range(400)]
    names = [f"i{k:02}" for k in range(40)]
    made = []
    for order in (names, names[::-1]):
        worker = Worker()
        for name in order:
            worker.engine.table.interner.intern_one(name.encode())
        worker.run(log(events))
        values = worker.talk()
        made.append(
            [(v.kind, sorted(zip(v.ids, v.values, strict=True))) for v in values]
            + [
                lists(worker.feed(log([event("view", "z", f"i{k:02}", T0 + 500)], 400 + k)))
                for k in range(40)
            ]
        )
    assert made[0] == made[1]
