"""What is served, and when the worker is ended, with an engine that is made up and no Kafka or Redis."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from prometheus_client.parser import text_string_to_metric_families as parse

from stream.runtime.clock import now_ms
from stream.runtime.engine_thread import EngineThread
from stream.runtime.freshness import Freshness
from stream.runtime.settings import Settings
from stream.runtime.telemetry.families import FAMILIES
from stream.runtime.telemetry.histogram import STEP_EDGES_S, Histogram
from stream.runtime.telemetry.monitor import Monitor
from stream.runtime.telemetry.observer import Observer
from stream.runtime.telemetry.pulse import ENGINE, LOOP
from stream.runtime.telemetry.watchdog import STALL_S, Stalled
from stream.runtime.trial import Trial
from stream.runtime.unit import Unit

A = TP("events", 0)


class Scene:
    """A monitor with everything around it replaced."""

    def __init__(self) -> None:
        self.counters: dict[str, Any] = {
            "events": 7,
            "model": "logistic",
            "quality": {"plain": {"hr@20": 0.5, "mrr@20": 0.25}},
            "shoppers_evicted": 3,
        }
        self.ends: dict[TP, int | None] = {A: 10}
        self.failed: list[BaseException | None] = []
        self.phase: str | None = None
        self.now_s = 0.0
        self.probed: list[str] = []
        self.away: str | None = None
        stage: Any = SimpleNamespace(name="shoppers")
        self.unit = Unit(stage, 0, 1, 10, Trial(A, lambda change: True))
        units: Any = SimpleNamespace(
            items=lambda: [(A, self.unit)],
            seconds={("apply", "shoppers"): Histogram(STEP_EDGES_S)},
            restore_seconds=Histogram((1.0,)),
            replayed=Counter(),
        )
        outbox: Any = SimpleNamespace(
            away=None,
            seconds={"send": Histogram(STEP_EDGES_S)},
            dead_letters=Counter({"malformed-json": 2, "of-another-kind": 1}),
            rekeyed=0,
            saved_buckets=Counter({"shopper-state": 5}),
            saved_bytes=Counter(),
            kafka=SimpleNamespace(sent=4, retries=0, away=False),
            redis=SimpleNamespace(counts=SimpleNamespace(written=9, refused=1, retries=0), away=False),
        )
        lane: Any = SimpleNamespace(
            stage=stage, batch_records=Histogram((1.0, 10.0)), seconds={"poll": Histogram((1.0,))}
        )
        lane.batch_records.observe(3)
        self.outbox: Any = outbox
        engine: Any = SimpleNamespace(metrics=SimpleNamespace(as_dict=lambda: self.counters))
        self.thread = EngineThread()
        self.observer = Observer(engine, self.thread, units, [lane], outbox, Freshness())
        self.group: Any = SimpleNamespace(
            away=False,
            rebalances=2,
            commit_seconds=Histogram(STEP_EDGES_S),
            end=self.ends.get,
            unfinished=lambda tp: 5,
        )
        self.observer.group = self.group
        self.monitor = Monitor(
            Settings.load(), self.observer, lambda: self.phase, self.failed.append, 1, self.probe
        )

    async def probe(self, topic: str) -> str | None:
        self.probed.append(topic)
        return self.away

    async def ask(self, path: str) -> tuple[int, str]:
        return await asyncio.to_thread(get, f"{self.monitor.url}{path}")

    async def stand(self, seconds: float) -> None:
        """Let time pass for the watchdog, a second at a time."""
        sample = await self.observer.look()
        for _ in range(int(seconds)):
            self.now_s += 1.0
            await self.monitor.watch(sample, self.now_s)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
async def scene():
    found = Scene()
    yield found
    await found.thread.stop()


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Samples of one name by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in parse(text)
        for sample in family.samples
        if sample.name == name
    }


async def test_every_metric_is_there_with_its_help_and_kind(scene):
    async with scene.monitor:
        await seen(scene)
        status, text = await scene.ask("/metrics")
    assert status == 200
    found = {family.name: family for family in parse(text)}
    for family in FAMILIES:
        shown = found[family.name.removesuffix("_total")]
        assert (shown.documentation, shown.type) == (family.help, family.kind)
        for sample in shown.samples:
            assert set(sample.labels) - {"le"} == set(family.labels)
    assert "process_resident_memory_bytes" in found
    assert values(text, "stream_events_total") == {(): 7}
    dead = values(text, "stream_dead_letters_total")
    assert (dead[("malformed-json",)], dead[("too-old",)], dead[("of-another-kind",)]) == (2, 0, 1)
    assert values(text, "stream_model_hit_ratio") == {("plain",): 0.5}
    assert values(text, "stream_rows_evicted_total") == {("shoppers",): 3, ("items",): 0}
    assert values(text, "stream_saved_buckets_total") == {("shoppers",): 5, ("items",): 0}
    assert values(text, "stream_batch_records_bucket")[("10.0", "shoppers")] == 1
    assert values(text, "stream_rebalances_total") == {(): 2}


async def seen(scene: Scene) -> None:
    """Until the monitor has looked once."""
    while not scene.monitor._values:
        await asyncio.sleep(0.01)


def test_the_observer_and_the_table_of_metrics_name_the_same(scene):
    found = asyncio.run(scene.observer.look()).values
    scene.monitor.see(asyncio.run(scene.observer.look()), 0.0)
    assert set(found) < {family.name for family in FAMILIES}
    assert set(scene.monitor._values) == {family.name for family in FAMILIES}


async def test_a_worker_is_alive_and_ready_when_it_is(scene):
    async with scene.monitor:
        await seen(scene)
        assert await scene.ask("/healthz") == (200, '{"alive": true}\n')
        status, text = await scene.ask("/readyz")
        assert (status, json.loads(text)) == (200, {"ready": True, "lag_s": {"shoppers": 0.0}})
        scene.phase = "the worker is stopping"
        scene.monitor.see(await scene.observer.look(), 1.0)
        status, text = await scene.ask("/readyz")
        assert (status, json.loads(text)["reason"]) == (503, "the worker is stopping")
        assert values((await scene.ask("/metrics"))[1], "stream_ready") == {(): 0}


async def test_a_worker_whose_engine_is_stuck_says_so(scene):
    async with scene.monitor:
        await seen(scene)
        scene.monitor._pulse.heard_s[ENGINE] -= 1000
        assert (await scene.ask("/healthz"))[0] == 503
        status, text = await scene.ask("/readyz")
        assert status == 503
        assert "nothing was heard of the engine for 1" in json.loads(text)["reason"]
        assert "\n" not in text.strip()
        assert scene.monitor._pulse.heard_s[LOOP] > time.monotonic() - 60


async def test_lag_is_the_age_of_the_oldest_record_that_is_not_in_the_state(scene):
    now = now_ms()
    assert (await scene.observer.look()).lag_s == {"shoppers": 0.0}
    # Since it was last seen without any, a moment ago, a record has come.
    scene.ends[A], scene.unit.reached_ms = 11, now - 3_600_000
    found = await scene.observer.look()
    assert found.lag == {"shoppers": 1}
    assert found.lag_s["shoppers"] < 600
    # In a backlog the next is about as old as the last.
    scene.observer._even_ms.clear()
    scene.ends[A] = 1000
    found = await scene.observer.look()
    assert found.lag == {"shoppers": 990}
    assert found.lag_s["shoppers"] >= 3600
    scene.unit.next_offset = 1000
    assert (await scene.observer.look()).lag_s == {"shoppers": 0.0}


async def test_a_partition_that_nobody_tells_of_ages_from_when_it_was_opened(scene):
    scene.ends[A], scene.unit.opened_ms = None, now_ms() - 50_000
    found = await scene.observer.look()
    assert found.lag == {"shoppers": 0}
    assert found.lag_s["shoppers"] >= 50


async def test_when_nothing_is_committed_for_too_long_the_worker_ends(scene):
    await scene.stand(STALL_S)
    assert scene.failed == []
    await scene.stand(3)
    (error,) = scene.failed
    assert isinstance(error, Stalled)
    assert str(error).startswith(f"Nothing of events-0 was committed for {STALL_S:.0f} s")
    assert scene.probed == ["events"]


async def test_a_worker_that_waits_for_kafka_or_redis_is_not_ended(scene, caplog):
    scene.outbox.away = "Redis"
    await scene.stand(3 * STALL_S)
    scene.outbox.away, scene.group.away = None, True
    await scene.stand(3 * STALL_S)
    assert scene.probed == []
    scene.group.away, scene.away = False, "Kafka"
    await scene.stand(1.5 * STALL_S)
    assert scene.probed == ["events"]
    assert "waiting for Kafka to serve again" in caplog.text
    assert scene.failed == []


async def test_a_worker_that_restores_is_not_ended_nor_one_that_has_nothing_to_do(scene):
    scene.phase = "partitions are being assigned and restored"
    await scene.stand(3 * STALL_S)
    scene.phase = None
    scene.group.unfinished = lambda tp: None
    await scene.stand(3 * STALL_S)
    assert (scene.probed, scene.failed) == ([], [])


async def test_what_fails_while_looking_ends_the_worker(scene):
    scene.group.end = None
    async with scene.monitor:
        while not scene.failed:
            await asyncio.sleep(0.01)
    assert isinstance(scene.failed[0], TypeError)
