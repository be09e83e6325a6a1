"""Whole workers as processes, with an engine that counts, on real Kafka and Redis."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from stream.runtime.topics import prepare
from tests.integration.kit import (
    PATIENCE_S,
    committed,
    produce,
    read_all,
    redis_call,
    settings_for,
    status,
    wait_until,
    workers,
)

PARTITIONS = 4


def events(count: int, start: int = 0) -> list[tuple[bytes | None, bytes | None, int | None]]:
    return [(b"shopper-%d" % (k % 500), b"event", k % PARTITIONS) for k in range(start, start + count)]


async def sources(settings: Any) -> Counter[tuple[int, int]]:
    """How often each record of `events` led to a list."""
    return Counter(tuple(json.loads(r.value)["source"]) for r in await read_all(settings, "recommendations"))


async def until(condition: Any, what: str) -> None:
    """Wait for an async condition."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not await condition():
        assert loop.time() < end, f"in vain: {what}"
        await asyncio.sleep(0.1)


@pytest.fixture
async def settings(stack, namespace):
    found = settings_for(stack, namespace, max_poll_records=500)
    await prepare(found)
    return found


async def test_events_become_values_and_a_graceful_stop_commits_everything(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        placed = await produce(settings, "events", events(4000))

        async def all_done():
            return len(await sources(settings)) == len(placed)

        await until(all_done, "a list for every event")
        assert worker.stop() == 0, worker.output()
        assert worker.told("Stopped.")
    assert await committed(settings, "events") == {p: 1000 for p in range(PARTITIONS)}
    assert set(await sources(settings)) == set(placed)
    assert set((await sources(settings)).values()) == {1}
    value = json.loads(await redis_call(settings, "GET", f"{settings.prefix}:v1:recs:{{shopper-1}}"))
    assert value["source"][1] == 999 - (999 * PARTITIONS + 1 - 1) % 500 // PARTITIONS
    batches = [json.loads(r.value) for r in await read_all(settings, "item-updates")]
    assert sum(count for _, count in batches) == 4000
    assert await read_all(settings, "models")


async def test_after_a_kill_nothing_is_lost_and_little_is_repeated(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        first = start("first", 0.0005)
        first.wait_told("Ready.")
        placed = await produce(settings, "events", events(8000))

        async def some_done():
            return len(await sources(settings)) > 2500 and any((await committed(settings, "events")).values())

        await until(some_done, "the first lists, some of them committed")
        first.kill()
        before = await committed(settings, "events")
        delivered = await sources(settings)
        second = start("second")

        async def all_done():
            return len(await sources(settings)) == len(placed)

        await until(all_done, "a list for every event")
        assert second.stop() == 0, second.output()
    found = await sources(settings)
    assert set(found) == set(placed)
    repeated = {place for place, times in found.items() if times > 1}
    # Repeated is exactly what had been delivered and not yet committed at the kill.
    assert repeated == {(p, o) for p, o in delivered if o >= before.get(p, 0)}
    assert second.told("Restored")
    # The counting state is that of one uninterrupted run: each list tells how many its unit had seen.
    for record in await read_all(settings, "recommendations"):
        value = json.loads(record.value)
        assert value["seen"] == value["source"][1] + 1


async def test_two_workers_share_partitions_and_a_third_takes_over(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        one = start("one", 0.0002)
        one.wait_told("Ready.")
        placed = await produce(settings, "events", events(6000))
        two = start("two", 0.0002)
        two.wait_told("Ready.")

        async def shared():
            held = [await status(settings, name) for name in ("one", "two")]
            shoppers = [(s or {}).get("partitions", {}).get("shoppers", {}) for s in held]
            return all(shoppers) and sum(map(len, shoppers)) == PARTITIONS

        await until(shared, "both hold partitions")
        placed += await produce(settings, "events", events(6000))
        assert one.stop() == 0, one.output()
        placed += await produce(settings, "events", events(3000))

        async def all_done():
            return len(await sources(settings)) == len(placed)

        await until(all_done, "a list for every event")
        assert two.stop() == 0, two.output()
    found = await sources(settings)
    # Nobody was killed: what a rebalance interrupts is finished and committed first.
    assert set(found) == set(placed)
    assert set(found.values()) == {1}
    for record in await read_all(settings, "recommendations"):
        value = json.loads(record.value)
        assert value["seen"] == value["source"][1] + 1


async def test_redis_goes_away_and_comes_back(stack, settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        await produce(settings, "events", [(b"early", b"event", 0)])

        async def written(key: str):
            return await redis_call(settings, "GET", f"{settings.prefix}:v1:recs:{{{key}}}")

        await until(lambda: written("early"), "the first value")
        stack.stop_redis()
        await produce(settings, "events", [(b"late-%d" % k, b"event", k % PARTITIONS) for k in range(2000)])
        worker.wait_told("does not serve")
        assert sum((await committed(settings, "events")).values()) < 2001
        stack.start_redis()
        await until(lambda: written("late-1999"), "the last value")
        await until(lambda: written("late-0"), "the first of the late values")
        assert worker.told("answers again")
        assert worker.stop() == 0, worker.output()
    assert sum((await committed(settings, "events")).values()) == 2001
    assert len(await sources(settings)) == 2001


async def test_kafka_goes_away_and_comes_back(stack, settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        placed = await produce(settings, "events", events(1000))
        stack.stop_kafka()
        await asyncio.sleep(3)
        stack.start_kafka()
        placed += await produce(settings, "events", events(1000))

        async def all_done():
            return set(await sources(settings)) == set(placed)

        await until(all_done, "a list for every event")
        assert worker.process.poll() is None, worker.output()
        assert worker.stop() == 0, worker.output()
    assert sum((await committed(settings, "events")).values()) == 2000


async def test_a_stop_is_soon_over_even_when_redis_or_kafka_is_away(stack, settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        stack.stop_redis()
        placed = await produce(settings, "events", events(1000))
        worker.wait_told("does not serve")
        assert worker.stop() == 0, worker.output()
        stack.start_redis()
        assert sum((await committed(settings, "events")).values()) < 1000
        worker = start("two")
        worker.wait_told("Ready.")

        async def all_done():
            return set(await sources(settings)) == set(placed)

        await until(all_done, "a list for every event")
        stack.stop_kafka()
        assert worker.stop() == 1, worker.output()
        assert worker.told("leaving at once")
        stack.start_kafka()


async def test_a_refused_record_is_delivered_before_its_batch_is_committed(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        await produce(settings, "events", [(b"x", b"event", 1), (b"key", b"bad", 1), (None, b"somebody", 1)])

        async def rekeyed_done():
            return any(r.key == b"somebody" for r in await read_all(settings, "recommendations"))

        await until(rekeyed_done, "the re-keyed event's list")
        assert worker.stop() == 0
    (dead,) = await read_all(settings, "dead-letters")
    assert (dead.key, dead.value) == (b"key", b"bad")
    headers = dict(dead.headers)
    assert headers["stream-topic"].decode() == settings.topic("events")
    assert (headers["stream-partition"], headers["stream-offset"]) == (b"1", b"1")
    assert headers["stream-error"] == b"malformed"
    again = next(r for r in await read_all(settings, "events") if r.key == b"somebody")
    assert dict(again.headers) == {"stream-rekeyed-from": b"1:2"}


async def test_an_unforeseen_error_ends_the_worker_with_the_batch_uncommitted(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        await produce(settings, "events", [(b"x", b"event", 2), (b"x", b"crash", 2)])
        assert worker.process.wait(PATIENCE_S) == 1, worker.output()
        assert worker.told("told to crash")
    assert (await committed(settings, "events"))[2] == 0


async def test_versions_grow_over_restarts_and_the_catalogue_is_known_before_ready(settings, tmp_path):
    await produce(settings, "items", [(b"i-%d" % k, b"{}", 0) for k in range(50)])
    versions = []
    for name in ("one", "two"):
        with workers(settings, tmp_path) as start:
            worker = start(name)
            worker.wait_told("Ready.")
            await produce(settings, "events", [(b"x", b"event", 3)])

            async def told(name=name):
                return ((await status(settings, name)) or {}).get("freshness_p99_ms") is not None

            await until(told, "the event is counted and its value written")
            found = await status(settings, name)
            assert found is not None
            assert found["engine"]["control_items"] == 50
            assert found["ready"]
            assert found["lag"]["shoppers"] == 0
            assert found["records"]["shoppers"] == 1
            assert found["freshness_p99_ms"] > 0
            assert worker.stop() == 0
        value = json.loads(await redis_call(settings, "GET", f"{settings.prefix}:v1:recs:{{x}}"))
        versions.append(value["version"])
    assert versions[0] < versions[1]
    assert versions[0].split("-")[0] == versions[1].split("-")[0], "the lineage stays"


async def test_a_worker_waits_for_kafka_and_redis(stack, namespace, tmp_path):
    settings = settings_for(stack, namespace)
    stack.stop_redis()
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("start it or correct STREAM_REDIS_URL")
        stack.start_redis()
        worker.wait_told("Ready.")
        assert worker.stop() == 0
    nowhere = settings_for(stack, namespace, bootstrap="127.0.0.1:9")
    with workers(nowhere, tmp_path) as start:
        worker = start("two")
        worker.wait_told("start it or correct STREAM_BOOTSTRAP")
        wait_until(
            lambda: sum("STREAM_BOOTSTRAP" in line["message"] for line in worker.lines) == 1, "told once"
        )
        assert worker.stop() == 0
