"""Events counted outside the group: the logs as they would go on if one engine were the only worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stream.effects import ListsFor
from stream.errors import StateError
from stream.events.records import LogRecord, Record, Refused
from stream.runtime.clock import now_ms
from stream.runtime.kafka_sink import partition_of
from stream.runtime.topics import EVENTS, ITEM_UPDATES

if TYPE_CHECKING:
    from stream.engine import Engine

LogPlace = tuple[str, int]
"""A log's name without namespace, and a partition."""


class SoleWorker:
    """What shoppers have to tell the items is handed over here, and nothing is written anywhere.

    `next` is the offset after the last record of each log: of what Kafka holds and of what it would.
    Nobody is given a list.
    """

    def __init__(self, engine: Engine, partitions: int, following: Mapping[LogPlace, int]) -> None:
        self.next = dict(following)
        self._engine = engine
        self._partitions = partitions
        self._written: list[tuple[bytes, Record]] = []

    def events(self, partition: int, records: Sequence[Record]) -> list[Refused]:
        """A batch of `events`, and what the items hear of it; the records that are no events."""
        effects = self._engine.shoppers(partition, records, now_ms(), lists=ListsFor.NOBODY)
        self._written += effects.rekeyed
        for message in effects.messages:
            if message.topic == ITEM_UPDATES and message.partition is not None:
                self._tell(message.partition, message.value)
            elif message.topic == EVENTS and message.key is not None:
                record = LogRecord(-1, records[-1].timestamp, message.key, message.value)
                self._written.append((message.key, record))
        return effects.refused

    def items(self, partition: int, records: Sequence[Record]) -> None:
        """A batch of `item-updates`."""
        self._engine.items(partition, records, now_ms(), silent=True)

    def write_again(self) -> None:
        """What a worker writes to `events` itself, at the end of the log where it belongs.

        Records whose key was not their shopper, and what follows from a visitor's being identified. That a
        worker has written them before is seen by their ids.
        """
        while self._written:
            waiting, self._written = self._written, []
            for key, record in waiting:
                partition = partition_of(key, self._partitions)
                offset = self.next[EVENTS, partition]
                self.next[EVENTS, partition] += 1
                again = LogRecord(offset, record.timestamp, key, record.value, record.headers)
                self.events(partition, [again])

    def _tell(self, partition: int, value: bytes) -> None:
        offset = self.next[ITEM_UPDATES, partition]
        self.next[ITEM_UPDATES, partition] += 1
        unit = self._engine.item_units[partition]
        holes = unit.holes
        self.items(partition, [LogRecord(offset, 0, None, value)])
        if unit.holes > holes:
            raise StateError(
                f"Messages of item-updates-{partition} are missing that the group has read events for: the "
                "state is not whole, let the workers read item-updates first."
            )
