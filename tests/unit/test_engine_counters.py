"""What the engine counts of the fate of rows and of exchange messages; a replay counts none of it again."""

from __future__ import annotations

import numpy as np

from stream.shoppers.evict import drop, new_room
from stream.shoppers.row import HISTORY, SHOPPER
from tests.unit.core_helpers import T0, Worker, event, log

DAY_MS = 86_400_000


def test_rows_that_make_room_are_evicted_and_each_row_is_one_that_is_there_or_one_that_went():
    worker = Worker(max_items=512, max_shoppers=512)
    records = log([event("view", f"u{k}", f"i{k}", T0 + k) for k in range(3_000)])
    worker.run(records, range(0, 3_000, 50))
    metrics, unit = worker.engine.metrics, worker.engine.item_units[0]
    assert metrics.shoppers_evicted + len(worker.engine.shopper_units[0]) == 3_000
    assert metrics.items_evicted + int(unit.bucket_size.sum()) == 3_000
    assert (metrics.shoppers_forgotten, metrics.items_forgotten) == (0, 0)
    other = Worker(max_items=512, max_shoppers=512)
    for batch, message in enumerate(worker.sent[0]):
        other.feed(records[50 * batch : 50 * batch + 50], silent=True)
        other.engine.items(0, [message], T0, silent=True)
    assert len(other.engine.shopper_units[0]) <= 512
    metrics = other.engine.metrics
    assert (metrics.shoppers_evicted, metrics.items_evicted, metrics.displaced) == (0, 0, 0)


def test_of_who_is_forgotten_nothing_is_left_for_whoever_gets_the_row_next():
    rows, histories = (np.frombuffer(b"\1" * (2 * of.itemsize), of).copy() for of in (SHOPPER, HISTORY))
    rows["history"] = 1
    drop(new_room(10, 10, DAY_MS), rows[0], histories, 0)
    left = {name for name in SHOPPER.names or () if rows[name][0].any()}
    assert left == {"bucket"}
    assert not any(histories[name][1].any() for name in HISTORY.names or ())
    assert rows["recent"][1].all()


def test_who_no_event_names_for_long_is_forgotten():
    worker = Worker(inactive_ms=DAY_MS)
    worker.run(log([event("view", "gone", "old", T0), event("view", "gone", "older", T0)]))
    worker.run(log([event("view", "here", "new", T0 + 5 * DAY_MS)], 2))
    metrics = worker.engine.metrics
    assert (metrics.shoppers_forgotten, metrics.items_forgotten) == (1, 2)
    assert (metrics.shoppers_evicted, metrics.items_evicted) == (0, 0)


def test_neighbours_that_lose_their_place_in_a_full_row_are_counted():
    worker = Worker()
    for k in range(300):
        name = f"u{k}"
        worker.run(log([event("view", name, "hub", T0 + k), event("view", name, f"i{k}", T0 + k)], 2 * k))
    slots = len(worker.engine.table.rows["viewed"]["item"][0])
    assert worker.engine.metrics.displaced == 300 - slots


def test_an_exchange_message_that_comes_again_is_counted_as_repeated():
    worker = Worker().run(log([event("view", "u", "a"), event("view", "u", "b")]))
    assert worker.engine.metrics.repeated == 0
    worker.engine.items(0, worker.sent[0], T0)
    assert worker.engine.metrics.repeated == 1


def test_times_of_accepted_events_come_with_the_effects():
    worker = Worker()
    records = log(
        [event("view", "u", "a", T0), event("view", "u", None, T0), event("view", "u", "b", T0 + 5)]
    )
    effects = worker.feed(records)
    assert [ts for part in effects.event_ts_ms for ts in part.tolist()] == [T0, T0 + 5]
    assert len(effects.refused) == 1
    assert worker.feed(records, silent=True).event_ts_ms == []
