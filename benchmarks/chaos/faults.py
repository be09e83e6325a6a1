"""What goes wrong, in which order, and how it is done to the workers and servers."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis import Redis

from benchmarks.chaos.crew import Crew
from benchmarks.chaos.watch import Watch
from stream.local import Stack
from stream.local.ports import answers
from stream.runtime import topics
from stream.runtime.settings import Settings

RECOVERY_TIMEOUT_S = 90.0
APART_S = 25.0
"""From a kill to the next fault at least, so that each one's recovery is its own."""
CALM_S = 8.0
"""From the others."""
FROZEN_BEYOND_SESSION_S = 4.0
UNCOMMITTED = 50
"""Events of one partition whose lists a worker has made and not committed, at least, when it is killed."""

KILL, KILL_TWO, KILL_RESTORING, KILL_SAVING = "kill", "kill-two", "kill-restoring", "kill-saving"
FREEZE, BROKER_STOP, BROKER_KILL, REDIS_FLUSH = "freeze", "broker-stop", "broker-kill", "redis-flush"

FULL = (
    *[KILL] * 10,
    KILL_TWO,
    *[KILL_RESTORING] * 3,
    *[KILL_SAVING] * 3,
    *[FREEZE] * 5,
    BROKER_STOP,
    BROKER_KILL,
    REDIS_FLUSH,
)
SHORT = (KILL, KILL_RESTORING, FREEZE, BROKER_STOP, REDIS_FLUSH)


class Fault(msgspec.Struct, frozen=True):
    """What was done and what came of it.

    `recovery_s`: from the last kill, or the freeze, until lists were made in every partition for events that
    came after it. `redelivered`: lists made twice. A restart of Kafka counts from its coming back.
    """

    kind: str
    at_s: float
    recovery_s: float
    redelivered: int


def plan(kinds: Sequence[str], seed: int) -> list[str]:
    """The faults in random order, the first of them a plain kill."""
    shuffled = list(kinds)
    random.Random(seed).shuffle(shuffled)
    shuffled.remove(KILL)
    return [KILL, *shuffled]


def longest_s(kinds: Sequence[str]) -> float:
    """How long the faults will take at most, if all goes well: a kill in a restore waits for the restore."""
    return sum(APART_S + 11.0 if kind.startswith(KILL) else CALM_S + 12.0 for kind in kinds)


class Faults:
    """Carries faults out. `ends()` tells how many events are in the log by partition."""

    def __init__(
        self,
        stack: Stack,
        crew: Crew,
        watch: Watch,
        redis: Redis,
        ends: Callable[[], Sequence[int]],
        settings: Settings,
        seed: int,
    ) -> None:
        self._stack = stack
        self._crew = crew
        self._watch = watch
        self._redis = redis
        self._ends = ends
        self._settings = settings
        self._random = random.Random(seed)
        self._acts = {
            KILL: self._kill,
            KILL_TWO: self._kill_two,
            KILL_RESTORING: self._kill_restoring,
            KILL_SAVING: self._kill_saving,
            FREEZE: self._freeze,
            BROKER_STOP: self._broker_stop,
            BROKER_KILL: self._broker_kill,
            REDIS_FLUSH: self._redis_flush,
        }

    async def do(self, kind: str) -> Fault:
        """One fault, and the wait until everything goes on."""
        clock = asyncio.get_running_loop().time
        began, repeated = clock(), self._watch.repeated
        await self._acts[kind]()
        # The log's end may have been told before the last produced batch was acknowledged: one more is new.
        recovery_s = await self._watch.until_reached(list(self._ends()), RECOVERY_TIMEOUT_S)
        await self._crew.ready()
        apart_s = APART_S if kind.startswith(KILL) else CALM_S
        await asyncio.sleep(max(0.0, apart_s - (clock() - began)))
        return Fault(kind, began, recovery_s, self._watch.repeated - repeated)

    async def _kill(self) -> None:
        name = self._random.choice(self._crew.names())
        await self._uncommitted(name)
        self._replace(name)

    async def _kill_two(self) -> None:
        first, second = self._random.sample(self._crew.names(), 2)
        await self._uncommitted(first)
        self._replace(first)
        self._replace(second)

    async def _uncommitted(self, name: str) -> None:
        """Wait until a worker has made lists for events that it has not committed: a kill just after a
        commit, with nothing to be done again, would prove nothing."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._stack.bootstrap, group_id=self._settings.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            tps = self._partitions(topics.EVENTS)
            consumer.assign(tps)
            while True:
                for tp in tps:
                    if self._crew.owner(tp.partition) == name:
                        committed = await consumer.committed(tp) or 0
                        if self._watch.reached[tp.partition] >= committed + UNCOMMITTED:
                            return
                await asyncio.sleep(0.02)
        finally:
            await consumer.stop()

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._settings.topic(topic), p) for p in range(len(self._ends()))]

    async def _kill_restoring(self) -> None:
        """One that restores what another, killed before, had."""
        await self._kill()
        before = self._crew.restorations()
        while True:
            now = self._crew.restorations()
            restoring = [name for name in now if now[name] > before.get(name, 0)]
            if restoring:
                return self._replace(self._random.choice(restoring))
            await asyncio.sleep(0.005)

    async def _kill_saving(self) -> None:
        """One whose bucket has just come in: others of its rotation have not."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._stack.bootstrap, fetch_max_wait_ms=5)
        await consumer.start()
        try:
            tps = self._partitions(topics.SHOPPER_STATE)
            consumer.assign(tps)
            await consumer.seek_to_end(*tps)
            while True:
                for tp in await consumer.getmany(timeout_ms=1000):
                    name = self._crew.owner(tp.partition)
                    if name is not None:
                        return self._replace(name)
        finally:
            await consumer.stop()

    async def _freeze(self) -> None:
        name = self._random.choice(self._crew.names())
        self._crew.signal(name, signal.SIGSTOP)
        await asyncio.sleep(self._settings.session_timeout_s + FROZEN_BEYOND_SESSION_S)
        self._crew.signal(name, signal.SIGCONT)

    async def _broker_stop(self) -> None:
        await asyncio.to_thread(self._stack.stop_kafka)
        await asyncio.to_thread(self._stack.start_kafka)

    async def _broker_kill(self) -> None:
        os.kill(self._stack.pids["kafka"], signal.SIGKILL)
        # One that is still about to die needs no start.
        while answers(int(self._stack.bootstrap.rpartition(":")[2])):
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._stack.start_kafka)

    async def _redis_flush(self) -> None:
        await asyncio.to_thread(self._redis.flushall)

    def _replace(self, name: str) -> None:
        self._crew.kill(name)
        self._crew.start()
