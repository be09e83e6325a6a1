"""Faust's Kafka transport, delivering one message per fetch of a topic.

Stock delivery makes several tasks and futures for every record. Here `Consumer.getmany` yields one
message for all records fetched of a topic: its value is a list of (partition, records), the records a
`Block`; its own partition and offset are the first partition's. All topics that this
application consumes are delivered so. What is overridden is private in Faust 0.15.3:
`tests/unit/test_runtime_transport.py` holds it.

Beyond speed, it closes what the original leaves open:

- Offsets: acknowledgements come in order, one batch at a time (see `stream.runtime.lane`), so the committable
  offset is the highest acknowledged + 1 without gap bookkeeping. It survives until revocation has committed
  it (the original forgets acknowledgements at the beginning of every revocation).
- An acknowledgement of an earlier generation commits nothing; one that comes while a commit is on its way
  is committed by the next (the original skips a commit then, also the last one before a revocation).
- A fetch that straddles a rebalance is thrown away and its partition sought back to what is delivered next.
- Reading goes on where each unit stands, also if the group's offset has moved since the unit was put there: a
  commit of the partition's last owner that comes late would skip what lies between.
- Records that retention has eaten before they were read raise `RetentionError`; they are never skipped.
- Commits carry the unit's lineage as metadata, so that it lives and dies with the committed offset, and what
  is known of records that ended a worker (`stream.runtime.trouble`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import faust
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

from stream.errors import RetentionError
from stream.events.block import since
from stream.runtime.commits import FAUST_LOG, Committed, ConsumerThread
from stream.runtime.telemetry.histogram import STEP_EDGES_S, Histogram
from stream.runtime.trouble import CALM, Trouble

log = logging.getLogger(__name__)


class BatchSchema(faust.Schema[Any, Any]):
    """Hands keys and values through as they are."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class Consumer(driver.Consumer):
    """Consumer whose messages are whole fetches."""

    logger = FAUST_LOG

    lineages: dict[TP, int]
    """Lineage of each open unit, written with every commit (set by `stream.runtime.units`)."""
    troubles: dict[TP, Trouble]
    """What is known of records that ended a worker, likewise."""
    opened: dict[TP, int]
    """The offset at which each unit was put by the last rebalance, likewise."""
    abandon: Callable[[], None] | None = None
    """Gives up deliveries that keep a revocation waiting for too long (set by the worker)."""
    revocation_grace_s: float = 5.0
    leaving: Callable[[], Awaitable[None]] | None = None
    """What is to be done before a worker that stops gives its partitions away (set by the worker)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lineages = {}
        self.troubles = {}
        self.opened = {}
        self.away = False
        """Whether a commit waits because the group's coordinator does not take it."""
        self.commit_seconds = Histogram(STEP_EDGES_S)
        self._stands: dict[TP, int] = {}
        self._fetched: dict[TP, int] = {}
        self._next: dict[TP, int] = {}
        self._done: dict[TP, int] = {}

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def committed(self, tps: list[TP]) -> dict[TP, Committed | None]:
        """What the group has committed; None where it has never committed."""
        thread: Any = self._thread
        return await thread.committed(tps)  # type: ignore[no-any-return]

    async def commit_now(self, offsets: Mapping[TP, int]) -> bool:
        """Commit these offsets at once, with the lineages known."""
        return await self._commit(offsets)

    async def note(self, tp: TP, change: Callable[[Trouble], Trouble]) -> bool:
        """Change what is known of a partition's trouble, and commit it at once where the partition stands.

        False, and nothing is committed, when it is not ours any more.
        """
        self.troubles[tp] = change(self.troubles.get(tp, CALM))
        stands = self._stands.get(tp)
        return stands is not None and await self._commit({tp: max(stands, self._done.get(tp, 0))})

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        for tp in offsets.keys() & self.troubles.keys():
            if offsets[tp] > self._stands.get(tp, offsets[tp]):
                self.troubles[tp] = self.troubles[tp].moved_on(offsets[tp])
        with self.commit_seconds.timed():
            done = bool(await super()._commit(offsets))
        if done:
            self._stands.update(offsets)
        return done

    # Where a partition stands

    def end(self, tp: TP) -> int | None:
        """Offset after the last record that there is to be read, as last heard of; None before that."""
        thread: Any = self._thread
        place: tuple[int, int] | None = thread.place(tp)
        if place is None:
            return None
        position, highwater = place
        # Transaction markers have offsets as well, but are never delivered.
        return self._fetched.get(tp, highwater) if position >= highwater else highwater

    def unread(self, topic: str) -> int:
        """Records of a topic that were not fetched yet, as far as is known."""
        return sum(
            max((self.end(tp) or 0) - following, 0)
            for tp, following in self._next.items()
            if tp.topic == topic
        )

    def unfinished(self, tp: TP) -> int | None:
        """The committed offset of a partition that holds more, or may; None where there is nothing to do."""
        stands, end = self._stands.get(tp), self.end(tp)
        return None if stands is None or (end is not None and stands >= end) else stands

    @property
    def rebalances(self) -> int:
        """Rebalances that were begun."""
        return int(self.app.rebalancing_count)

    # Delivery

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        generation_before = self.app.consumer_generation_id
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self._seek_back()
            return
        self._fetched.update(
            (ensure_TP(key), batch[-1].offset + 1) for key, batch in records.items() if batch
        )
        by_topic: dict[str, list[tuple[TP, Sequence[Any]]]] = {}
        for key, batch in records.items():
            tp = ensure_TP(key)
            if not (active is None or tp in active or tp in self._buffered_partitions):
                continue
            if generation != generation_before:
                if tp in self._next:
                    await self.seek_wait({tp: self._next[tp]})
                continue
            wanted = await self._unseen(tp, batch)
            if wanted:
                by_topic.setdefault(tp.topic, []).append((tp, wanted))
        for parts in by_topic.values():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            for tp, wanted in parts:
                self._next[tp] = wanted[-1].offset + 1
            yield parts[0][0], self._message(parts)

    async def _unseen(self, tp: TP, batch: Sequence[Any]) -> Sequence[Any]:
        """`batch` without what was delivered before; refuses a hole made by retention."""
        following = self._next.get(tp)
        if following is None or batch[0].offset == following:
            return batch
        if batch[0].offset > following:
            # Transaction markers leave holes too: only what the broker no longer has is lost.
            earliest = (await self.earliest_offsets(tp))[tp]
            if earliest > following:
                raise RetentionError(lost_sentence(tp, following, earliest))
            return batch
        return since(batch, following)

    def _message(self, parts: Any) -> ConsumerMessage:
        tp, records = parts[0]
        last = records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            0,
            None,
            None,
            parts,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _seek_back(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:
            # The rebalance that stopped the flow seeks again before it resumes it.
            log.debug("Seeking while the flow is stopped failed: %s", error)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        for each, committed in list(self._read_offset.items()):
            if committed is not None:
                tp = ensure_TP(each)
                offset = self.opened.get(tp, committed)
                if offset != committed:
                    log.warning(
                        "The group's offset of %s-%d moved from %d to %d while its state was restored: "
                        "what lies between is read again.",
                        *tp,
                        offset,
                        committed,
                    )
                # The original leaves partitions alone that are committed at 0.
                if offset != committed or offset == 0:
                    await self._seek(each, offset)
                self._read_offset[each] = self._next[tp] = self._fetched[tp] = self._stands[tp] = offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """No gaps are kept: see `_new_offset`."""

    # Acknowledgement and commit

    def ack(self, message: Message) -> bool:
        is_first = not message.acked
        self.forget(message)
        if is_first and message.generation_id == self.app.consumer_generation_id:
            parts: Any = message.value
            for tp, records in parts:
                self._done[tp] = max(self._done.get(tp, 0), records[-1].offset + 1)
            return True
        return False

    def forget(self, message: Message) -> None:
        """Nobody waits for `message` any more, and nothing is committed for it."""
        message.acked = True
        self._unacked_messages.discard(message)
        waiting = self._waiting_for_ack
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def maybe_wait_for_commit_to_finish(self) -> bool:
        """Wait for a commit that is on its way, then commit as well (False).

        The original leaves it at that, so that what is acknowledged meanwhile stays uncommitted; at a
        revocation the partition's next owner would then work on it again. And it ends the commit of another
        when its own caller is cancelled.
        """
        while (commit := self._commit_fut) is not None and not commit.done():
            await asyncio.wait((commit,))
        return False

    async def wait_empty(self) -> None:
        await super().wait_empty()
        given = {tp: max(self._stands[tp], self._done.get(tp, 0)) for tp in self._begun()}
        if given:
            self.troubles.update((tp, self.troubles[tp].given_away()) for tp in given)
            await self._commit(given)
        if self.leaving is not None:
            await self.leaving()

    def _begun(self) -> list[TP]:
        """Partitions that were opened and did not get on since."""
        return [tp for tp, trouble in self.troubles.items() if trouble.starts and tp in self._stands]

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._done) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    # Rebalance

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.opened.clear()
        with_limit = asyncio.ensure_future(self._abandon_later())
        try:
            await super().on_partitions_revoked(revoked)
        finally:
            with_limit.cancel()

    async def _abandon_later(self) -> None:
        """Redis or Kafka may be away: the group must not wait for us until it throws us out."""
        await asyncio.sleep(self.revocation_grace_s)
        if self.abandon is not None:
            self.abandon()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._done.clear()
        self._next.clear()
        self._fetched.clear()
        self._stands.clear()
        self._buffered_partitions.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def verify_all_partitions_active(self) -> None:
        """Not done: the original's check counts single records and calls quiet partitions stuck."""


class Transport(driver.Transport):
    """Set as the application's transport."""

    Consumer = Consumer


def lost_sentence(tp: TP, following: int, earliest: int) -> str:
    """What `RetentionError` says."""
    return (
        f"Kafka has deleted records {following} to {earliest - 1} of {tp.topic}-{tp.partition} before they "
        "were read: restore them, or accept the loss by resetting the group's offset of this partition "
        "(kafka-consumer-groups.sh --reset-offsets --to-earliest --execute "
        f"--topic {tp.topic}:{tp.partition})."
    )
