"""`python -m benchmarks.capacity`: bytes a shopper, an item, an event and a partition, and what a message
between partitions costs; of one engine without Kafka."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import harness, partitions
from benchmarks.workload import encode, generate
from stream.config import EngineConfig
from stream.effects import Effects
from stream.engine import Engine
from stream.events.records import LogRecord
from stream.items.row import BUCKETS, ITEM
from stream.items.saved import save as save_items
from stream.learn.learner import Learner
from stream.pipeline import warm_up
from stream.shoppers.row import HISTORY, SHOPPER
from stream.shoppers.saved import save as save_shoppers

SHOPPERS, ITEMS, EVENTS = 300_000, 50_000, 600_000
SHORT = 10
"""To look whether all of this works, a tenth does."""
BATCH = 2_000
LEARNED = 10
"""Last messages of examples, with which the learner is timed: some thousand lists."""


def resident_bytes() -> float:
    """Memory of this process that is really there."""
    return harness.resident_mb(os.getpid()) * partitions.MIB


class Fed:
    """One engine with one partition of each stage, and what its batches would have written."""

    def __init__(self, max_shoppers: int, max_items: int) -> None:
        self.engine = Engine(EngineConfig(max_shoppers=max_shoppers, max_items=max_items))
        self.engine.open_shoppers(0, 1)
        self.engine.open_items(0, 1)
        self.events = self.exchange_bytes = self.list_bytes = self.lists = 0
        self.examples: deque[bytes] = deque(maxlen=LEARNED)
        self._messages = 0
        self._now_ms = int(time.time()) * 1000

    def feed(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """(key, value) of events."""
        batch: list[LogRecord] = []
        for key, value in values:
            batch.append(LogRecord(self.events, self._now_ms, key, value))
            self.events += 1
            if len(batch) == BATCH:
                self._apply(batch)
                batch = []
        if batch:
            self._apply(batch)

    def _apply(self, batch: Sequence[LogRecord]) -> None:
        effects = self.engine.shoppers(0, batch, self._now_ms)
        for message in effects.messages:
            if message.topic == "examples":
                self.examples.append(message.value)
            if message.topic == "item-updates":
                self.exchange_bytes += len(message.value)
                self._messages += 1
                record = LogRecord(self._messages, self._now_ms, message.key, message.value)
                self._told(self.engine.items(0, [record], self._now_ms))
        for values in effects.values:
            self.list_bytes += sum(map(len, values.values))
            self.lists += len(values.values)

    def _told(self, effects: Effects) -> None:
        for message in effects.messages:
            self.engine.control(message.topic, message.key, message.value)


def learner_us(examples: Iterable[bytes]) -> float:
    """Microseconds of the learner a labelled list."""
    learner = Learner()
    began_s = time.perf_counter()
    learner.learn([LogRecord(k, 0, None, value) for k, value in enumerate(examples)], 0)
    return (time.perf_counter() - began_s) / learner.quality.lists * 1e6


def measure(short: bool = False) -> dict[str, Any]:
    """Feed one kind after the other and look how much memory each took."""
    warm_up()
    shoppers, items, events = (n // SHORT if short else n for n in (SHOPPERS, ITEMS, EVENTS))
    fed = Fed(2 * shoppers, 2 * items)
    end_ms = int(time.time()) * 1000
    start = resident_bytes()
    fed.feed(
        (
            b"shopper-%012d" % k,
            b'{"type":"view","event_id":"%d","ts":%d,"user_id":"shopper-%012d","item_id":"i0"}'
            % (k, end_ms, k),
        )
        for k in range(shoppers)
    )
    with_shoppers = resident_bytes()
    fed.feed(
        (
            b"s",
            b'{"type":"view","event_id":"%d","ts":%d,"user_id":"s","session_id":"%d","item_id":"item-%012d"}'
            % (shoppers + k, end_ms, k, k),
        )
        for k in range(items)
    )
    with_items = resident_bytes()
    # Of a busy shop, because what is saved and sent is compressed or holds what the events hold.
    busy = Fed(2 * shoppers, 2 * items)
    log = list(encode(generate(events, end_ms)))
    busy.feed((key, value) for _, key, value, _ in log)
    visited, offered = busy.engine.shopper_units[0], busy.engine.item_units[0]
    saved_shoppers = sum(len(save_shoppers(visited, bucket)) for bucket in range(BUCKETS))
    saved_items = sum(len(save_items(offered, bucket)) for bucket in range(BUCKETS))
    return {
        "bytes_per_shopper": (with_shoppers - start) / shoppers,
        "bytes_per_shopper_row": SHOPPER.itemsize,
        "bytes_per_history": HISTORY.itemsize,
        "bytes_per_item": (with_items - with_shoppers) / items,
        "bytes_per_item_row": ITEM.itemsize,
        "saved_bytes_per_shopper": saved_shoppers / len(visited),
        "saved_bytes_per_item": saved_items / len(offered.members()),
        "event_bytes": sum(len(key) + len(value) for _, key, value, _ in log) / len(log),
        "exchange_bytes_per_event": busy.exchange_bytes / busy.events,
        "list_bytes": busy.list_bytes / busy.lists,
        "shoppers": shoppers,
        "items": items,
        "events": events,
        "learner_us_per_list": learner_us(busy.examples),
        **partitions.measure(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


def main(given: Sequence[str] | None = None) -> int:
    """Run the measurement; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of everything that is fed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(given)
    harness.tell(measure(options.short), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
