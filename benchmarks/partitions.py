"""What partitions cost: memory, exchange messages, and the popularity that each of them tells all workers.

One engine without Kafka, which plays every worker's part. Printed by `python -m benchmarks.capacity`.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.harness import resident_mb
from benchmarks.workload import encode, generate
from stream.config import EngineConfig
from stream.effects import Message
from stream.engine import Engine
from stream.events.block import Block
from stream.events.records import LogRecord

SPLITS = (8, 64, 256)
"""Partitions of the item stage."""
BATCH = 1_000
"""Events of one partition that are worked on together: what comes of a busy one."""
EVENTS = 40_000
TOGETHER = 8
"""Messages that an item partition takes in at once: with as many partitions of events, all of one round."""
OPENED = 32
TURNS = 3
MIB = 1 << 20


def memory_bytes() -> float:
    """Memory of one partition of each stage beside its rows, when its sets of event ids are full."""
    engine = Engine(EngineConfig(item_partitions=OPENED))
    gc.collect()
    before = resident_mb(os.getpid())
    now_ms = int(time.time()) * 1000
    for partition in range(OPENED):
        unit = engine.open_shoppers(partition, 1)
        engine.open_items(partition, 1)
        # Writing makes pages real; nothing is in them yet.
        unit.state.seen.hashes[...] = 0
    for partition in range(OPENED):
        log = encode(generate(BATCH, now_ms, shoppers=10, items=10))
        records = [LogRecord(k, now_ms, key, value) for k, (_, key, value, _) in enumerate(log)]
        engine.shoppers(partition, records, now_ms)
    return (resident_mb(os.getpid()) - before) * MIB / OPENED


def exchange(log: Sequence[tuple[bytes, bytes]], split: int) -> dict[str, float]:
    """One partition's events, (key, value), sent to `split` partitions of items.

    Messages and bytes an event; microseconds an event in the stage that makes them and in the one that
    applies them; milliseconds to merge what all partitions tell of popularity, and the bytes that each tells.
    """
    now_ms = int(time.time()) * 1000
    engine = Engine(EngineConfig(item_partitions=split))
    engine.open_shoppers(0, 1)
    for partition in range(split):
        engine.open_items(partition, 1)
    made_s = applied_s = 0.0
    messages = size = 0
    inboxes: list[list[LogRecord]] = [[] for _ in range(split)]
    for turn, at in enumerate(range(0, len(log), BATCH), 1):
        records = [LogRecord(at + k, now_ms, *event) for k, event in enumerate(log[at : at + BATCH])]
        began_s = time.perf_counter()
        effects = engine.shoppers(0, records, now_ms)
        made_s += time.perf_counter() - began_s
        for message in effects.messages:
            if message.topic != "item-updates" or message.partition is None:
                continue
            messages += 1
            size += len(message.value)
            inboxes[message.partition].append(LogRecord(messages, now_ms, None, message.value))
        if turn % TOGETHER == 0 or at + BATCH >= len(log):
            blocks = [(partition, Block.of(inbox)) for partition, inbox in enumerate(inboxes) if inbox]
            began_s = time.perf_counter()
            for partition, block in blocks:
                engine.items(partition, block, now_ms)
            applied_s += time.perf_counter() - began_s
            inboxes = [[] for _ in range(split)]
    later_ms, told = now_ms + 60_000, list[Message]()
    while due := engine.publisher.partials(engine.item_units, later_ms):
        told += due
    for message in told:
        engine.popular.update(message.key or b"", message.value)
    began_s = time.perf_counter()
    engine.popular.merge(later_ms)
    return {
        "messages_per_event": messages / len(log),
        "exchange_bytes_per_event": size / len(log),
        "shopper_stage_us_per_event": made_s / len(log) * 1e6,
        "item_stage_us_per_event": applied_s / len(log) * 1e6,
        "popularity_merge_ms": (time.perf_counter() - began_s) * 1000,
        "popularity_bytes": sum(len(message.value) for message in told) / len(told),
    }


def measure() -> dict[str, Any]:
    """Every split, and what a message costs beside an event: the difference between the splits says it.

    Each is measured several times, of which the fastest counts: what disturbs is not in all of them.
    """
    log = [(key, value) for _, key, value, _ in encode(generate(EVENTS, int(time.time()) * 1000))]
    turns = {split: [exchange(log, split) for _ in range(TURNS)] for split in SPLITS}
    found = {
        split: {name: min(turn[name] for turn in told) for name in told[0]} for split, told in turns.items()
    }
    few, many = found[SPLITS[0]], found[SPLITS[-1]]
    stages = ("shopper_stage_us_per_event", "item_stage_us_per_event")
    more = many["messages_per_event"] - few["messages_per_event"]
    message_us = sum(many[stage] - few[stage] for stage in stages) / more
    event_us = sum(few[stage] for stage in stages) - message_us * few["messages_per_event"]
    return {
        "bytes_per_partition": memory_bytes(),
        **{f"{name}_{split}": value for split, told in found.items() for name, value in told.items()},
        "message_us": message_us,
        "event_us": event_us,
        "message_in_events": message_us / event_us,
    }
