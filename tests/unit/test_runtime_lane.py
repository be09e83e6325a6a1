from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.effects import Effects
from stream.events.records import LogRecord
from stream.runtime import lane as lanes
from stream.runtime.freshness import Freshness
from stream.runtime.lane import Lane
from stream.runtime.stages import Stage

TP0 = TP("events", 0)
NOW_MS = 5_000


class Scene:
    """A lane with everything around it replaced; `release` lets one delivery through."""

    def __init__(self) -> None:
        self.applied: list[list[int]] = []
        self.delivering: list[asyncio.Future[int]] = []
        self.acked: list[int] = []
        self.forgotten: list[int] = []
        self.unread = 0
        self.behind: list[bool] = []
        self.closed: list[TP] = []
        self.errors: list[BaseException] = []
        self.is_open = True
        self.generation = 1
        self.engine = asyncio.Event()
        self.engine.set()
        stage = Stage(
            "shoppers",
            "events",
            None,
            lambda p, ms: None,
            lambda p, saved: 0,
            lambda p: None,
            lambda *b: Effects(),
        )
        units: Any = SimpleNamespace(apply=self.apply, close=self.close)
        outbox: Any = SimpleNamespace(deliver=self.deliver)
        self.freshness = Freshness()
        self.lane = Lane(stage, units, outbox, self.errors.append, self.freshness, 100)

    async def apply(self, parts, behind):
        self.behind.append(behind)
        if not self.is_open:
            return [None]
        ((_, records),) = parts
        if records[0].value == b"crash":
            raise ValueError("told to crash")
        self.applied.append([record.offset for record in records])
        await self.engine.wait()
        return [Effects()]

    async def close(self, tp):
        self.closed.append(tp)

    async def deliver(self, many):
        self.delivering.append(asyncio.get_running_loop().create_future())
        return await self.delivering[-1]

    def event(self, *offsets: int, value: bytes = b"") -> Any:
        message = SimpleNamespace(tp=TP0, topic="events", offset=offsets[-1], generation_id=self.generation)
        consumer = SimpleNamespace(
            forget=lambda m: self.forgotten.append(m.offset), unread=lambda topic: self.unread
        )
        return SimpleNamespace(
            value=[(TP0, [LogRecord(offset, 1000, b"k", value) for offset in offsets])],
            message=message,
            app=SimpleNamespace(consumer=consumer),
            ack=lambda: self.acked.append(message.offset),
        )


@pytest.fixture
async def scene():
    found = Scene()
    task = asyncio.create_task(found.lane.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_batch_is_acknowledged_only_after_its_effects_are_delivered(scene):
    await scene.lane.take(scene.event(0, 1, 2))
    await settle()
    assert (scene.applied, scene.acked) == ([[0, 1, 2]], [])
    scene.delivering[0].set_result(NOW_MS)
    await settle()
    assert scene.acked == [2]
    assert scene.freshness.quantile_ms(0.5, NOW_MS) is not None
    assert scene.freshness.since["broker"].read().buckets[-1][1] == 3
    assert scene.lane.batch_records.read().sum == 3


async def test_what_comes_while_others_are_on_their_way_is_applied_and_delivered_together(scene, monkeypatch):
    monkeypatch.setattr(lanes, "WAITING_RECORDS", 6)
    fetches = [(k, k + 1) for k in range(0, 64, 2)]

    async def agent():
        for offsets in fetches:
            await scene.lane.take(scene.event(*offsets))

    taking = asyncio.create_task(agent())
    await settle()
    taken = sum(map(len, scene.applied))
    assert 2 < taken <= 6 + 6, "some are on their way, six records wait"
    while len(scene.acked) < len(fetches):
        done = len(scene.delivering)
        scene.delivering[-1].set_result(NOW_MS)
        await settle()
        assert len(scene.delivering) <= done + 1, "one delivery at a time"
        assert scene.acked == [last for _, last in fetches[: len(scene.acked)]], "all of a delivery, in order"
    assert len(scene.delivering) < len(fetches), "together"
    assert [k for batch in scene.applied for k in batch] == list(range(64)), "each record once, in order"
    await taking


async def test_what_comes_of_a_partition_while_the_engine_is_busy_is_one_batch(scene, monkeypatch):
    monkeypatch.setattr(lanes, "BATCH_RECORDS", 5)
    scene.engine.clear()
    for k in range(9):
        await scene.lane.take(scene.event(k))
    await settle()
    assert scene.applied == [[0], [1, 2, 3, 4, 5]], "it is given a full batch before it is done with the last"
    assert scene.delivering == []
    scene.engine.set()
    await settle()
    assert scene.applied == [[0], [1, 2, 3, 4, 5], [6, 7, 8]]
    for _ in range(3):
        if not scene.delivering[-1].done():
            scene.delivering[-1].set_result(NOW_MS)
        await settle()
    assert scene.acked == list(range(9))
    assert scene.lane.batch_records.read().sum == 9


async def test_the_engine_is_told_of_a_backlog(scene):
    for unread in (100, 101, 7):
        scene.unread = unread
        await scene.lane.take(scene.event(unread))
        await settle()
    assert scene.behind == [False, True, False]


async def test_a_fetch_larger_than_a_batch_is_applied_whole(scene, monkeypatch):
    monkeypatch.setattr(lanes, "BATCH_RECORDS", 2)
    await scene.lane.take(scene.event(0, 1, 2))
    await settle()
    assert scene.applied == [[0, 1, 2]]


async def test_what_is_abandoned_is_not_acknowledged_and_its_unit_is_closed(scene):
    await scene.lane.take(scene.event(0))
    await scene.lane.take(scene.event(1))
    await settle()
    scene.lane.abandon()
    await settle()
    assert scene.acked == []
    assert scene.forgotten == [0, 1]
    assert scene.closed == [TP0, TP0]
    await scene.lane.take(scene.event(2))
    await settle()
    assert scene.acked == []
    assert scene.forgotten == [0, 1, 2], "the unit is ahead of what was delivered"
    scene.generation = 2
    await scene.lane.take(scene.event(0))
    await settle()
    scene.delivering[-1].set_result(NOW_MS)
    await settle()
    assert scene.acked == [0], "after the rebalance it is read again"


async def test_what_was_gathered_is_forgotten_when_all_is_abandoned(scene, monkeypatch):
    monkeypatch.setattr(lanes, "WAITING_RECORDS", 6)
    scene.engine.clear()
    taking = asyncio.gather(*(scene.lane.take(scene.event(k)) for k in range(8)))
    await settle()
    assert not taking.done()
    scene.lane.abandon()
    scene.engine.set()
    await taking
    await settle()
    assert sorted(scene.forgotten) == list(range(8))
    assert scene.acked == []
    assert scene.applied == [[0]]


async def test_a_batch_for_a_unit_that_is_not_open_is_forgotten(scene):
    scene.is_open = False
    await scene.lane.take(scene.event(0))
    await settle()
    assert (scene.applied, scene.forgotten) == ([], [0])


async def test_a_fetch_is_not_acknowledged_if_one_of_its_units_is_not_open(scene):
    """The other's effects are delivered, which does no harm when they are made again."""

    async def apply(parts, behind):
        return [Effects(), None]

    scene.lane._units.apply = apply
    event = scene.event(5)
    event.value.append((TP("events", 1), [LogRecord(9, 1000, b"k", b"")]))
    await scene.lane.take(event)
    await settle()
    scene.delivering[0].set_result(NOW_MS)
    await settle()
    assert (scene.acked, scene.forgotten) == ([], [5])


async def test_after_an_error_of_the_engine_nothing_more_is_applied_or_acknowledged(scene):
    await scene.lane.take(scene.event(1, value=b"crash"))
    await settle()
    await scene.lane.take(scene.event(2))
    await settle()
    assert [str(error) for error in scene.errors] == ["told to crash"]
    assert scene.applied == []
    assert scene.forgotten == [1, 2]


async def test_after_a_failed_delivery_nothing_more_is_acknowledged(scene):
    await scene.lane.take(scene.event(0))
    await scene.lane.take(scene.event(1))
    await settle()
    scene.delivering[0].set_exception(ValueError("refused"))
    await settle()
    assert [str(error) for error in scene.errors] == ["refused"]
    assert scene.acked == []
    assert scene.forgotten == [0, 1]
