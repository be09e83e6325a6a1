"""The engine alone: events decoded, applied and made into encoded lists in this process, on one core."""

from __future__ import annotations

import time
from collections.abc import Iterable

from benchmarks.topics import Event
from stream.config import EngineConfig
from stream.events.block import Block
from stream.events.records import LogRecord
from stream.pipeline import Pipeline, warm_up

BATCH_RECORDS = 2_000
WARM = 0.2
"""Share of the log that is applied before the clock starts: the rows are then as full as on the way."""


def events_per_s(log: Iterable[Event], partitions: int) -> float:
    """Events a second of processor time through both stages, a list for each, nothing sent or saved.

    They come as a fetch hands them over: in columns, their values not read yet.
    """
    warm_up()
    logs: list[list[LogRecord]] = [[] for _ in range(partitions)]
    for shopper, key, value, ts_ms in log:
        home = logs[shopper % partitions]
        home.append(LogRecord(len(home), ts_ms, key, value))
    batches = [Block.of(records) for records in logs]
    now_ms = int(time.time()) * 1000
    pipeline = Pipeline(EngineConfig(item_partitions=partitions), partitions)
    longest = max(map(len, batches))
    done, began_s = 0, 0.0
    for at in range(0, longest, BATCH_RECORDS):
        # Half a second a round, so that popularity is worked out as often as on the way.
        now_ms += 500
        if not began_s and at >= WARM * longest:
            done, began_s = 0, time.process_time()
        for partition, records in enumerate(batches):
            part = records[at : at + BATCH_RECORDS]
            if part:
                pipeline.push(part, now_ms, partition)
                done += len(part)
    return done / (time.process_time() - began_s)
