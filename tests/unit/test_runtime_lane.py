from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.effects import Effects
from stream.events.records import LogRecord
from stream.runtime.freshness import Freshness
from stream.runtime.lane import WAITING, Lane
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
        self.closed: list[TP] = []
        self.errors: list[BaseException] = []
        self.is_open = True
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
        self.lane = Lane(stage, units, outbox, self.errors.append, self.freshness)

    async def apply(self, tp, records):
        if not self.is_open:
            return None
        if records[0].value == b"crash":
            raise ValueError("told to crash")
        self.applied.append([record.offset for record in records])
        await self.engine.wait()
        return Effects()

    async def close(self, tp):
        self.closed.append(tp)

    async def deliver(self, many):
        self.delivering.append(asyncio.get_running_loop().create_future())
        return await self.delivering[-1]

    def event(self, *offsets: int, value: bytes = b"") -> Any:
        message = SimpleNamespace(tp=TP0, topic="events", partition=0, offset=offsets[-1])
        consumer = SimpleNamespace(forget=lambda m: self.forgotten.append(m.offset))
        return SimpleNamespace(
            value=[LogRecord(offset, 1000, b"k", value) for offset in offsets],
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


async def test_batches_are_applied_while_others_are_on_their_way_and_those_that_wait_go_together(scene):
    async def agent():
        for k in range(4 * WAITING):
            await scene.lane.take(scene.event(k))

    taking = asyncio.create_task(agent())
    await settle()
    applied = len(scene.applied)
    assert WAITING < applied <= 2 * WAITING + 2, "some on their way, some wait, one in the agent's hands"
    while len(scene.acked) < 4 * WAITING:
        done = len(scene.delivering)
        scene.delivering[-1].set_result(NOW_MS)
        await settle()
        assert len(scene.delivering) <= done + 1, "one delivery at a time"
        assert scene.acked == list(range(len(scene.acked))), "all of a delivery, in order"
    assert len(scene.delivering) < 4 * WAITING, "together"
    await taking


async def test_the_engine_is_given_the_next_batch_before_it_is_done_with_the_last(scene):
    scene.engine.clear()
    await scene.lane.take(scene.event(0))
    await scene.lane.take(scene.event(1))
    await settle()
    assert (scene.applied, scene.delivering) == ([[0], [1]], [])
    scene.engine.set()
    await settle()
    scene.delivering[0].set_result(NOW_MS)
    await settle()
    assert scene.acked == [0, 1]


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
    scene.delivering[-1].set_result(NOW_MS)
    await settle()
    assert scene.acked == [2], "later batches go their way"


async def test_a_batch_for_a_unit_that_is_not_open_is_forgotten(scene):
    scene.is_open = False
    await scene.lane.take(scene.event(0))
    await settle()
    assert (scene.applied, scene.forgotten) == ([], [0])


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
