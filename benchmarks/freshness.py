"""`python -m benchmarks.freshness`: how long after an event its list can be read, under steady load.

Open loop: events are due at fixed times, and latency counts from when one was due, not from when it could be
sent. Markers go along with the load: shoppers who come once, so that their key in Redis appears with their
list; and pairs of new items that are bought together, with probes by further shoppers who put the one into
their carts, until the other is in a list of the scenario `cart`, which needs no model to know so.
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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from aiokafka import AIOKafkaProducer
from redis import Redis

from benchmarks import harness, pieces
from benchmarks.contender import ContenderError, ending, start, stop
from benchmarks.topics import write
from benchmarks.workload import encode, generate
from stream.local import Stack
from stream.runtime import topics
from stream.runtime.record_batch import Packed, PackedBatch, pack_records
from stream.runtime.settings import Settings
from stream.state.texts import Texts
from stream.values import key_of

PARTITIONS = 8
SEED = 1
FILL_EVENTS = 200_000
STEP_S = 0.01
"""Events are sent together that are due within so long, as producers do that linger."""
BATCH_BYTES = 256 << 10
SHOPPER_EVERY_S = 0.02
PAIR_EVERY_S = 0.5
PROBE_EVERY_S, PROBES = 0.025, 60
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
    """A shopper whose list is waited for. `pair`: the new item that the cart's list has to hold, if any."""

    shopper: str
    due_s: float
    item: str
    """What the shopper looks at, buys (`pair-...`) or puts into the cart (`probe-...`)."""
    pair: str = ""
    awaited: bool = True

    def event(self, number: int, began_ms: int) -> bytes:
        """What the shopper does, as a shop writes it."""
        kinds = {"pair": "purchase", "probe": "cart"}
        told = {
            "type": kinds.get(self.shopper.partition("-")[0], "view"),
            "event_id": f"m{number}",
            "ts": began_ms + round(self.due_s * 1000),
            "user_id": self.shopper,
            "session_id": self.shopper,
            "order_id": self.shopper,
            "item_id": self.item,
        }
        return json.dumps(told).encode()

    def key(self, prefix: str) -> str:
        """Where the list is read."""
        return key_of(prefix, "recs-cart" if self.pair else "recs", self.shopper)


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
                found: Any = self._redis.mget([marker.key(self._prefix) for marker in asked])
                now_s = time.monotonic()
                for marker, value in zip(asked, found, strict=True):
                    if value is not None or now_s - marker.due_s > LOST_S:
                        holds = value is not None and bool(marker.pair) and marker.pair.encode() in value
                        self.seen.append((marker, now_s, holds))
                        with self._lock:
                            del self._waiting[marker.shopper]
            time.sleep(0.002)


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


class Step(NamedTuple):
    """What is due within one step, packed before the clock starts, to take little of the machine later."""

    due_s: float
    """End of the step, when all of it can be sent."""
    batches: list[Packed]
    markers: list[Marker]


def schedule(pace: float, seconds: float) -> list[Step]:
    """Load and markers in the order in which they are due, in seconds from the beginning."""
    began_ms = int(time.time()) * 1000
    markers = sorted(_markers(seconds), key=lambda marker: marker.due_s)
    told = [marker.event(n, began_ms) for n, marker in enumerate(markers)]
    load = list(encode(generate(round(pace * seconds), began_ms, SEED + 1)))
    due_s = np.arange(len(load)) / pace
    marked_s = np.array([marker.due_s for marker in markers])
    steps: list[Step] = []
    at = marked = 0
    for end_s in np.arange(1, round(seconds / STEP_S) + 1) * STEP_S:
        upto, marked_upto = np.searchsorted(due_s, end_s), np.searchsorted(marked_s, end_s)
        keys = [key for _, key, _, _ in load[at:upto]]
        keys += [marker.shopper.encode() for marker in markers[marked:marked_upto]]
        values = [value for _, _, value, _ in load[at:upto]] + told[marked:marked_upto]
        packed = pack_records(Texts.of(keys), Texts.of(values), PARTITIONS, BATCH_BYTES)
        steps.append(Step(float(end_s), packed, [m for m in markers[marked:marked_upto] if m.awaited]))
        at, marked = int(upto), int(marked_upto)
    return steps


def _markers(seconds: float) -> Iterator[Marker]:
    for k in range(round(seconds / SHOPPER_EVERY_S)):
        yield Marker(f"mark-{k}", k * SHOPPER_EVERY_S, f"i{k % 1000:06d}")
    for k in range(round(seconds / PAIR_EVERY_S)):
        due_s = k * PAIR_EVERY_S
        first, second = f"first-{k}", f"second-{k}"
        yield Marker(f"pair-{k}", due_s, first, awaited=False)
        yield Marker(f"pair-{k}", due_s, second, awaited=False)
        for j in range(1, PROBES + 1):
            yield Marker(f"probe-{k}-{j}", due_s + j * PROBE_EVERY_S, first, pair=second)


@dataclass
class Sent:
    """How the driver itself did: how late it sent at most, and how long Kafka took to acknowledge."""

    late_s: float = 0.0
    acknowledged_s: list[float] = field(default_factory=list)


async def send(bootstrap: str, topic: str, plan: Sequence[Step], reader: Reader, began_s: float) -> Sent:
    """Send each step when it is due."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=0, acks="all")
    await producer.start()
    sent = Sent()
    pending: set[Any] = set()
    try:
        for step in plan:
            await asyncio.sleep(max(began_s + step.due_s - time.monotonic(), 0.0))
            now_s = time.monotonic() - began_s
            sent.late_s = max(sent.late_s, now_s - step.due_s)
            for marker in step.markers:
                reader.expect(replace(marker, due_s=began_s + marker.due_s))
            for packed in step.batches:
                batch = PackedBatch(packed, int(time.time() * 1000))
                delivery = await producer.send_batch(batch, topic, partition=packed.partition)
                pending.add(delivery)
                delivery.add_done_callback(pending.discard)
                delivery.add_done_callback(
                    lambda _, at_s=now_s: sent.acknowledged_s.append(time.monotonic() - began_s - at_s)
                )
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
    return sent


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Fill, load, join a second worker, measure; the whole report."""
    plan = await asyncio.to_thread(schedule, options.pace, options.seconds)
    settings, environment = await harness.prepared(stack.bootstrap, stack.redis_url, PARTITIONS)
    events = settings.topic(topics.EVENTS)
    fill = encode(generate(FILL_EVENTS, int(time.time()) * 1000, SEED))
    await write(stack.bootstrap, events, PARTITIONS, fill)
    logs = [folder / "first.log", folder / "second.log"]
    processes = [start([*harness.WORKER, "--worker-id", "first"], environment, logs[0])]
    reader = Reader(stack.redis_url, settings.prefix)
    try:
        await _caught_up(settings, processes[0], logs[0])
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
            continue
        # The pair itself was due one probe's distance before its first probe.
        due_s = marker.due_s - int(marker.shopper.rpartition("-")[2]) * PROBE_EVERY_S
        if not joined_s - 1.0 <= due_s <= settled_s:
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
