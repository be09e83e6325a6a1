"""`python -m benchmarks.freshness`: how long after an event its list can be read, under steady load.

Open loop: events are due at fixed times, and latency counts from when one was due, not from when it could be
sent. Markers go along with the load: shoppers who come once, so that their key in Redis appears with their
list; and pairs of new items, with probes by further shoppers until one is recommended the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from redis import Redis

from benchmarks import harness, pieces
from benchmarks.contender import ContenderError, ending, start, stop
from benchmarks.topics import partition_of, write
from benchmarks.workload import encode, generate
from stream.local import Stack
from stream.runtime import topics
from stream.runtime.settings import Settings
from stream.values import key_of

PARTITIONS = 8
SEED = 1
FILL_EVENTS = 200_000
STEP_S = 0.005
SHOPPER_EVERY_S = 0.02
PAIR_EVERY_S = 0.5
PROBE_EVERY_S, PROBES = 0.025, 16
PACE_PER_S = 13_000.0
"""A third of what one worker does on the machine of docs/performance.md, beside this driver."""
SECONDS = 60.0
WARM_UP_S = 5.0
REBALANCE_AFTER = 0.6
"""Share of the run after which a second worker joins."""
LOST_S = 10.0
"""A marker that was not seen for so long counts as this late."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A shopper whose list is waited for. `pair`: the new item that the list has to hold, if any."""

    shopper: str
    due_s: float
    pair: str = ""


class Reader(threading.Thread):
    """Asks Redis for the markers' lists, every millisecond, and notes when each was there."""

    def __init__(self, redis_url: str, prefix: str) -> None:
        super().__init__(daemon=True)
        self._redis = Redis.from_url(redis_url)
        self._prefix = prefix
        self._waiting: dict[str, Marker] = {}
        self._lock = threading.Lock()
        self.seen: list[tuple[Marker, float, bool]] = []
        """(marker, when its list was there, whether it held the pair's item)."""
        self.over = False

    def expect(self, marker: Marker) -> None:
        """Look for a marker's list from now on."""
        with self._lock:
            self._waiting[marker.shopper] = marker

    def run(self) -> None:
        while not self.over or self._waiting:
            with self._lock:
                asked = list(self._waiting.values())
            now_s = time.monotonic()
            if asked:
                found: Any = self._redis.mget([key_of(self._prefix, "recs", m.shopper) for m in asked])
                now_s = time.monotonic()
                for marker, value in zip(asked, found, strict=True):
                    if value is not None or now_s - marker.due_s > LOST_S:
                        holds = value is not None and bool(marker.pair) and marker.pair.encode() in value
                        self.seen.append((marker, now_s, holds))
                        with self._lock:
                            del self._waiting[marker.shopper]
            time.sleep(0.001)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.freshness",
        description="Measure the time from an event to its list in Redis under steady load.",
        epilog="example: python -m benchmarks.freshness --pace 8000 --json",
    )
    parser.add_argument("--pace", type=float, default=PACE_PER_S, help="events a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of the run (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


def schedule(pace: float, seconds: float) -> Iterator[tuple[float, bytes, bytes, Marker | None]]:
    """(due, key, value, marker) in the order in which they are due, in seconds from the beginning."""
    load = encode(generate(round(pace * seconds), int(time.time()) * 1000, SEED + 1))
    markers: list[tuple[float, str, str, str]] = []
    for k in range(round(seconds / SHOPPER_EVERY_S)):
        markers.append((k * SHOPPER_EVERY_S, f"mark-{k}", f"i{k % 1000:06d}", ""))
    for k in range(round(seconds / PAIR_EVERY_S)):
        due_s = k * PAIR_EVERY_S
        markers += [(due_s, f"pair-{k}", f"first-{k}", "-"), (due_s, f"pair-{k}", f"second-{k}", "-")]
        markers += [
            (due_s + j * PROBE_EVERY_S, f"probe-{k}-{j}", f"first-{k}", f"second-{k}")
            for j in range(1, PROBES + 1)
        ]
    markers.sort(key=lambda marker: marker[0])
    at = 0
    for n, (_, key, value, _) in enumerate(load):
        due_s = n / pace
        while at < len(markers) and markers[at][0] <= due_s:
            marker_due_s, shopper, item, pair = markers[at]
            at += 1
            marker = None if pair == "-" else Marker(shopper, marker_due_s, pair)
            told = {
                "type": "view", "event_id": f"m{at}", "ts": int(time.time() * 1000), "user_id": shopper,
                "session_id": shopper, "item_id": item,
            }  # fmt: skip
            yield marker_due_s, shopper.encode(), json.dumps(told).encode(), marker
        yield due_s, key, value, None


@dataclass
class Sent:
    """How the driver itself did: how late it sent at most, and how long Kafka took to acknowledge."""

    late_s: float = 0.0
    acknowledged_s: list[float] = field(default_factory=list)


async def send(bootstrap: str, topic: str, plan: Iterator[Any], reader: Reader, began_s: float) -> Sent:
    """Send what is due, every few milliseconds."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=0, acks="all")
    await producer.start()
    homes: dict[bytes, int] = {}
    sent = Sent()
    pending: set[Any] = set()
    try:
        following = next(plan, None)
        while following is not None:
            now_s = time.monotonic() - began_s
            batches: dict[int, Any] = {}
            while following is not None and following[0] <= now_s:
                due_s, key, value, marker = following
                home = (
                    homes.setdefault(key, partition_of(key, PARTITIONS)) if key not in homes else homes[key]
                )
                batch = batches.get(home)
                if batch is None:
                    batch = batches[home] = producer.create_batch()
                batch.append(key=key, value=value, timestamp=int(time.time() * 1000))
                if marker is not None:
                    reader.expect(Marker(marker.shopper, began_s + due_s, marker.pair))
                sent.late_s = max(sent.late_s, now_s - due_s)
                following = next(plan, None)
            for home, batch in batches.items():
                batch.close()
                delivery = await producer.send_batch(batch, topic, partition=home)
                pending.add(delivery)
                delivery.add_done_callback(pending.discard)
                delivery.add_done_callback(
                    lambda _, at_s=now_s: sent.acknowledged_s.append(time.monotonic() - began_s - at_s)
                )
            await asyncio.sleep(STEP_S)
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
    return sent


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Fill, load, join a second worker, measure; the whole report."""
    settings, environment = await harness.prepared(stack.bootstrap, stack.redis_url, PARTITIONS)
    events = settings.topic(topics.EVENTS)
    fill = encode(generate(FILL_EVENTS, int(time.time()) * 1000, SEED))
    await write(stack.bootstrap, events, PARTITIONS, fill)
    logs = [folder / "first.log", folder / "second.log"]
    processes = [start([*harness.WORKER, "--worker-id", "first"], environment, logs[0])]
    reader = Reader(stack.redis_url, settings.prefix)
    try:
        await _caught_up(settings, processes[0], logs[0])
        plan = schedule(options.pace, options.seconds)
        reader.start()
        began_s = time.monotonic() + 0.5
        sending = asyncio.create_task(send(stack.bootstrap, events, plan, reader, began_s))
        await asyncio.sleep(min(WARM_UP_S, options.seconds * REBALANCE_AFTER / 2))
        warm = pieces.read(_status(settings))
        await asyncio.sleep(began_s + options.seconds * REBALANCE_AFTER - time.monotonic())
        means = pieces.between(warm, pieces.read(_status(settings)))
        joined_s = time.monotonic()
        processes.append(start([*harness.WORKER, "--worker-id", "second"], environment, logs[1]))
        while b"Ready." not in logs[1].read_bytes() and not sending.done():
            await asyncio.sleep(0.05)
        settled_s = time.monotonic() + 1.0
        sent = await sending
        reader.over = True
        await asyncio.to_thread(reader.join)
    finally:
        reader.over = True
        for process in processes:
            await stop(process)
    return _figures(reader.seen, began_s, joined_s, settled_s) | {
        "pace_per_s": options.pace,
        "sent_late_ms_max": sent.late_s * 1000,
        "acknowledged_ms": {
            "p50": float(np.quantile(sent.acknowledged_s, 0.5)) * 1000,
            "p99": float(np.quantile(sent.acknowledged_s, 0.99)) * 1000,
        },
        "pieces_mean": means,
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


async def _caught_up(settings: Settings, process: Any, log: Path) -> None:
    deadline = time.monotonic() + 120.0
    while True:
        told = _status(settings)
        if told and told["engine"]["events"] >= FILL_EVENTS * 0.99 and not sum(told["lag"].values()):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise ContenderError(f"the worker did not catch up: {ending(log)}")
        await asyncio.sleep(0.2)


def _status(settings: Settings) -> dict[str, Any]:
    with Redis.from_url(settings.redis_url) as redis:
        return harness.status(redis, settings, "first") or {}


def _figures(
    seen: Sequence[tuple[Marker, float, bool]], began_s: float, joined_s: float, settled_s: float
) -> dict[str, Any]:
    """Quantiles of the quiet part and of the rebalance, in milliseconds."""
    lists: dict[bool, list[float]] = {True: [], False: []}
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for marker, at_s, holds in seen:
        if marker.due_s < began_s + WARM_UP_S:
            continue
        if not marker.pair:
            lists[joined_s <= marker.due_s <= settled_s].append((at_s - marker.due_s) * 1000)
        elif not joined_s - 1.0 <= marker.due_s <= settled_s:
            # The pair itself was due one probe's distance before its first probe.
            number = int(marker.shopper.rpartition("-")[2])
            due_s = marker.due_s - number * PROBE_EVERY_S
            pairs[marker.pair].append((at_s - due_s, float(holds)))
    neighbours = [
        min((late_s for late_s, holds in probes if holds), default=LOST_S) * 1000 for probes in pairs.values()
    ]
    return {
        "recommendation_p50_ms": float(np.quantile(lists[False], 0.5)),
        "recommendation_p99_ms": float(np.quantile(lists[False], 0.99)),
        "neighbours_p50_ms": float(np.quantile(neighbours, 0.5)),
        "neighbours_p99_ms": float(np.quantile(neighbours, 0.99)),
        "rebalance_pause_ms": max(lists[True], default=0.0),
        "rebalance_s": settled_s - joined_s,
        "lists": len(lists[False]),
        "pairs": len(neighbours),
    }


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    return harness.run("fresh", arguments(given), measure)


if __name__ == "__main__":
    sys.exit(main())
