"""Committed offsets, with the unit's lineage and what is known of its trouble as their metadata.

A lineage that is kept so lives and dies with the offset: it is there after a restart, the same for every
worker, and new when the topic or the group is new. (Overrides private parts of Faust 0.15.3, as `transport`.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.errors import LayoutError
from stream.runtime.fetch import read_in_blocks
from stream.runtime.trouble import CALM, Trouble

log = logging.getLogger(__name__)

FAUST_LOG = logging.getLogger("faust.transport.batches")
"""What Faust says through our subclasses is still Faust's: it would take this module's name otherwise."""

COMMIT_RETRY_S = 0.5
METADATA_BYTES = 4000
"""Brokers refuse more than 4,096 (their `offset.metadata.max.bytes`)."""

FETCH_MAX_WAIT_MS, FETCH_MIN_BYTES = 20, 128 << 10
"""A broker answers a fetch when it has so much, or after so long: with little traffic, what comes to all
partitions meanwhile is one batch; a backlog is not kept waiting."""


class Committed(NamedTuple):
    """Where the group stands in a partition: next offset to read, the lineage of the unit (0: none), and
    which of its records are suspected or left out."""

    offset: int
    lineage_ms: int
    trouble: Trouble = CALM


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to the brokers (and sends heartbeats whatever the main thread does)."""

    logger = FAUST_LOG

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms, consumer._fetch_min_bytes = FETCH_MAX_WAIT_MS, FETCH_MIN_BYTES
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        read_in_blocks(self._ensure_consumer())

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> Any:
        """Up to `max_records` of each topic. aiokafka hands out one partition's buffer after the other, so
        a backlog of events would keep the item stage waiting, whose rows every list is made from."""
        fetch = super()._fetch_records
        found: dict[Any, Any] = {}
        for topic in {tp.topic for tp in active_partitions}:
            mine = {tp for tp in active_partitions if tp.topic == topic}
            found |= await fetch(consumer, mine, timeout=0, max_records=max_records)
        return found or await fetch(consumer, active_partitions, timeout=timeout, max_records=max_records)

    def place(self, tp: TP) -> tuple[int, int] | None:
        """Position and end of a partition's log, None while no broker has told its end. Plain numbers, which
        another thread may read at any time."""
        subscription = self._consumer._subscription.subscription if self._consumer is not None else None
        assignment = subscription.assignment if subscription is not None else None
        state = assignment.state_value(TopicPartition(*tp)) if assignment is not None else None
        if state is None or state.highwater is None or not state.has_valid_position:
            return None
        return state.position, state.highwater

    async def committed(self, tps: list[TP]) -> dict[TP, Committed | None]:
        """What the group has committed; None where it has never committed."""
        return await self.call_thread(self._committed, tps)  # type: ignore[no-any-return]

    async def _committed(self, tps: list[TP]) -> dict[TP, Committed | None]:
        coordinator = self._ensure_consumer()._coordinator
        found = await coordinator.fetch_committed_offsets([TopicPartition(*tp) for tp in tps])
        return {tp: parse_committed(found.get(TopicPartition(*tp))) for tp in tps}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        ours: Any = self.consumer
        lineages: Mapping[TP, int] = ours.lineages
        troubles: Mapping[TP, Trouble] = ours.troubles
        while True:
            held = self.assignment()
            wanted = {
                TopicPartition(*tp): OffsetAndMetadata(offset, metadata(lineages[tp], troubles.get(tp, CALM)))
                for tp, offset in offsets.items()
                if tp in held and tp in lineages
            }
            try:
                if wanted:
                    await consumer.commit(wanted)
                ours.away = False
                return bool(wanted)
            except (CommitFailedError, IllegalStateError):
                # The group has moved on without us: whoever owns the partitions now reads these again.
                ours.away = False
                return False
            except KafkaError as error:
                if not error.retriable or self.should_stop:
                    raise
                log.warning("Offsets are not committed yet (%s): trying again.", error)
                ours.away = True
                await asyncio.sleep(COMMIT_RETRY_S)


_decode = msgspec.json.Decoder(Trouble).decode


def metadata(lineage_ms: int, trouble: Trouble) -> str:
    """Text of a commit's metadata: the lineage, and where there is trouble JSON of it after a space."""
    if trouble == CALM:
        return str(lineage_ms)
    text = f"{lineage_ms} {msgspec.json.encode(trouble).decode()}"
    if len(text.encode()) > METADATA_BYTES:
        return metadata(lineage_ms, trouble.without_words())
    return text


def parse_committed(found: Any) -> Committed | None:
    """What a group's offset and metadata say; None for none.

    The metadata begin with the lineage. After a space comes the trouble, or what a newer version adds, which
    is left alone; an offset that was set by hand has none. Raises `LayoutError` for anything else: taken for
    none, the unit would begin anew without its state.
    """
    if found is None or found.offset < 0:
        return None
    lineage, _, more = (found.metadata or "").partition(" ")
    if lineage and not (lineage.isascii() and lineage.isdigit()):
        raise LayoutError(
            f"the group's commit at offset {found.offset} says {found.metadata!r}, which is not of this "
            "version: upgrade this worker first, or use a group of its own"
        )
    try:
        trouble = _decode(more) if more else CALM
    except msgspec.MsgspecError:
        trouble = CALM
    return Committed(found.offset, int(lineage or 0), trouble)
