"""State moved into another number of partitions is the same state, and goes on as if it had been there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import StateError, StreamError
from stream.events.records import LogRecord
from stream.items.row import BUCKETS
from stream.repartition import move_items, move_shoppers
from stream.runtime.backup import Unit
from stream.runtime.kafka_sink import partition_of
from stream.saving import whole
from stream.shoppers.duplicates import FULL, OLD_MOST
from stream.shoppers.saved import merged_seen
from stream.state import bucket as saved
from stream.state.bucket import Bucket
from tests.unit.core_helpers import (
    Worker,
    assert_close,
    item_counts,
    pair_weights,
    price_counts,
    shopper_states,
)
from tests.unit.test_saved import shop

MOVES = {"shoppers": move_shoppers, "items": move_items}
Values = dict[tuple[str, int, int], bytes]
"""Saved buckets by stage, partition and number."""


def fed(worker: Worker, events: Sequence[dict[str, Any]], partitions: int, first: int = 0) -> Worker:
    """Every event in the partition of its shopper, at an offset of its number in all."""
    for n, fields in enumerate(events, first):
        key = fields["user_id"].encode()
        value = msgspec.json.encode({"event_id": f"e{n}", **fields})
        worker.feed([LogRecord(n, fields["ts"], key, value)], partition_of(key, partitions))
    worker.deliver()
    return worker


def state_of(worker: Worker) -> Values:
    units: list[Unit] = [*worker.engine.shopper_units.values(), *worker.engine.item_units.values()]
    return {
        (unit.stage, unit.partition, bucket): message.value
        for unit in units
        for bucket, message in enumerate(whole(unit))
    }


def moved(values: Values, before: int, after: int) -> tuple[Values, int]:
    found: Values = {}
    forgotten = 0
    for stage, move in MOVES.items():
        for bucket in range(BUCKETS):
            together = [saved.decode(values[stage, partition, bucket]) for partition in range(before)]
            for one in move(together, after):
                found[stage, one.partition, bucket] = one.value
                forgotten += one.forgotten
    return found, forgotten


def loaded(values: Values, partitions: int, **config: Any) -> Worker:
    """A worker that begins with these buckets, in front of empty logs."""
    worker = Worker(sources=partitions, item_partitions=partitions, **config)
    ends = dict.fromkeys(range(partitions), -1)
    for partition in range(partitions):
        for stage, restore in (
            ("items", worker.engine.restore_items),
            ("shoppers", worker.engine.restore_shoppers),
        ):
            mine = [saved.moved(values[stage, partition, bucket], 1, -1, ends) for bucket in range(BUCKETS)]
            assert restore(partition, mine) == 0
    return worker


def assert_same(one: Worker, other: Worker) -> None:
    assert item_counts(one.engine) == item_counts(other.engine)
    assert shopper_states(one.engine) == shopper_states(other.engine)
    assert_close(pair_weights(one.engine), pair_weights(other.engine))
    assert_close(price_counts(one.engine), price_counts(other.engine))


def test_rows_go_where_their_ids_do_and_of_a_multiple_come_from_one_unit():
    old = fed(Worker(2, 2), shop(1, 200), 2)
    values = state_of(old)
    new, _ = moved(values, 2, 6)
    for partition in range(6):
        for bucket in range(BUCKETS):
            mine = saved.decode(new["shoppers", partition, bucket])
            source = saved.decode(values["shoppers", partition % 2, bucket])
            assert {partition_of(name, 6) for name in mine.ids.split(b"\0") if name} <= {partition}
            assert mine.clock_ms == source.clock_ms == old.engine.shopper_units[partition % 2].clock_ms
            for name in ("seen_old", "seen_young"):
                assert mine.columns[name] == source.columns[name]


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 7))
def test_state_in_other_partitions_is_the_same_and_goes_on_alike(seed: int, before: int, after: int):
    events = [{"event_id": f"e{n}"} | fields for n, fields in enumerate(shop(seed, 300))]
    old = fed(Worker(before, before), events[:200], before)
    values, forgotten = moved(state_of(old), before, after)
    new = loaded(values, after)
    assert forgotten == 0
    assert_same(old, new)
    # And back again, with nothing lost on the way.
    back, _ = moved(values, after, before)
    assert_same(old, loaded(back, before))
    # Retries of what lies before count once in both, as do those of what comes.
    again = [*events[100:200], *events[200:]]
    assert_same(fed(old, again, before, 200), fed(new, again, after))
    assert new.engine.metrics.duplicates == old.engine.metrics.duplicates - duplicates(events[:200])


def duplicates(events: Sequence[dict[str, Any]]) -> int:
    return len(events) - len({(fields["user_id"], fields["event_id"]) for fields in events})


def test_a_shopper_whom_the_partitioner_would_not_find_is_refused():
    old = Worker(2, 2)
    name = next(f"u{n}" for n in range(9) if partition_of(b"u%d" % n, 2) == 0)
    value = msgspec.json.encode({"event_id": "e", "type": "view", "user_id": name, "item_id": "a", "ts": 0})
    old.feed([LogRecord(0, 0, name.encode(), value)], source=1)
    with pytest.raises(StateError, match=rf"shopper {name} lies in partition 1 of events, where .*murmur2"):
        moved(state_of(old), 2, 3)


def test_more_shoppers_than_a_partition_may_hold_are_refused():
    events = [{"type": "view", "user_id": f"u{n}", "item_id": "a", "ts": n} for n in range(1200)]
    values, _ = moved(state_of(fed(Worker(4, 4), events, 4)), 4, 1)
    with pytest.raises(StreamError, match="no room for another shopper: raise the setting max_shoppers"):
        loaded(values, 1, max_shoppers=600)
    assert len(loaded(values, 1, max_shoppers=4096).engine.shopper_units[0]) == 1200


def with_seen(old: int, young: int, first: int) -> Bucket:
    empty = saved.decode(state_of(Worker())["shoppers", 0, 0])
    hashes = np.arange(first, first + old + young, dtype=np.uint64)
    seen = {"seen_old": hashes[:old].tobytes(), "seen_young": hashes[old:].tobytes()}
    return msgspec.structs.replace(empty, columns=empty.columns | seen)


def ids(column: bytes) -> set[int]:
    return set(np.frombuffer(column, np.uint64).tolist())


@pytest.mark.parametrize(
    ("sizes", "old", "young", "forgotten"),
    [
        (((5, 7), (3, 2)), 8, 9, 0),
        # Too many young ones for one set: they become the old one, as when a set is full.
        (((FULL, 1500), (FULL, 1000)), 2500, 0, 0),
        (((FULL, 100), (FULL, 100)), OLD_MOST, 200, 2 * FULL - OLD_MOST),
        (((FULL, FULL), (FULL, FULL)), OLD_MOST, 0, 2 * FULL - OLD_MOST),
    ],
)
def test_ids_of_seen_events_are_laid_together_as_far_as_there_is_room(
    sizes: Sequence[tuple[int, int]], old: int, young: int, forgotten: int
):
    buckets = [with_seen(o, y, 1 + 10_000 * k) for k, (o, y) in enumerate(sizes)]
    seen, left = merged_seen(buckets)
    assert (len(ids(seen["seen_old"])), len(ids(seen["seen_young"])), left) == (old, young, forgotten)
    if not left:
        every = set().union(*(ids(bucket.columns["seen_young"]) for bucket in buckets))
        assert ids(seen["seen_old"]) | ids(seen["seen_young"]) >= every
    # They fit where they go.
    values = state_of(Worker())
    full = msgspec.structs.replace(buckets[0], columns=buckets[0].columns | seen)
    loaded(values | {("shoppers", 0, 0): saved.encode(full)}, 1)
