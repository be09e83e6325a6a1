"""One log, three ways: in this process, through Kafka with one worker, through Kafka with two."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis
from aiokafka import AIOKafkaConsumer

from stream.config import EngineConfig
from stream.engine import Engine
from stream.events.decode import to_ms
from stream.events.records import LogRecord
from stream.events.types import AnyEvent, Search
from stream.local import Stack
from stream.pipeline import Pipeline
from stream.pricing import Mode, PricingConfig
from stream.runtime import topics
from stream.runtime.bystander import restore
from stream.runtime.settings import Settings
from stream.simulate import Shop, ShopConfig
from stream.state.hashing import murmur2
from stream.values import key_of
from tests.integration.kit import PATIENCE_S, environment, produce, read_all, settings_for, wait_until

PARTITIONS = 4
QUIET_S = 2.5
"""Longer than the second between two popularity messages of a partition."""

CONFIG = EngineConfig(item_partitions=PARTITIONS, pricing=PricingConfig(mode=Mode.OFF))


def shop_log() -> list[AnyEvent]:
    """Some 600 events: few enough that the ranking model stays inactive, so that it cannot differ."""
    shop = Shop(ShopConfig(seed=3, start_ms=1_760_000_000_000, n_items=60, n_shoppers=50, n_categories=4))
    return shop.advance(shop.clock_ms + 20 * 86_400_000, max_events=600)


def pings(events: list[AnyEvent]) -> list[AnyEvent]:
    """A search by everybody, after all is quiet: it asks for a list and tells the items nothing."""
    last = max(to_ms(event.ts) for event in events)
    everybody = sorted({event.user_id for event in events})
    return [Search(event_id=f"ping-{u}", ts=last + 1, user_id=u, query="lamp") for u in everybody]


def partition_of(user: str) -> int:
    key = user.encode()
    return int(murmur2(np.frombuffer(key, np.uint8), 0, len(key))) % PARTITIONS


class InProcess:
    """The engine without Kafka, fed one event at a time in the partitions that Kafka would use."""

    def __init__(self, events: list[AnyEvent]) -> None:
        self.pipeline = Pipeline(CONFIG, partitions=PARTITIONS)
        self.offsets = [0] * PARTITIONS
        self.clock_ms = 0
        self.push(events)
        self.values: dict[str, dict[bytes, bytes]] = {"similar": {}, "together": {}}
        for values in self.pipeline.drain(self.clock_ms).values:
            if values.kind in self.values:
                self.values[values.kind].update(zip(values.ids, values.values, strict=True))
        self.recs = self.push(pings(events))

    def push(self, events: list[AnyEvent]) -> dict[bytes, bytes]:
        recs: dict[bytes, bytes] = {}
        for event in events:
            partition, ts = partition_of(event.user_id), to_ms(event.ts)
            self.clock_ms = max(self.clock_ms, ts)
            key, value = event.user_id.encode(), msgspec.json.encode(event)
            record = LogRecord(self.offsets[partition], ts, key, value)
            self.offsets[partition] += 1
            for values in self.pipeline.push([record], ts, partition).values:
                if values.kind == "recs":
                    recs |= dict(zip(values.ids, values.values, strict=True))
        return recs


WORKER = (sys.executable, "-m", "stream", "worker", "--pricing", "off")


class Fleet:
    """Worker processes on one namespace."""

    def __init__(self, settings: Settings, folder: Path, reads: redis.Redis) -> None:
        self.settings, self.folder, self.reads = settings, folder, reads
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, count: int) -> None:
        for _ in range(count):
            self.add()
        self.wait_shared(count)

    def add(self, command: Sequence[str] = WORKER) -> None:
        """One more worker."""
        k = len(self.processes)
        with (self.folder / f"worker-{k}.log").open("wb") as out:
            env = environment(self.settings, f"w{k}")
            self.processes.append(subprocess.Popen(command, env=env, stdout=out, stderr=out))

    def retire(self, k: int) -> None:
        """Stop one worker gracefully; it tells nothing any more."""
        self.processes[k].send_signal(signal.SIGTERM)
        assert self.processes[k].wait(PATIENCE_S) == 0, self.logs()
        self.reads.delete(key_of(self.settings.prefix, "worker", f"w{k}"))

    def wait_shared(self, count: int) -> None:
        """Until `count` workers are ready and share the partitions."""
        wait_until(lambda: len(self.ready()) == count, f"{count} workers are ready:", self.logs)
        shared = [status["partitions"].get("shoppers", {}) for status in self.ready()]
        assert sorted(p for each in shared for p in each) == [str(p) for p in range(PARTITIONS)]
        assert all(shared), "a worker has no partition"

    def statuses(self) -> list[dict]:
        keys = [key_of(self.settings.prefix, "worker", f"w{k}") for k in range(len(self.processes))]
        return [json.loads(value) for value in self.reads.mget(keys) if value]

    def ready(self) -> list[dict]:
        held = [status for status in self.statuses() if status["ready"]]
        owned = sum(len(status["partitions"].get("shoppers", {})) for status in held)
        return held if owned == PARTITIONS else []

    def wait_applied(self, events: int) -> None:
        """Until `events` are applied in all, and all that items hear of them."""

        def done() -> bool:
            statuses = self.statuses()
            return (
                sum(status["engine"]["events"] for status in statuses) == events
                and sum(sum(status["lag"].values()) for status in statuses) == 0
            )

        wait_until(done, f"{events} events are applied:", lambda: (self.statuses(), self.logs()))

    def wait_quiet(self, events: int) -> None:
        """Until `events` are applied and nothing has been published for a while."""
        self.wait_applied(events)
        last: list[int] = []
        for _ in range(int(PATIENCE_S / QUIET_S)):
            now = [status["redis_written"] for status in self.statuses()]
            if now == last:
                return
            last = now
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes[0].wait(QUIET_S)

    def logs(self) -> str:
        return "\n".join(log.read_text() for log in sorted(self.folder.glob("worker-*.log")))

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(PATIENCE_S) for process in self.processes] == [0] * len(self.processes), (
            self.logs()
        )


@pytest.fixture
def fleet(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    settings = settings_for(stack, namespace, partitions=PARTITIONS)
    os.environ.pop("STREAM_CONFIG", None)
    with redis.Redis.from_url(stack.redis_url) as reads:
        fleet = Fleet(settings, tmp_path, reads)
        yield fleet
        for process in fleet.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def rows(events: list[AnyEvent]) -> list[tuple[bytes | None, bytes | None, int | None]]:
    return [
        (event.user_id.encode(), msgspec.json.encode(event), partition_of(event.user_id)) for event in events
    ]


async def item_side(settings: Settings) -> Engine:
    """A fresh item stage, fed every exchange message that the workers wrote."""
    engine = Engine(CONFIG)
    consumer = AIOKafkaConsumer(
        settings.topic(topics.ITEM_UPDATES),
        bootstrap_servers=settings.bootstrap,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        for tp in ends:
            engine.open_items(tp.partition, 0)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                engine.items(tp.partition, records, 0)
    finally:
        await consumer.stop()
    return engine


def counts(engine: Engine) -> dict[bytes, tuple]:
    """Exact counts of every item, and its neighbours with their weights."""
    found = {}
    for unit in engine.item_units.values():
        for number in unit.members().tolist():
            row = engine.table.rows[number]
            exact = tuple(int(row[name]) for name in ("views", "carts", "purchases", "units_sold"))
            near = {}
            for kind in ("viewed", "bought", "led_to"):
                for other, weight in zip(row[kind]["item"], row[kind]["weight"], strict=True):
                    if other:
                        near[kind, engine.table.interner.name(int(other) - 1)] = float(weight)
            found[engine.table.interner.name(number)] = (exact, near)
    return found


def assert_same_counts(mine: dict[bytes, tuple], theirs: dict[bytes, tuple]) -> None:
    assert mine.keys() == theirs.keys()
    for item, (exact, near) in mine.items():
        assert theirs[item][0] == exact, item
        assert theirs[item][1].keys() == near.keys(), item
        for pair, weight in near.items():
            assert theirs[item][1][pair] == pytest.approx(weight, rel=1e-5), (item, pair)


def as_list(value: bytes) -> dict[str, float]:
    told = json.loads(value)
    return dict(zip(told["items"], told["scores"], strict=True))


def assert_same_lists(mine: dict[bytes, bytes], reads: redis.Redis, prefix: str, kind: str) -> None:
    assert mine
    for name, value in mine.items():
        theirs = reads.get(key_of(prefix, kind, name.decode()))
        assert isinstance(theirs, bytes), name
        assert as_list(theirs) == pytest.approx(as_list(value), abs=2e-5), name


@pytest.mark.parametrize("count", [1, 2])
async def test_the_same_log_gives_the_same_counts_and_lists(fleet: Fleet, count: int) -> None:
    events = shop_log()
    expected = InProcess(events)
    fleet.start(count)
    await produce(fleet.settings, "events", rows(events))
    fleet.wait_quiet(len(events))
    assert_same_counts(counts(expected.pipeline.engine), counts(await item_side(fleet.settings)))
    for kind, values in expected.values.items():
        assert_same_lists(values, fleet.reads, fleet.settings.prefix, kind)
    if count == 1:
        asked = pings(events)
        await produce(fleet.settings, "events", rows(asked))
        fleet.wait_quiet(len(events) + len(asked))
        assert_same_lists(expected.recs, fleet.reads, fleet.settings.prefix, "recs")
    sent = sum(status["engine"]["exchange_messages"] for status in fleet.statuses())
    applied = sum(status["records"]["items"] for status in fleet.statuses())
    assert applied == sent > 0, "the item stage must be fed through Kafka, also by a single worker"
    assert sum(status["engine"]["holes"] for status in fleet.statuses()) == 0
    fleet.stop()


@pytest.mark.parametrize("rows_saved_per_event", [0.0, 10_000.0])
async def test_a_killed_worker_replaced_by_two_changes_no_count(
    fleet: Fleet, rows_saved_per_event: float
) -> None:
    """Restored by replay of the whole log, or from saved buckets, written anew with every batch."""
    events = shop_log()
    fleet.settings = fleet.settings.model_copy(update={"rows_saved_per_event": rows_saved_per_event})
    expected = InProcess(events)
    fleet.start(1)
    half = len(events) // 2
    await produce(fleet.settings, "events", rows(events[:half]))
    fleet.wait_applied(half)
    saved = {r.partition for r in await read_all(fleet.settings, "shopper-state")}
    assert len(saved) == (PARTITIONS if rows_saved_per_event else 0)
    fleet.processes[0].send_signal(signal.SIGKILL)
    fleet.processes[0].wait()
    fleet.processes = []
    fleet.reads.delete(key_of(fleet.settings.prefix, "worker", "w0"))
    fleet.start(2)
    await produce(fleet.settings, "events", rows(events[half:]))
    wait_until(
        lambda: (
            sum(s["engine"]["events"] for s in fleet.statuses()) >= len(events) - half
            and sum(sum(s["lag"].values()) for s in fleet.statuses()) == 0
        ),
        "the second half is applied",
    )
    assert_same_counts(counts(expected.pipeline.engine), counts(await item_side(fleet.settings)))
    assert sum(status["engine"]["holes"] for status in fleet.statuses()) == 0
    replayed = sum(status["engine"]["replayed"] for status in fleet.statuses())
    assert (replayed < half / 4) == bool(rows_saved_per_event), replayed
    fleet.stop()


async def test_a_worker_that_is_stopped_leaves_nothing_to_replay(fleet: Fleet) -> None:
    events = shop_log()
    expected = InProcess(events)
    fleet.start(1)
    await produce(fleet.settings, "events", rows(events))
    fleet.wait_applied(len(events))
    fleet.stop()
    engine = Engine(CONFIG)
    await restore(fleet.settings, engine)
    assert engine.metrics.replayed == 0
    assert_same_counts(counts(expected.pipeline.engine), counts(engine))
