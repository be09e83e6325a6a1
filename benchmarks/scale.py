"""`python -m benchmarks.scale`: what 1, 2 and 4 workers do together, and what their exchange costs.

Each worker waits for every event (`benchmarks.slow_worker`), so that the workers are the bottleneck and not
the machine's cores. One group grows from one worker to four; every size of it is given as many events.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from benchmarks import harness
from benchmarks.chaos.crew import Crew
from benchmarks.contender import ContenderError
from benchmarks.stream_worker import LISTS, done
from benchmarks.topics import Ends, Event, read, write
from benchmarks.workload import encode, generate
from stream.local import Stack
from stream.runtime import topics
from stream.runtime.settings import Settings

EVENTS, WAIT_MS = 40_000, 1.0
WORKERS = (1, 2, 4)
PARTITIONS = 8
BATCH_RECORDS = 1_000
"""A batch of the default size would wait for two seconds, in which a worker answers nobody."""
WARM_UP = 0.1
"""Share of a size's events that the first worker gets beforehand: it then knows items to recommend."""
SAMPLE_S = 0.05
TOLD_S = 2.5
"""Counters are gathered once a second, and told of once a second."""
TIMEOUT_S = 600.0
EFFICIENT = 0.8
"""Of four workers: below this they hold one another up."""


class Spent(NamedTuple):
    """Since the workers started: events that each has accepted; of all together the seconds that engines
    applied batches, by stage, the batches of events, and what the exchange has sent."""

    events: tuple[int, ...]
    shoppers_s: float
    items_s: float
    batches: float
    messages: int
    bytes: int


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Measure 1, 2 and 4 workers that wait for every event, and their exchange.",
        epilog="example: python -m benchmarks.scale --events 8000 --wait-ms 0.5 --json",
    )
    parser.add_argument("--events", type=int, default=EVENTS, help="events for each size (%(default)s)")
    parser.add_argument("--wait-ms", type=float, default=WAIT_MS, help="wait for an event (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Grow the group and feed every size of it; the whole report."""
    settings, environment = await harness.prepared(
        stack.bootstrap, stack.redis_url, PARTITIONS, max_poll_records=str(BATCH_RECORDS)
    )
    extra = round(options.events * WARM_UP)
    log = encode(generate(extra + len(WORKERS) * options.events, int(time.time()) * 1000))
    command = (sys.executable, "-m", "benchmarks.slow_worker", str(options.wait_ms))
    sizes: dict[int, dict[str, float]] = {}
    with Redis.from_url(stack.redis_url) as redis:
        crew = Crew(settings, environment, redis, folder, command)
        try:
            for size in WORKERS:
                while len(crew.names()) < size:
                    crew.start()
                await crew.ready()
                if size == WORKERS[0]:
                    (idle_mb,) = crew.resident_mb()
                    await _work(settings, crew, list(islice(log, extra)))
                    before = await _spent(settings, crew)
                harness.progress.print(f"[dim]{size} of {WORKERS[-1]} workers")
                seconds = await _work(settings, crew, list(islice(log, options.events)))
                after = await _spent(settings, crew)
                sizes[size] = figures(before, after, options.events, seconds, options.wait_ms / 1000)
                sizes[size]["worker_mb"] = statistics.fmean(crew.resident_mb())
                before = after
        finally:
            await crew.stop()
    return report(sizes) | {
        "idle_mb": idle_mb,
        "events": options.events,
        "wait_ms": options.wait_ms,
        "partitions": PARTITIONS,
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


async def _work(settings: Settings, crew: Crew, events: Sequence[Event]) -> float:
    """Write events and wait until all of the workers' inputs are committed; seconds to the last list."""
    lists, seen = settings.topic(LISTS), -1
    deadline = time.monotonic() + TIMEOUT_S
    async with Ends(settings.bootstrap) as ends:
        began_s = last_s = time.monotonic()
        await write(settings.bootstrap, settings.topic(topics.EVENTS), settings.partitions, events)
        while True:
            now_s, found = time.monotonic(), await ends.count(lists, settings.partitions)
            if found > seen:
                last_s, seen = now_s, found
            # Asked rarely: commits come once a second, and this is not what is measured.
            elif now_s - last_s > 1.0 and await done(settings, ends):
                return last_s - began_s
            crew.check()
            if now_s > deadline:
                raise ContenderError(f"the workers were not done after {TIMEOUT_S:.0f} s")
            await asyncio.sleep(SAMPLE_S)


async def _spent(settings: Settings, crew: Crew) -> Spent:
    await asyncio.sleep(TOLD_S)
    told = [await asyncio.to_thread(_scrape, url) for url in crew.told("metrics")]
    sent = await read(settings.bootstrap, settings.topic(topics.ITEM_UPDATES), settings.partitions)
    return Spent(
        tuple(engine["events"] for engine in crew.told("engine")),
        sum(each["shoppers"] for each in told),
        sum(each["items"] for each in told),
        sum(each["batches"] for each in told),
        len(sent),
        sum(len(record.value) for record in sent),
    )


def _scrape(url: str) -> dict[str, float]:
    """Seconds of `apply` by stage, and batches of events, as a worker's metrics tell them."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if name == "stream_step_seconds_sum" and labels["step"] == "apply":
                found[labels["stage"]] = value
            elif name == "stream_batch_records_count" and labels["stage"] == "shoppers":
                found["batches"] = value
    return found


def figures(before: Spent, after: Spent, events: int, seconds: float, wait_s: float) -> dict[str, float]:
    """What one size of the group did with `events` events, of which each waited `wait_s`.

    `skew` is the busiest worker's events to the mean: it allows an efficiency of 1 / skew. The share of the
    item stage is that of the engines' work, the waits left out.
    """
    made = [now - then for now, then in zip_longest(after.events, before.events, fillvalue=0)]
    items_s = after.items_s - before.items_s
    shoppers_s = max(after.shoppers_s - before.shoppers_s - events * wait_s, 0.0)
    return {
        "events_per_s": events / seconds,
        "skew": max(made) * len(made) / sum(made),
        "messages_per_event": (after.messages - before.messages) / events,
        "bytes_per_event": (after.bytes - before.bytes) / events,
        "events_per_batch": events / (after.batches - before.batches),
        "item_stage_us_per_event": items_s / events * 1e6,
        "item_stage_share": items_s / (items_s + shoppers_s),
    }


def report(sizes: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    """Figures by number of workers, and their efficiency: rate(n) / (n * rate(1))."""
    one = sizes[1]["events_per_s"]
    found: dict[str, float] = {}
    for size, told in sizes.items():
        found[f"efficiency_{size}"] = told["events_per_s"] / (size * one)
        found |= {f"{name}_{size}": value for name, value in told.items()}
    return found


def verdict(report: Mapping[str, Any]) -> int:
    """0 when four workers do what four can, 1 when they hold one another up."""
    return 0 if report[f"efficiency_{WORKERS[-1]}"] >= EFFICIENT else 1


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code: 0 efficient, 1 not, 2 it could not be made."""
    return harness.run("scale", arguments(given), measure, verdict, keep_logs=True)


if __name__ == "__main__":
    sys.exit(main())
