"""Kafka as lists, and workers that may be killed between any two sends: the protocol of saved state.

What a real worker does is the engine's; who owns what, what was delivered and what was committed is played
as `stream.runtime` does it: a lane's batches are delivered in order, each destination's messages in order,
saved buckets after everything before them, and a commit only after that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from stream.config import EngineConfig
from stream.effects import Effects, Message
from stream.engine import Engine
from stream.events.records import LogRecord
from tests.unit.core_helpers import T0

SAVED_PER_EVENT = 2_000.0
"""About two buckets an event: a rotation is thirty events."""


class Lane(NamedTuple):
    """One partition of one stage: what is assigned, worked on in order, and committed."""

    stage: str
    partition: int


@dataclass
class Kafka:
    """Topics as lists; `states` are compacted."""

    events: list[list[LogRecord]]
    updates: list[list[LogRecord]]
    sizes: dict[str, Any] = field(default_factory=lambda: {"max_items": 2048, "max_shoppers": 2048})
    states: dict[tuple[Lane, bytes], bytes] = field(default_factory=dict)
    committed: dict[Lane, int] = field(default_factory=dict)
    owners: dict[Lane, Owner] = field(default_factory=dict)

    def log(self, lane: Lane) -> list[LogRecord]:
        return (self.events if lane.stage == "shoppers" else self.updates)[lane.partition]

    def lanes(self) -> list[Lane]:
        """Items first, as a worker restores them."""
        items = [Lane("items", q) for q in range(len(self.updates))]
        return items + [Lane("shoppers", p) for p in range(len(self.events))]


@dataclass
class _Work:
    """What one batch still wants to be written."""

    upto: int
    unsent: dict[int, deque[Message]]
    saved: list[Message]


class Owner:
    """One worker process. It may go on after it has lost its lanes: a zombie, whose commits Kafka refuses."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.engine = Engine(
            EngineConfig(
                item_partitions=len(kafka.updates), rows_saved_per_event=SAVED_PER_EVENT, **kafka.sizes
            )
        )
        self.next: dict[Lane, int] = {}
        self.delivered: dict[Lane, int] = {}
        self.working: dict[Lane, deque[_Work]] = {}
        self.replayed = 0

    def take(self, lane: Lane) -> None:
        """Own a lane: load what was saved, replay up to what was committed."""
        kafka, engine = self.kafka, self.engine
        kafka.owners[lane] = self
        place = kafka.committed.setdefault(lane, 0)
        saved = [value for (of, _), value in sorted(kafka.states.items()) if of == lane]
        if lane.stage == "items":
            engine.open_items(lane.partition, 1)
            start = engine.restore_items(lane.partition, saved)
        else:
            engine.open_shoppers(lane.partition, 1)
            start = engine.restore_shoppers(lane.partition, saved)
        start = min(start, place)
        for part in _cut(kafka.log(lane)[start:place], Random(place)):
            self._apply(lane, part, silent=True)
        self.replayed += place - start
        self.next[lane] = self.delivered[lane] = place
        self.working[lane] = deque()

    def work(self, lane: Lane, most: int) -> bool:
        """Apply the next records of a lane; what follows from them waits to be delivered."""
        records = self.kafka.log(lane)[self.next[lane] : self.next[lane] + most]
        if not records:
            return False
        effects = self._apply(lane, records, silent=False)
        unsent: dict[int, deque[Message]] = {}
        for message in effects.messages:
            if message.topic == "item-updates" and message.partition is not None:
                unsent.setdefault(message.partition, deque()).append(message)
        self.next[lane] = records[-1].offset + 1
        save = self.engine.save_items if lane.stage == "items" else self.engine.save_shoppers
        self.working[lane].append(_Work(self.next[lane], unsent, save(lane.partition)))
        return True

    def deliver(self, lane: Lane, random: Random) -> bool:
        """One more message, or one more bucket, of a lane's oldest batch."""
        if not self.working[lane]:
            return False
        work = self.working[lane][0]
        if work.unsent:
            to = random.choice(sorted(work.unsent))
            message = work.unsent[to].popleft()
            log = self.kafka.updates[to]
            log.append(LogRecord(len(log), T0, message.key, message.value))
            if not work.unsent[to]:
                del work.unsent[to]
        elif work.saved:
            message = work.saved.pop(0)
            self.kafka.states[lane, message.key or b""] = message.value
        else:
            self.delivered[lane] = work.upto
            self.working[lane].popleft()
        return True

    def commit(self, lane: Lane) -> None:
        """As the group's coordinator takes it: from the lane's owner only."""
        if self.kafka.owners.get(lane) is self:
            self.kafka.committed[lane] = self.delivered[lane]

    def follow(self, lane: Lane) -> None:
        """Apply all of a lane's log, and deliver nothing of what follows from it."""
        for part in _cut(self.kafka.log(lane), Random(0)):
            self._apply(lane, part, silent=False)

    def settle(self, random: Random) -> None:
        """Work and deliver until nothing is left to do."""
        while any([self.work(lane, 50) or self.deliver(lane, random) for lane in self.next]):
            pass

    def _apply(self, lane: Lane, records: Sequence[LogRecord], silent: bool) -> Effects:
        apply = self.engine.items if lane.stage == "items" else self.engine.shoppers
        return apply(lane.partition, records, T0, silent)


def _cut(records: Sequence[LogRecord], random: Random) -> Iterator[Sequence[LogRecord]]:
    """In batches of other sizes than they had: nothing may hang on how a log is cut."""
    at = 0
    while at < len(records):
        size = random.randint(1, 40)
        yield records[at : at + size]
        at += size


def play(kafka: Kafka, random: Random, steps: int) -> int:
    """Random owners, batches, deliveries, commits, kills and takeovers; how many lanes were taken over."""
    lanes, alive, taken = kafka.lanes(), list[Owner](), 0
    for _ in range(steps):
        act = random.random()
        if not alive or act < 0.03:
            alive.append(Owner(kafka))
            for lane in lanes:
                if lane not in kafka.owners or random.random() < 0.5:
                    alive[-1].take(lane)
                    taken += 1
            continue
        owner = random.choice(alive)
        if act < 0.055 and len(alive) > 1:
            # Killed; its lanes go to another. One that merely lost its lanes lives on.
            alive.remove(owner)
            heir = random.choice(alive)
            for lane in [lane for lane in lanes if kafka.owners[lane] is owner]:
                heir.take(lane)
                taken += 1
        elif owner.next:
            lane = random.choice(sorted(owner.next))
            if act < 0.4:
                owner.work(lane, random.randint(1, 12))
            elif act < 0.9:
                for _ in range(random.randint(1, 8)):
                    owner.deliver(lane, random)
            else:
                owner.commit(lane)
    return taken
