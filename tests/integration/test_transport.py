"""Batch delivery, commits and restore through real consumer groups, in this process."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.structs import TopicPartition

from stream.runtime.topics import prepare
from tests.integration.kit import (
    PATIENCE_S,
    admin_for,
    committed,
    produce,
    settings_for,
    status,
    wait_until,
    workers,
)


@pytest.fixture
async def settings(stack, namespace):
    found = settings_for(stack, namespace, max_poll_records=100)
    await prepare(found)
    return found


async def forget(settings, partition: int, before: int) -> None:
    """Have Kafka delete the records of `events` before an offset, as retention does."""
    async with admin_for(settings) as admin:
        tp = TopicPartition(settings.topic("events"), partition)
        await admin.delete_records({tp: RecordsToDelete(before)})


async def applied(settings, worker: str) -> int:
    return int(((await status(settings, worker)) or {}).get("records", {}).get("shoppers", 0))


async def wait_applied(settings, worker: str, count: int) -> None:
    for _ in range(int(PATIENCE_S / 0.1)):
        if await applied(settings, worker) == count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await applied(settings, worker)} applied instead of {count}")


async def test_records_arrive_in_batches_and_commits_follow_without_a_stop(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        worker = start("one")
        worker.wait_told("Ready.")
        await produce(settings, "events", [(b"k%d" % k, b"event", k % 4) for k in range(2000)])
        await wait_applied(settings, "one", 2000)
        found = await status(settings, "one")
        assert found is not None
        assert 0 < found["batches"]["shoppers"] <= 200
        for _ in range(50):
            if await committed(settings, "events") == {p: 500 for p in range(4)}:
                break
            await asyncio.sleep(0.1)
        assert await committed(settings, "events") == {p: 500 for p in range(4)}
        assert worker.stop() == 0


async def test_unread_events_that_retention_has_eaten_are_refused(settings, tmp_path):
    with workers(settings, tmp_path) as start:
        one = start("one")
        one.wait_told("Ready.")
        assert one.stop() == 0
        await produce(settings, "events", [(b"k", b"event", 2) for _ in range(50)])
        await forget(settings, 2, 30)
        two = start("two")
        wait_until(lambda: two.process.poll() is not None, "the worker ends")
        assert two.process.returncode == 2, two.output()
        (told,) = [line for line in two.lines if line["level"] == "error"]
        assert f"deleted records 0 to 29 of {settings.topic('events')}-2" in told["message"]
        assert "--reset-offsets" in told["message"]
        assert "traceback" not in told
    assert (await committed(settings, "events"))[2] == 0


async def test_history_that_retention_has_eaten_after_it_was_read_is_told_of(settings, tmp_path):
    await produce(settings, "events", [(b"k", b"event", 1) for _ in range(50)])
    with workers(settings, tmp_path) as start:
        one = start("one")
        await wait_applied(settings, "one", 50)
        assert one.stop() == 0
        await forget(settings, 1, 20)
        two = start("two")
        two.wait_told("Ready.")
        assert two.told("is partial")
        await produce(settings, "events", [(b"k", b"event", 1) for _ in range(5)])
        await wait_applied(settings, "two", 5)
        found = await status(settings, "two")
        assert found is not None
        assert found["engine"]["replayed"] == 30
        assert two.stop() == 0
    assert (await committed(settings, "events"))[1] == 55


async def test_a_replay_longer_than_the_session_timeout_keeps_the_worker_in_its_group(settings, tmp_path):
    await produce(settings, "events", [(b"k%d" % k, b"event", k % 4) for k in range(16_000)])
    with workers(settings, tmp_path) as start:
        one = start("one")
        await wait_applied(settings, "one", 16_000)
        assert one.stop() == 0
        two = start("two", 0.0005)
        two.wait_told("Ready.")
        restored = [
            line for line in two.lines if "Restored" in line["message"] and "events" in line["message"]
        ]
        assert [line["replayed"] for line in restored] == [4000] * 4
        assert sum(line["ms"] for line in restored) > settings.session_timeout_s * 1000
        await produce(settings, "events", [(b"k", b"event", 0)])
        await wait_applied(settings, "two", 1)
        assert two.stop() == 0
