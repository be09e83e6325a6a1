"""The unit of the shopper stage: all that follows from one partition of `events`, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.effects import Effects, ListsFor, Message, Values, place
from stream.events.block import Block
from stream.events.codes import INHERIT
from stream.events.decode import Batch, Bounds, decode
from stream.events.records import Record
from stream.events.types import Claim, Identify, Impression, Inherit
from stream.items.row import BUCKETS
from stream.items.table import ItemTable
from stream.items.unit import ItemUnit
from stream.learn.examples import pack_examples
from stream.recommend.candidates import REASONS
from stream.recommend.encode import Writer, new_lists
from stream.recommend.exposures import EXPOSURE, RING, confirm, new_examples, new_waiting
from stream.recommend.make import Ranker, make_lists
from stream.recommend.rank import LENGTH
from stream.recommend.scenarios import Now, Scenarios
from stream.shoppers.advance import advance, advance_at_once
from stream.shoppers.due import Due, lists_of
from stream.shoppers.duplicates import new_seen
from stream.shoppers.emit import Columns, new_outbox
from stream.shoppers.evict import MIN_SHOPPERS, new_room
from stream.shoppers.impressed import impressed
from stream.shoppers.merge import claim, claim_session, inherit, numbered
from stream.shoppers.pack import Packer
from stream.shoppers.profiles import concerned, has_any, profiles
from stream.shoppers.row import HISTORY, SHOPPER
from stream.shoppers.settle import settle_windows
from stream.shoppers.state import CROWDED, OPENED, SUCCEEDED, Events, Shoppers
from stream.shoppers.stated import said
from stream.state.arena import reserve
from stream.state.decay import gain_at
from stream.state.interner import Interner, require_room

CHUNK = 1024
"""Events applied by one call of the kernel: bounds the working memory, changes no result."""

AHEAD_MS = 60_000
"""Most that decay time runs ahead of the record, or one event from the future would outweigh everything."""

LOGINS_KEY = b"logins"
"""Of the message in `aggregates` by which workers tell each other what `ShopperUnit.logins` says."""

OWED = 65_536
"""Shoppers remembered who could not be given any list yet: only before the first popularity arrives."""


class ShopperUnit:
    """State of one partition of `events`, and what its batches want to be written."""

    stage: ClassVar[str] = "shoppers"

    def __init__(
        self,
        partition: int,
        lineage_ms: int,
        table: ItemTable,
        max_shoppers: int,
        inactive_ms: int,
        bounds: Bounds,
    ) -> None:
        self.partition = partition
        self.lineage_ms = lineage_ms
        self.position = -1
        self.sent_upto = [-1] * table.partitions
        self.bounds = bounds
        self.table = table
        # Beyond the cap lie those who arrive in one chunk before others are evicted.
        capacity = max(max_shoppers, MIN_SHOPPERS) + CHUNK
        self.interner = Interner(capacity)
        self.state = Shoppers(
            rows=reserve(capacity, SHOPPER),
            names=self.interner.names,
            histories=reserve(capacity + 1, HISTORY),
            next_history=np.zeros(1, np.int64),
            room=new_room(max_shoppers, capacity, inactive_ms),
            seen=new_seen(),
            waiting=new_waiting(reserve(RING, EXPOSURE)),
            clock_ms=np.zeros(1, np.int64),
            counts=np.zeros(SUCCEEDED + 1, np.int64),
            positions=np.full(BUCKETS, -1, np.int64),
        )
        self._lists = new_lists(CHUNK, LENGTH)
        self._asked = np.zeros(CHUNK, np.int32)
        self._outbox = new_outbox(CHUNK)
        self._packer = Packer(partition, table, CHUNK)
        self._examples = new_examples(CHUNK)
        self._writer = Writer(CHUNK, LENGTH, REASONS)
        self._owed: dict[int, int] = {}
        self.logins = False
        """Whether visitors come under their session's id here: a shopper who opens a session may be one
        of them."""
        self.crowds: list[str] = []
        """Ids in the batch last applied behind which no single person seems to be."""
        self.items_at_once: ItemUnit | None = None
        """The one item unit, where there is but one of each and events reach it without a message."""

    def __len__(self) -> int:
        return len(self.interner)

    @property
    def clock_ms(self) -> int:
        """The largest event time so far."""
        return int(self.state.clock_ms[0])

    def admit(self, ids: bytes, count: int) -> NDArray[np.int32]:
        """Numbers of `count` shoppers that a saved bucket brings; `StreamError` if they are too many."""
        numbers = self.interner.intern(ids, count)
        require_room(int(numbers.min(initial=0)), "shopper", "max_shoppers")
        return numbers

    def apply(
        self,
        records: Sequence[Record],
        now: Now,
        sample: float,
        silent: bool,
        lists: ListsFor,
        scenarios: Scenarios,
    ) -> tuple[Effects, list[bytes]]:
        """One batch in, effects out, and the packed examples that came of it.

        `sample` is the share of lists to be labelled; `scenarios`: those beside `home`, whose lists are
        made once a batch.
        """
        due = Due(self, scenarios)
        self.crowds = []
        effects = Effects()
        examples: list[bytes] = []
        latest: list[tuple[NDArray[np.int32], NDArray[np.int64]]] | None = (
            None if lists is ListsFor.EVENTS else []
        )
        for at in range(0, len(records), CHUNK):
            part = records[at : at + CHUNK]
            decoded = decode(part, self.bounds)
            effects.refused += decoded.refused
            effects.rekeyed += decoded.rekeyed
            self._apply(decoded.batch, part, now, sample, silent, latest, due, effects)
            if self._examples.filled.any():
                examples += pack_examples(self._examples)
        if latest and lists is ListsFor.SHOPPERS and not silent:
            self._publish_latest(latest, now, effects)
        if lists is not ListsFor.NOBODY and not silent:
            effects.values += due.values(now)
        return effects, examples

    def _apply(
        self,
        batch: Batch,
        records: Sequence[Record],
        now: Now,
        sample: float,
        silent: bool,
        latest: list[tuple[NDArray[np.int32], NDArray[np.int64]]] | None,
        due: Due,
        effects: Effects,
    ) -> None:
        n, upto = len(batch.offset), records[-1].offset
        shopper = self.interner.intern(batch.users, n)
        item, sold = self.table.standing(self.table.numbers(batch.items, n))
        decay_ts = np.minimum(batch.ts_ms, batch.record_ts_ms + AHEAD_MS)
        if n:
            self.table.reach(int(decay_ts.max()))
        gain, slow = np.empty(n), self.table.slow
        gain_at(decay_ts, slow.landmark_ms, slow.half_life_ms, gain)
        # An impression is about a list that an event before it made: stop there, and go on after it.
        shown = [(e, event) for e, event in batch.whole if isinstance(event, Impression)]
        events = Events(
            batch.offset, batch.ts_ms, batch.code, batch.event, batch.session, batch.order,
            batch.quantity, batch.request, shopper, item, sold, gain,
            numbered([(e, event) for e, event in batch.whole if isinstance(event, Inherit)], self.table),
            impressed(shown, self.table), said(batch.whole), self.table.cohort_names.told(batch.placed, n),
            np.zeros(n, np.uint8),
        )  # fmt: skip
        self._outbox.filled[:] = 0
        self._examples.filled[:] = 0
        crowded = self.state.counts[CROWDED]
        below = np.uint64(min(sample, 1.0) * (2.0**64 - 2048))
        used = self.interner.used
        without_lists = silent or latest is not None
        own_id = self.interner.names.entries["hash"][shopper]
        mark = own_id.astype(np.uint8)
        columns = Columns(batch.offset, decay_ts, batch.code, batch.quantity, batch.price_minor, mark)
        unit = self.items_at_once if n else None
        items = unit.begin_at_once(columns) if unit else None
        made = start = 0
        for stop, impression in [*shown, (n, None)]:
            rest = (
                self.state, events, start, stop, used, now.ranker, self._outbox, self._examples, below,
                without_lists, self._lists, self._asked, made,
            )  # fmt: skip
            made = advance(*rest) if items is None else advance_at_once(items, *rest)
            start = stop
            if impression is not None:
                self._confirm(impression, int(shopper[stop]), int(batch.request[stop]) - 1)
        self.position = upto
        due.note(events)
        if self.state.counts[CROWDED] > crowded:
            crowds = np.unique(shopper[self.state.rows["crowd"][shopper]])
            self.crowds += [self.interner.name(number).decode() for number in crowds.tolist()]
        if silent:
            self._packer.skip(self._outbox, self.sent_upto, columns)
        else:
            if unit and items:
                unit.finish_at_once(items, *self._outbox.filled[:2].tolist())
            else:
                messages = self._packer.pack(self._outbox, self.sent_upto, upto, columns)
                effects.messages += [Message("item-updates", None, value, q) for q, value in messages]
            effects.messages += self._merges(batch)
            self.logins = self.logins or bool((batch.session == own_id).any())
            if self.logins:
                effects.messages += self._sessions_claimed(records, events, own_id)
            if latest is None:
                self._publish(made, shopper, batch.offset, now, effects)
            else:
                latest.append((shopper, batch.offset))
            at = concerned(events, self.state)
            if len(at):
                told = events.shopper[at], events.offset[at]
                effects.values.append(profiles(self, *told, self.lineage_ms, now.now_ms))
            effects.event_ts_ms.append(batch.ts_ms)
        self._forget(shopper)

    def _merges(self, batch: Batch) -> list[Message]:
        """What other partitions are to hear of visitors who turned out to be shoppers."""
        messages = [m for _, event in batch.whole if isinstance(event, Identify) for m in claim(event)]
        claims = {e: event for e, event in batch.whole if isinstance(event, Claim)}
        for left in self._outbox.left[: self._outbox.filled[2]]:
            messages.append(inherit(claims[int(left["at"])], left, self.table))
        return messages

    def _sessions_claimed(
        self, records: Sequence[Record], events: Events, own_id: NDArray[np.uint64]
    ) -> list[Message]:
        """Claims of those who came before under the ids of sessions that shoppers have opened. 8 µs, and 5 µs
        for each."""
        opened = (events.did & OPENED > 0) & (events.code != INHERIT) & (events.session != own_id)
        at = np.flatnonzero(opened & (events.session != 0))
        if not len(at):
            return []
        places = np.searchsorted(Block.of(records).offset, events.offset[at]).tolist()
        heirs = [self.interner.name(number).decode() for number in events.shopper[at].tolist()]
        told = zip(places, heirs, events.ts_ms[at].tolist(), strict=True)
        return [claim_session(records[place], heir, ts_ms) for place, heir, ts_ms in told]

    def _forget(self, shopper: NDArray[np.int32]) -> None:
        """Release the names of those who were evicted, or never got a row, and did not come back."""
        evicted = self.state.room.evicted
        gone = np.unique(np.concatenate([evicted[1 : 1 + evicted[0]], shopper]))
        gone = gone[self.state.rows["events"][gone] == 0]
        evicted[0] = 0
        if len(gone):
            self.interner.release(gone)
            for number in gone.tolist():
                self._owed.pop(number, None)

    def _confirm(self, impression: Impression, shopper: int, offset: int) -> None:
        """Mark what an impression says was really shown, and where, of the list made at `offset`."""
        names = [shown.item_id.encode() for shown in impression.items]
        numbers = np.array([self.table.interner.find(name) for name in names], np.int32)
        positions = np.array([shown.position for shown in impression.items], np.int32)
        confirm(self.state.waiting, shopper, offset, self.table.standing(numbers)[0], positions)

    def _publish(
        self,
        made: int,
        shopper: NDArray[np.int32],
        offset: NDArray[np.int64],
        now: Now,
        effects: Effects,
    ) -> None:
        asked = self._asked[:made]
        if (asked < 0).any():
            for e in -1 - asked[asked < 0]:
                if len(self._owed) < OWED:
                    self._owed[int(shopper[e])] = int(offset[e])
            good = np.flatnonzero(asked >= 0)
            for column in self._lists:
                column[: len(good)] = column[good]
            asked = asked[good]
        if not len(asked):
            return
        if self._owed:
            for number, at in zip(shopper[asked].tolist(), offset[asked].tolist(), strict=True):
                if self._owed.get(number, at) < at:
                    del self._owed[number]
        ids = self.interner.texts(shopper[asked])
        values = self._writer.write(
            self._lists, len(asked), self.table.interner.names, self.lineage_ms, offset[asked], now.now_ms,
            now.model,
        )  # fmt: skip
        effects.values.append(Values("recs", ids, values))

    def _publish_latest(
        self,
        latest: list[tuple[NDArray[np.int32], NDArray[np.int64]]],
        now: Now,
        effects: Effects,
    ) -> None:
        """A list for everybody who had an event and is still known, its version that of the last one."""
        every, offset = (np.concatenate(columns) for columns in zip(*latest, strict=True))
        numbers, last = np.unique(every[::-1], return_index=True)
        offset = offset[::-1][last]
        known = self.state.rows["events"][numbers] > 0
        numbers, offset = numbers[known].astype(np.int32), offset[known]
        # The list that waits for its label is not what the shopper sees any more.
        self.state.rows["exposure"][numbers] = 0
        self.state.rows["explored"][numbers] = 0
        for at in range(0, len(numbers), CHUNK):
            some = numbers[at : at + CHUNK]
            self._make(some, now.ranker)
            self._publish(len(some), some, offset[at : at + CHUNK], now, effects)

    def _make(self, shoppers: NDArray[np.int32], ranker: Ranker) -> None:
        """Lists for up to `CHUNK` shoppers as they stand; `_asked` is negative where there is none."""
        settle_windows(self.state.rows, shoppers, self.table.facts)
        make_lists(self.state.rows, self.state.histories, shoppers, ranker, self._lists, self._asked)

    def owed(self, now: Now, limit: int) -> Effects:
        """Lists for shoppers who could not be given one when their event came (a cold start of the
        whole system), now that something is known. At most `limit` at once."""
        effects = Effects()
        if not self._owed or not now.ranker.leaders.overall[0]:
            return effects
        shoppers = list(self._owed)[: min(limit, CHUNK)]
        offsets = [self._owed.pop(number) for number in shoppers]
        numbers = np.array(shoppers, np.int32)
        self._make(numbers, now.ranker)
        self._publish(len(shoppers), numbers, np.array(offsets, np.int64), now, effects)
        return effects

    def lists_of(self, numbers: NDArray[np.int32], now: Now, scenarios: Scenarios) -> list[Values]:
        """Lists for up to `CHUNK` shoppers, apart from any event, of all scenarios that they have any of.

        Their version is that of the last record in the unit: not below any that was given out before, and
        below every one to come.
        """
        self._make(numbers, now.ranker)
        some = np.flatnonzero(self._asked[: len(numbers)] >= 0)
        if not len(some):
            return []
        lineage_ms, offset = place(self.lineage_ms, self.position)
        offsets = np.full(len(numbers), offset, np.int64)
        values = self._writer.write(
            self._lists.part(some), len(some), self.table.interner.names, lineage_ms,
            offsets[: len(some)], now.now_ms, now.model,
        )  # fmt: skip
        out = [Values("recs", self.interner.texts(numbers[some]), values)]
        stated = numbers[has_any(self.state, numbers)]
        if len(stated):
            out.append(profiles(self, stated, offsets[: len(stated)], lineage_ms, now.now_ms))
        for name in scenarios.of_shoppers:
            mine = numbers[scenarios.concern(name, self.state.rows[numbers], self.state.histories)]
            out += lists_of(self, scenarios, name, mine, offsets[: len(mine)], now, lineage_ms)
        return out
