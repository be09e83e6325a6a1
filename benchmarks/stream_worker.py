"""One turn of this project: a live worker with its usual settings doing all of its job, watched from outside.

Nothing inside the worker is asked to measure: the time comes from what Kafka says that the worker's
group has committed, the lists from the output topic's end offsets, the writes from Redis's own counters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from redis import Redis

from benchmarks import harness, pieces
from benchmarks.contender import ContenderError, ending, start, stop
from benchmarks.topics import Ends, Event, write
from stream.runtime import topics
from stream.runtime.settings import Settings

SAMPLE_S = 0.1
TURN_TIMEOUT_S = 600.0
READY_TIMEOUT_S = 120.0
INPUTS = (topics.EVENTS, topics.ITEM_UPDATES, topics.EXAMPLES)
"""What a worker's group reads; its job is done when all three are committed to their ends."""
LISTS = topics.OF_KIND["recs"]
SAVING = ("shoppers.save", "items.save")


class WorkerTurn(msgspec.Struct, frozen=True):
    """What one worker did in one turn."""

    events: int
    seconds: float
    """From the first list published to the commit of the last record of every input topic."""
    seconds_to_last_list: float
    lists: int
    """Messages in `recommendations`."""
    shoppers: int
    """Shoppers of the log."""
    shoppers_in_redis: int
    """Shoppers that have a list in Redis."""
    redis_writes: int
    """SET commands that Redis carried out, lists and all other values: of the lists of a shopper that are
    delivered together the last."""
    dead_letters: int
    saving_share: float
    """Share of the time in which the engine packed state that is saved."""

    @property
    def events_per_s(self) -> float:
        """Rate of the turn."""
        return self.events / self.seconds


async def take_turn(
    bootstrap: str,
    redis_url: str,
    namespace: str,
    partitions: int,
    events: Iterable[Event],
    folder: Path,
    coalesce: bool = False,
) -> WorkerTurn:
    """Write `events` to a namespace of its own, then start a worker on it and watch until all is committed.

    A list for every event, though all of them are a backlog; with `coalesce` the usual setting for one.

    Empties the Redis server first: give it a private one.
    """
    more = {} if coalesce else {"backlog_records": "0"}
    settings, environment = await harness.prepared(
        bootstrap,
        redis_url,
        partitions,
        namespace=namespace,
        group=f"{namespace}stream",
        worker_id="measured",
        **more,
    )
    shoppers: set[int] = set()
    written = await write(
        bootstrap, settings.topic(topics.EVENTS), partitions, _noting_shoppers(events, shoppers)
    )
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        redis.config_resetstat()
        log = folder / f"{namespace}log"
        process = start(harness.WORKER, environment, log)
        try:
            watched = await _watch(settings, written, lambda: process.poll() is None, log)
            steps = pieces.read(harness.status(redis, settings, "measured") or {})
        finally:
            await stop(process)
        sets = redis.info("commandstats").get("cmdstat_set", {"calls": 0})["calls"]
        served = sum(1 for _ in redis.scan_iter(f"{settings.prefix}:*:recs:*", count=10_000))
    saving_s = sum(steps[name][0] for name in SAVING)
    return msgspec.structs.replace(
        watched,
        shoppers=len(shoppers),
        shoppers_in_redis=served,
        redis_writes=sets,
        saving_share=saving_s / watched.seconds,
    )


def _noting_shoppers(events: Iterable[Event], shoppers: set[int]) -> Iterable[Event]:
    for event in events:
        shoppers.add(event[0])
        yield event


async def committed_offsets(settings: Settings) -> dict[str, int]:
    """Sum of the offsets that the group has committed, by input topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        return await _offsets(admin, settings)
    finally:
        await admin.close()


async def done(settings: Settings, ends: Ends) -> bool:
    """Whether the group has committed all that its input topics hold."""
    return await _reached(await committed_offsets(settings), ends, settings)


async def _watch(settings: Settings, events: int, alive: Callable[[], bool], log: Path) -> WorkerTurn:
    clock = asyncio.get_running_loop().time
    began, first, last_list, lists = clock(), 0.0, 0.0, 0
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        async with Ends(settings.bootstrap) as ends:
            while True:
                now = clock()
                if not alive():
                    raise ContenderError(f"stream: the worker stopped early: {ending(log)}")
                if now - began > (TURN_TIMEOUT_S if first else READY_TIMEOUT_S):
                    raise ContenderError(f"stream: the worker was not done in time: {ending(log)}")
                found = await ends.count(settings.topic(LISTS), settings.partitions)
                if found > lists:
                    first, last_list, lists = first or now, now, found
                if first and await _reached(await _offsets(admin, settings), ends, settings):
                    done = clock()
                    break
                await asyncio.sleep(SAMPLE_S)
            dead = await ends.count(settings.topic(topics.DEAD_LETTERS), settings.partitions)
            lists = await ends.count(settings.topic(LISTS), settings.partitions)
    finally:
        await admin.close()
    return WorkerTurn(events, done - first, last_list - first, lists, 0, 0, 0, dead, 0.0)


async def _offsets(admin: AIOKafkaAdminClient, settings: Settings) -> dict[str, int]:
    offsets = await admin.list_consumer_group_offsets(settings.group)
    return {
        name: sum(max(at.offset, 0) for tp, at in offsets.items() if tp.topic == settings.topic(name))
        for name in INPUTS
    }


async def _reached(offsets: dict[str, int], ends: Ends, settings: Settings) -> bool:
    for name in INPUTS:
        # One partition of `examples`: the learner's topic is never split.
        partitions = 1 if name == topics.EXAMPLES else settings.partitions
        if offsets[name] < await ends.count(settings.topic(name), partitions):
            return False
    return True
