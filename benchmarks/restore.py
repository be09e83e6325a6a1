"""`python -m benchmarks.restore`: how long a worker's successor needs for a large state, at the worst moment.

State is saved in rotation, bucket after bucket, so in the steady state the oldest bucket is always about to
be written: a worker killed under load leaves the longest replay that there is, one whole rotation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks import harness
from benchmarks.contender import ContenderError, ending, start, stop
from benchmarks.stream_worker import committed_offsets
from benchmarks.topics import Event, write
from benchmarks.workload import encode, generate
from stream.local import Stack
from stream.runtime import topics
from stream.runtime.settings import Settings

SHOPPERS, ITEMS = 1_000_000, 50_000
PARTITIONS = 8
SEED = 1
AFTER_ROTATION = 1.3
"""Events after the last new shopper, as a share of a rotation: every bucket has been saved since."""
WAIT_S = 600.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.restore",
        description="Kill a worker under full load and time its successor's restore.",
        epilog="example: python -m benchmarks.restore --shoppers 100000 --json",
    )
    parser.add_argument("--shoppers", type=int, default=SHOPPERS, help="shoppers (%(default)s)")
    parser.add_argument("--items", type=int, default=ITEMS, help="items (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


def events_of(shoppers: int, items: int, further: int) -> Iterator[Event]:
    """One event of every shopper, over all items; then `further` of a busy day."""
    end_ms = int(time.time()) * 1000
    for number in range(shoppers):
        ts_ms = end_ms - 90_000_000 + number // 100
        item = number * 7919 % items
        yield (
            number,
            b"u%06d" % number,
            b'{"type":"view","event_id":"first-%d","ts":%d,"user_id":"u%06d","session_id":"f%d",'
            b'"item_id":"i%06d","price":9.90}' % (number, ts_ms, number, number, item),
            ts_ms,
        )
    yield from encode(generate(further, end_ms, SEED, shoppers, items))


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Fill, kill, restore; the whole report."""
    settings, environment = await harness.prepared(stack.bootstrap, stack.redis_url, PARTITIONS)
    rotation = (options.shoppers + 64 * PARTITIONS * 1000) / settings.rows_saved_per_event
    further = round(rotation * AFTER_ROTATION) + options.shoppers
    harness.progress.print(f"[dim]writing {options.shoppers + further:,} events")
    events = events_of(options.shoppers, options.items, further)
    written = await write(stack.bootstrap, settings.topic(topics.EVENTS), PARTITIONS, events)
    environment["STREAM_LOG_FORMAT"] = "json"
    first, second = folder / "first.log", folder / "second.log"
    process = start([*harness.WORKER, "--worker-id", "first"], environment, first)
    try:
        until = options.shoppers + round(rotation * AFTER_ROTATION)
        before = await _worked(settings, until, process, first)
        process.kill()
        process.wait()
        harness.progress.print(f"[dim]killed after {before:,} of {written:,} events")
        killed = time.time()
        process = start([*harness.WORKER, "--worker-id", "second"], environment, second)
        told = await _ready(process, second)
        with Redis.from_url(settings.redis_url) as redis:
            status = harness.status(redis, settings, "second")
        if status is None:
            raise ContenderError(f"the second worker tells nothing of itself: {ending(second)}")
    finally:
        await stop(process)
    return {
        "shoppers": options.shoppers,
        "items": options.items,
        "events_before": before,
        **_times(told, killed, status["engine"]),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


def _times(told: Sequence[dict[str, Any]], killed_s: float, engine: dict[str, Any]) -> dict[str, Any]:
    """What the successor's log lines and its status say."""
    at_s = {line["message"]: datetime.fromisoformat(line["time"]).timestamp() for line in reversed(told)}
    restore_s = at_s["Ready."] - at_s["Restoring."]
    load_s = at_s["Loaded saved state."] - at_s["Restoring."]
    return {
        "restore_s": restore_s,
        "kill_to_ready_s": at_s["Ready."] - killed_s,
        "rows_restored": engine["rows_restored"],
        "load_s": load_s,
        "rows_loaded_per_s": engine["rows_restored"] / load_s,
        "replayed": engine["replayed"],
        "events_replayed_per_s": engine["replayed"] / (restore_s - load_s),
        # A worker that the group had thrown out meanwhile would have begun anew.
        "restores_begun": sum(line["message"] == "Restoring." for line in told),
    }


async def _worked(settings: Settings, events: int, process: Any, log: Path) -> int:
    """Until the group has committed so many events; how many it has."""
    deadline = time.monotonic() + WAIT_S
    while (done := (await committed_offsets(settings))[topics.EVENTS]) < events:
        _alive(process, log, deadline)
        await asyncio.sleep(0.2)
    return done


async def _ready(process: Any, log: Path) -> list[dict[str, Any]]:
    deadline = time.monotonic() + WAIT_S
    while b'"Ready."' not in log.read_bytes():
        _alive(process, log, deadline)
        await asyncio.sleep(0.05)
    # Heartbeats lived through it if no rebalance follows.
    await asyncio.sleep(3.0)
    return [json.loads(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]


def _alive(process: Any, log: Path, deadline: float) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        raise ContenderError(f"the worker stopped early or was not done in time: {ending(log)}")


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    return harness.run("restore", arguments(given), measure)


if __name__ == "__main__":
    sys.exit(main())
