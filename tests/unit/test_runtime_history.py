"""A file and a log that overlap: every event counts once, from one of them."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config import EngineConfig
from stream.engine import Engine
from stream.events.decode import Bounds
from stream.events.records import LogRecord
from stream.events.types import AnyEvent
from stream.items.row import BUCKETS
from stream.runtime.held import Held, ids_of
from stream.runtime.history import History
from stream.runtime.kafka_sink import partition_of
from stream.runtime.sole_worker import SoleWorker
from stream.runtime.topics import EVENTS, ITEM_UPDATES
from stream.saving import whole
from stream.state import bucket as saved
from tests.unit.core_helpers import (
    T0,
    assert_close,
    event,
    item_counts,
    log,
    pair_weights,
    price_counts,
    reference,
    shopper_states,
)
from tests.unit.test_saved import shop

PARTITIONS = 3
CONFIG = EngineConfig(item_partitions=PARTITIONS, max_items=4096, max_shoppers=4096)
EMPTY = {(log, partition): 0 for log in (EVENTS, ITEM_UPDATES) for partition in range(PARTITIONS)}


def typed(fields: dict[str, Any]) -> AnyEvent:
    found: AnyEvent = msgspec.convert(fields, AnyEvent)
    return found


def with_ids(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"event_id": f"e{n}"} | fields for n, fields in enumerate(events)]


def history(events: list[dict[str, Any]], held: Held, until_ms: int | None = None) -> tuple[History, Engine]:
    engine = Engine(CONFIG)
    past = History(engine, PARTITIONS, held, until_ms)
    assert [past.add(typed(fields)) for fields in events] == [[] for _ in events]
    assert past.flush() == []
    return past, engine


def stored(engine: Engine) -> Engine:
    """The engine of a worker that begins with this state, in front of the log."""
    ends = dict.fromkeys(range(PARTITIONS), -1)
    new = Engine(CONFIG)
    for partition in range(PARTITIONS):
        new.open_items(partition, 7)
        new.open_shoppers(partition, 7)
        for units, restore in (
            (engine.item_units, new.restore_items),
            (engine.shopper_units, new.restore_shoppers),
        ):
            values = [saved.moved(m.value, 7, -1, ends) for m in whole(units[partition])]
            assert len(values) == BUCKETS
            assert restore(partition, values) == 0
    return new


def live(engine: Engine, records: list[LogRecord]) -> None:
    worker = SoleWorker(engine, PARTITIONS, EMPTY)
    for record in records:
        worker.events(partition_of(record.key or b"", PARTITIONS), [record])


def test_events_at_or_after_the_time_named_are_left_to_the_log():
    events = with_ids([event("view", "u", "a", T0 + n) for n in range(10)])
    past, engine = history(events, Held(), T0 + 4)
    assert (past.counted, past.after_until, past.in_log) == (4, 6, 0)
    assert item_counts(engine) == {"a": (4, 0, 0, 0, 0)}
    past, _ = history(events, Held([ids_of(log(events[:2]), Bounds())], T0 + 7), T0 + 4)
    assert (past.counted, past.after_until, past.in_log) == (2, 6, 2)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.sets(st.integers(0, 199)), st.integers(0, 200))
def test_what_the_log_holds_counts_from_the_log_and_all_else_from_the_file(
    seed: int, in_log: set[int], only_live: int
):
    """Whatever of the file is in the log, and whatever came after it."""
    events = with_ids([fields for n, fields in enumerate(shop(seed, 220)) if n % 10 != 9])
    only_live = min(only_live, len(events))
    file = events[:only_live]
    logged = [events[n] for n in sorted(in_log) if n < only_live] + events[only_live:]
    records = log(logged)
    past, engine = history(file, Held([ids_of(records, Bounds())], T0))
    assert past.in_log == len(logged) - (len(events) - only_live)
    assert past.counted == len(events) - len(logged)
    new = stored(engine)
    live(new, records)
    assert new.metrics.duplicates == 0
    names = {fields["event_id"] for fields in logged}
    counts, pairs, prices, shoppers = reference([f for f in file if f["event_id"] not in names] + logged)
    assert item_counts(new) == counts
    assert shopper_states(new) == shoppers
    assert_close(pair_weights(new), pairs)
    assert_close(price_counts(new), prices)


def test_an_event_that_the_file_held_and_the_log_gets_later_counts_once():
    events = with_ids([fields for n, fields in enumerate(shop(3, 200)) if n % 10 != 9])
    new = stored(history(events, Held())[1])
    before = item_counts(new)
    live(new, log(events[-50:]))
    assert item_counts(new) == before
    assert new.metrics.duplicates == 50


def test_the_same_event_id_of_another_shopper_is_another_event():
    records = log([event("view", "u", "a", event_id="1")])
    held = Held([ids_of(records, Bounds())], T0)
    assert held.has(["u", "v", "u"], ["1", "1", "2"]).tolist() == [True, False, False]
    assert len(held) == 1


def test_what_a_worker_would_refuse_in_the_log_is_left_to_nobody():
    good = log([event("view", "u", "a")])[0]
    unkeyed = good._replace(key=None)
    broken = good._replace(value=b"{}")
    early = good._replace(timestamp=T0 - 86_400_000)
    for record, count in ((good, 1), (unkeyed, 1), (broken, 0), (early, 0), (good._replace(value=None), 0)):
        assert len(ids_of([record], Bounds())) == count


def test_events_from_the_future_are_refused_with_their_bytes():
    past = History(Engine(CONFIG), PARTITIONS, Held())
    assert past.add(typed(event("view", "u", "a", 4_000_000_000_000, event_id="x"))) == []
    (refused,) = past.flush()
    assert refused.reason == "from-the-future"
    assert msgspec.json.decode(refused.record.value or b"")["event_id"] == "x"
    assert past.counted == 0
