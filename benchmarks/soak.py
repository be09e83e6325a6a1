"""`python -m benchmarks.soak`: does a worker's memory stay flat while shoppers and items come and go?"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.chaos.feed import Feed
from benchmarks.contender import ContenderError, ending, start, stop
from benchmarks.topics import Event
from stream.local import Stack
from stream.runtime import topics

PARTITIONS = 8
MAX_SHOPPERS, MAX_ITEMS = 2_048, 8_192
"""Caps, a partition and in all, of which the run sees many times as many."""
EVENTS_PER_SHOPPER = 4
EVENTS_PER_ITEM = 12
PACE_PER_S = 4_000.0
SAMPLE_S = 1.0
WARM_UP = 0.5
"""Share of the run that is not judged: what has a fixed size is touched for the first time. Rows fill up to
their caps; the sets of event ids reach their second generation after 2,048 events of each of 512 buckets; and
the rings of lists that wait for labels (2,048 of 1,872 bytes a partition) go round once, which takes 3.3
million events here."""
WARM_UP_PACE_PER_S = 12_000.0
"""Fast enough for that in the first half of ten minutes, and still less than a worker can do."""
NOISE_SIGMAS = 3.0
LEAST_MB_PER_MINUTE = 1.0
"""A slope below this is called flat: it would take a day to fill a gigabyte and a half."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="Feed a worker ever new shoppers and items and watch its memory.",
        epilog="example: python -m benchmarks.soak --minutes 10 --json",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the run (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


def churn() -> Iterator[Event]:
    """Ever new shoppers, a few at a time, who look at ever new items, a few hundred at a time."""
    rng = np.random.default_rng(1)
    for n in itertools.count():
        shopper = n // (EVENTS_PER_SHOPPER * 100) * 100 + n % 100
        item = n // (EVENTS_PER_ITEM * 500) * 500 + int(rng.integers(500))
        kind = b"purchase" if n % 20 == 0 else b"view"
        ts_ms = time.time_ns() // 1_000_000
        yield (
            shopper,
            b"u%08d" % shopper,
            b'{"type":"%s","event_id":"%d","ts":%d,"user_id":"u%08d","item_id":"i%08d","price":9.90,'
            b'"order_id":"o%d"}' % (kind, n, ts_ms, shopper, item, shopper),
            ts_ms,
        )


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Feed and watch; the whole report."""
    settings, environment = await harness.prepared(
        stack.bootstrap, stack.redis_url, PARTITIONS, max_shoppers=str(MAX_SHOPPERS), max_items=str(MAX_ITEMS)
    )
    seconds, visits, topic = options.minutes * 60, churn(), settings.topic(topics.EVENTS)
    counts = {
        WARM_UP_PACE_PER_S: round(seconds * WARM_UP * WARM_UP_PACE_PER_S),
        PACE_PER_S: round(seconds * (1 - WARM_UP) * PACE_PER_S),
    }
    feeds = [
        Feed(stack.bootstrap, topic, PARTITIONS, itertools.islice(visits, count), pace)
        for pace, count in counts.items()
    ]
    log = folder / "worker.log"
    process = start(harness.WORKER, environment, log)
    samples: list[tuple[float, float]] = []
    try:
        sending = asyncio.create_task(_one_after_the_other(feeds))
        began = time.monotonic()
        while not sending.done():
            if process.poll() is not None:
                raise ContenderError(f"the worker stopped early: {ending(log)}")
            samples.append(((time.monotonic() - began) / 60, harness.resident_mb(process.pid)))
            await asyncio.sleep(SAMPLE_S)
        await sending
    finally:
        await stop(process)
    events = sum(counts.values())
    shoppers, items = events // EVENTS_PER_SHOPPER, events // EVENTS_PER_ITEM
    return _slope(samples, options.minutes * WARM_UP) | {
        "events": events,
        "shoppers": shoppers,
        "shoppers_by_cap": shoppers / (MAX_SHOPPERS * PARTITIONS),
        "items": items,
        "items_by_cap": items / MAX_ITEMS,
    }


async def _one_after_the_other(feeds: Sequence[Feed]) -> None:
    for feed in feeds:
        await feed.run()


def _slope(samples: Sequence[tuple[float, float]], from_minute: float) -> dict[str, Any]:
    """Least squares over the judged part, with the standard error of the slope.

    Samples follow one another closely and are far from independent, so the error is that of the means of
    ten parts of the run.
    """
    judged = np.array([sample for sample in samples if sample[0] >= from_minute])
    minutes, mb = (np.array([part.mean() for part in np.array_split(column, 10)]) for column in judged.T)
    (slope, _), covariance = np.polyfit(minutes, mb, 1, cov=True)
    error = float(np.sqrt(covariance[0, 0]))
    flat = abs(slope) < max(LEAST_MB_PER_MINUTE, NOISE_SIGMAS * error)
    return {
        "mb_start": float(judged[0, 1]),
        "mb_end": float(judged[-1, 1]),
        "mb_max": max(mb for _, mb in samples),
        "mb_per_minute": float(slope),
        "mb_per_minute_error": error,
        "flat": bool(flat),
    }


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code: 0 flat, 1 not, 2 it could not be made."""
    return harness.run("soak", arguments(given), measure, lambda report: 0 if report["flat"] else 1)


if __name__ == "__main__":
    sys.exit(main())
