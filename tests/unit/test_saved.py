"""Saved buckets: a unit that comes back from them, at whatever positions, is what it was."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from stream.errors import LayoutError
from stream.items import saved as saved_items
from stream.items.row import BUCKETS
from stream.shoppers import saved as saved_shoppers
from stream.state import bucket as saved
from stream.state.rotation import LEAST_ROWS
from tests.unit.core_helpers import (
    MINUTE_MS,
    T0,
    Worker,
    assert_close,
    event,
    item_counts,
    log,
    pair_weights,
    price_counts,
    shopper_states,
)

DAY_MS = 1440 * MINUTE_MS
KINDS = ("view", "view", "view", "cart", "purchase", "purchase", "return", "hide", "like")


def shop(seed: int, events: int = 600) -> list[dict[str, Any]]:
    """A random log; every tenth event is sent again some events later."""
    rng = random.Random(seed)
    out: list[dict[str, Any]] = []
    for n in range(events):
        if n % 10 == 9:
            out.append(out[rng.randrange(max(0, n - 200), n)] | {"ts": T0 + n * 20_000})
            continue
        kind = rng.choice(KINDS)
        fields: dict[str, Any] = {"event_id": f"e{n}", "price": rng.choice((9.99, 12.5))}
        if kind == "purchase":
            fields |= {"order_id": f"o{n // 7}", "quantity": rng.randint(1, 3)}
        out.append(event(kind, f"u{rng.randrange(60)}", f"i{rng.randrange(50)}", T0 + n * 20_000, **fields))
    return out


def states(worker: Worker) -> list[dict[Any, Any]]:
    engine = worker.engine
    return [item_counts(engine), shopper_states(engine), pair_weights(engine), price_counts(engine)]


def assert_same(one: Worker, other: Worker) -> None:
    exact, close = states(one), states(other)
    assert exact[:2] == close[:2]
    for mine, theirs in zip(exact[2:], close[2:], strict=True):
        assert_close(mine, theirs)


@pytest.mark.parametrize("inactive_ms", [DAY_MS, 15 * MINUTE_MS])
@pytest.mark.parametrize("seed", range(8))
def test_units_restored_from_buckets_of_many_positions_are_what_they_were(seed, inactive_ms):
    rng = random.Random(seed)
    records = log(shop(seed))
    one = Worker(item_partitions=2, inactive_ms=inactive_ms)
    state: dict[tuple[str, int, int], bytes] = {}
    for first in range(0, 500, 20):
        one.feed(records[first : first + 20])
        one.deliver()
        for bucket in range(BUCKETS):
            # In the end every bucket has been saved, at a position of its own.
            if first == 480 - 20 * (bucket % 7) or rng.random() < 0.02:
                state["shoppers", 0, bucket] = saved_shoppers.save(one.engine.shopper_units[0], bucket)
                for q, unit in one.engine.item_units.items():
                    state["items", q, bucket] = saved_items.save(unit, bucket)
    other = Worker(item_partitions=2, inactive_ms=inactive_ms)
    for q in other.engine.item_units:
        start = other.engine.restore_items(q, [v for (s, p, _), v in state.items() if (s, p) == ("items", q)])
        assert 0 < start < len(one.sent[q])
        other.engine.items(q, one.sent[q][start:], T0, silent=True)
    start = other.engine.restore_shoppers(0, [v for (s, _, _), v in state.items() if s == "shoppers"])
    assert 0 < start < 500
    other.feed(records[start:500], silent=True)
    assert other.engine.shopper_units[0].sent_upto == one.engine.shopper_units[0].sent_upto
    assert_same(one, other)
    # And they go on as one: retries of what lies before the restore count once as well.
    other.sent = [list(sent) for sent in one.sent]
    other._delivered = list(one._delivered)
    for worker in (one, other):
        worker.run(records[500:])
    assert_same(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_a_message_that_is_left_out_leaves_no_hole_and_stays_out_of_every_replay(seed):
    rng = random.Random(seed)
    source, one, other = Worker(), Worker(), Worker()
    source.run(log(shop(seed)), range(10, 600, 10))
    (sent,) = source.sent
    out = set(rng.sample(range(len(sent)), 4))

    def read(worker: Worker, records: list[Any], silent: bool = False) -> None:
        for record in records:
            if record.offset in out:
                worker.engine.leave_out_items(0, record)
            else:
                worker.engine.items(0, [record], T0, silent)

    state: dict[int, bytes] = {}
    for first in range(0, len(sent), 4):
        read(one, sent[first : first + 4])
        for bucket in range(BUCKETS):
            if first < len(sent) // 2 and (not first or rng.random() < 0.1):
                state[bucket] = saved_items.save(one.engine.item_units[0], bucket)
    unit = one.engine.item_units[0]
    assert (unit.holes, unit.position) == (0, sent[-1].offset)
    assert unit.watermark == source.engine.item_units[0].watermark
    start = other.engine.restore_items(0, state.values())
    read(other, sent[start:], silent=True)
    assert item_counts(one.engine) == item_counts(other.engine) != item_counts(source.engine)
    assert_close(pair_weights(one.engine), pair_weights(other.engine))
    # Bytes that are no message at all, or one that was applied before, change nothing.
    watermark = dict(unit.watermark)
    for value in (b"", b"x" * 100, sent[0].value):
        one.engine.leave_out_items(0, sent[-1]._replace(value=value))
    assert unit.watermark == watermark


def test_a_unit_of_which_a_bucket_was_never_saved_is_replayed_from_the_beginning():
    records = log(shop(1, 100))
    one, other = Worker(), Worker()
    one.run(records)
    some = [saved_shoppers.save(one.engine.shopper_units[0], bucket) for bucket in range(BUCKETS - 1)]
    assert other.engine.restore_shoppers(0, some) == 0
    other.feed(records, silent=True)
    assert shopper_states(one.engine) == shopper_states(other.engine)


def test_buckets_of_another_life_are_left_out():
    one, other = Worker(), Worker()
    one.run(log(shop(2, 50)))
    every = [saved_shoppers.save(one.engine.shopper_units[0], bucket) for bucket in range(BUCKETS)]
    other.engine.open_shoppers(0, 2)
    assert other.engine.restore_shoppers(0, every) == 0
    assert shopper_states(other.engine) == {}


def test_what_cannot_be_restored_is_refused_in_one_sentence():
    one = Worker(item_partitions=2)
    one.run(log(shop(3, 50)))
    value = saved_shoppers.save(one.engine.shopper_units[0], 0)
    with pytest.raises(LayoutError, match="saved with 2 item partitions and there are 3"):
        Worker(item_partitions=3).engine.restore_shoppers(0, [value])
    for broken in (b"", b"x" * 100, value[:-5]):
        with pytest.raises(ValueError, match="damaged"):
            saved.decode(broken)
    newer = msgspec.structs.replace(saved.decode(value), layout=saved.LAYOUT + 1)
    with pytest.raises(LayoutError, match=r"layout 2, newer than 1: upgrade"):
        saved.decode(saved.encode(newer))
    short = saved.decode(value)
    odd = msgspec.structs.replace(short, rows=short.rows | {"shoppers": 99})
    with pytest.raises(ValueError, match="a saved bucket has"):
        Worker(item_partitions=2).engine.restore_shoppers(0, [saved.encode(odd)])


def test_state_is_saved_at_the_pace_of_events_oldest_bucket_first():
    worker = Worker(rows_saved_per_event=1.2 * LEAST_ROWS)
    records = log(shop(4, 200))
    keys = []
    for first in range(0, 200, 10):
        worker.feed(records[first : first + 10])
        saved = worker.engine.save_shoppers(0)
        assert all(m.topic == "shopper-state" and m.partition == 0 for m in saved)
        keys += [int(m.key or b"") for m in saved]
    assert keys[:BUCKETS] == list(range(BUCKETS))
    assert 200 < len(keys) <= 200 * 1.2
    assert keys == [k % BUCKETS for k in range(len(keys))]


def test_a_replay_does_not_take_what_a_bucket_holds_for_a_retry():
    records = log([e for n, e in enumerate(shop(5)) if n % 10 != 9])
    one, other = Worker(), Worker()
    one.run(records)
    unit = one.engine.shopper_units[0]
    other.engine.restore_shoppers(0, [saved_shoppers.save(unit, bucket) for bucket in range(BUCKETS)])
    other.feed(records, silent=True)
    assert not other.engine.shopper_units[0].state.counts.any()
