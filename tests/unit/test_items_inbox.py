"""Exchange messages that are taken in together: the same state as one by one, whatever is among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config import EngineConfig
from stream.engine import Engine
from stream.events.records import LogRecord
from stream.exchange import Exchange, Pairs, Touches, decode
from stream.items.unit import ItemUnit
from tests.exchange_writer import encode
from tests.unit.core_helpers import T0, Worker, event, item_counts, log, pair_weights

DAY_MS = 86_400_000
SAVED = ("views", "carts", "purchases", "last_ts_ms")


def unit(max_items: int = 4096, inactive_ms: int = 180 * DAY_MS) -> ItemUnit:
    return Engine(EngineConfig(max_items=max_items, inactive_ms=inactive_ms)).open_items(0, 1)


def sent(events: list[dict[str, Any]], every: int, sources: int = 2) -> list[bytes]:
    """The messages of a few workers, each the news of `every` events."""
    worker = Worker(sources)
    for source in range(sources):
        mine = log([fields for k, fields in enumerate(events) if k % sources == source])
        for start in range(0, len(mine), every):
            worker.feed(mine[start : start + every], source)
    return [record.value or b"" for record in worker.sent[0]]


def state(of: ItemUnit) -> tuple[Any, ...]:
    """Everything that is saved of a unit, by item's id, and what it has counted."""
    table = of.table
    members = sorted(of.members().tolist(), key=table.interner.name)
    rows = [table.rows[k] for k in members]
    kept = [
        (
            table.interner.name(k),
            *(row[name].item() for name in SAVED),
            row["viewed"]["shoppers"].tolist(),
        )
        for k, row in zip(members, rows, strict=True)
    ]
    return (
        kept, [float(row["popular"]) for row in rows], of.watermark, of.clock_ms, of.position, of.holes,
        of.repeated, of.pairs, of.touches, of.evicted, of.forgotten, of.bucket_size.tolist(),
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["view", "cart", "purchase"]), st.integers(0, 3), st.integers(0, 25),
            st.sampled_from([0, 1, 60_000, 40 * DAY_MS]),
        ),
        min_size=1, max_size=40,
    ),
    st.integers(1, 7), st.randoms(use_true_random=False),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_messages_that_come_together_do_what_they_do_one_by_one(moves, every, random):
    ts_ms, events = T0, []
    for kind, user, item, later_ms in moves:
        ts_ms += later_ms
        events.append(event(kind, f"u{user}", f"i{item}", ts_ms))
    values = sent(events, every)
    # A zombie's, a retry, a hole, an overlap, and what is no message at all.
    values += random.choices(values, k=3) + sent(events, every + 1) + [b"", b"STRX", b"hello"]
    random.shuffle(values)
    records = [LogRecord(k, T0, None, value) for k, value in enumerate(values)]
    together, apart = (unit(max_items=64, inactive_ms=30 * DAY_MS) for _ in range(2))
    refused = together.apply(records).refused
    again = [refused for record in records for refused in apart.apply([record]).refused]
    assert [r.record.offset for r in refused] == [r.record.offset for r in again]
    assert state(together) == state(apart)


def test_what_the_kernel_writes_is_what_python_writes():
    events = [
        event(kind, f"u{k % 5}", f"i{k * 7 % 23}", T0 + k, price=k / 4, quantity=k % 3 + 1)
        for k, kind in enumerate(["view", "cart", "purchase", "return"] * 30)
    ]
    values = sent(events, 11)
    assert len(values) > 10
    for value in values:
        assert encode(decode(value)) == value


def test_a_bucket_that_is_full_lets_go_of_the_same_items_however_messages_come():
    values = sent([event("view", f"u{k % 5}", f"i{k}", T0 + k) for k in range(1_500)], 50)
    records = [LogRecord(k, T0, None, value) for k, value in enumerate(values)]
    together, apart = unit(max_items=512), unit(max_items=512)
    together.apply(records)
    for record in records:
        apart.apply([record])
    assert together.evicted > 500
    assert state(together) == state(apart)


def test_a_source_beyond_all_before_gets_a_place():
    value = sent([event("view", "u", "i")], 1, 1)[0]
    of = unit()
    of.apply([LogRecord(0, T0, None, encode(decode(value)._replace(source=65_535)))])
    assert of.watermark == {65_535: 0}
    assert of.touches == 1


NOTHING = np.zeros(0, np.int64)
ONE = np.zeros(1, np.int64)
WRONG = {
    "event": Touches(np.array([1], "u4"), np.array([0], "u4"), np.array([1], "u1"), np.array([1], "i4"), ONE),
    "item": Touches(np.array([0], "u4"), np.array([1], "u4"), np.array([1], "u1"), np.array([1], "i4"), ONE),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_a_message_that_speaks_of_what_it_does_not_hold_is_refused(what):
    none = Pairs(*(NOTHING.astype(kind) for kind in ("u4", "u4", "u4", "u1")))
    value = encode(Exchange(0, -1, 0, ONE, ONE + T0, WRONG[what], none, b"a", 1))
    assert [refused.reason for refused in unit().apply([LogRecord(0, T0, None, value)]).refused] == [
        "not-an-exchange-message"
    ]


@pytest.mark.parametrize("n_names", [0, 1, 3])
def test_a_message_that_counts_its_names_wrong_is_refused(n_names):
    none = Pairs(*(NOTHING.astype(kind) for kind in ("u4", "u4", "u4", "u1")))
    touches = Touches(*(NOTHING.astype(kind) for kind in ("u4", "u4", "u1", "i4", "i8")))
    value = encode(Exchange(0, -1, 0, ONE, ONE + T0, touches, none, b"a\0b", n_names))
    good = encode(decode(sent([event("view", "u", "a")], 1, 1)[0]))
    of = unit()
    effects = of.apply([LogRecord(0, T0, None, value), LogRecord(1, T0, None, good)])
    assert len(effects.refused) == 1
    assert of.touches == 1


def test_counts_of_many_messages_are_those_of_their_events():
    events = [event("view", f"u{k % 7}", f"i{k % 11}", T0 + k) for k in range(300)]
    whole = Worker().run(log(events))
    worker = Worker()
    records = log(events)
    for start in range(0, 300, 3):
        worker.feed(records[start : start + 3])
    worker.deliver()
    assert item_counts(worker.engine) == item_counts(whole.engine)
    assert pair_weights(worker.engine) == pytest.approx(pair_weights(whole.engine), rel=1e-5)
