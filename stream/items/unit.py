"""The unit of the item stage: all that follows from one partition of `item-updates`, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.effects import Effects
from stream.events.block import Block
from stream.events.records import Record, Refused
from stream.exchange import Pairs, Touches, decode
from stream.items.at_once import AtOnce
from stream.items.cooccurrence import add_pairs
from stream.items.demand import add_touches
from stream.items.inbox import Run, read
from stream.items.row import BUCKETS
from stream.items.table import ItemTable
from stream.shoppers.emit import Columns
from stream.state.decay import gain_at
from stream.state.inactive import is_due
from stream.state.interner import Names
from stream.state.jit import kernel

_EVICT_SHARE = 8
"""A full bucket lets go of an eighth, so that the scan for the least recent is rarely paid."""


class ItemUnit:
    """Rows of one item partition, and how far each source partition has been applied.

    `watermark[p]` is the last offset of source partition p that is in the rows. A message that does
    not begin at or before it leaves a hole: it is not applied, because its sender has failed and will
    send again from there.
    """

    stage: ClassVar[str] = "items"

    def __init__(
        self, partition: int, lineage_ms: int, table: ItemTable, max_items: int, inactive_ms: int
    ) -> None:
        self.partition = partition
        self.lineage_ms = lineage_ms
        self.position = -1
        self.clock_ms = 0
        self._marks = np.zeros(16, np.int64)
        self.holes = 0
        self.repeated = 0
        self.pairs = 0
        self.touches = 0
        self.displaced = 0
        self.evicted = 0
        self.forgotten = 0
        self.table = table
        self.inactive_ms = inactive_ms
        self._bucket_cap = max(_EVICT_SHARE, max_items // table.partitions // BUCKETS)
        self.bucket_size = np.zeros(BUCKETS, np.int64)
        # By bucket, the last offset that was in it when it was loaded: a replay changes what lies above.
        self._positions = np.full(BUCKETS, -1, np.int64)

    @property
    def watermark(self) -> dict[int, int]:
        """By source, the last offset that is in the rows."""
        return {int(source): int(self._marks[source]) - 1 for source in np.flatnonzero(self._marks)}

    @watermark.setter
    def watermark(self, upto: Mapping[int, int]) -> None:
        self._marks[:] = 0
        for source, offset in upto.items():
            self._mark(source, offset)

    def apply(self, records: Sequence[Record]) -> Effects:
        """One batch of exchange messages in. What is to be published is queued in the table.

        Messages whose layout is newer than this worker's raise `LayoutError`; bytes that are no
        message at all are refused.
        """
        effects = Effects()
        block, at = Block.of(records), 0
        most = len(block)
        while at < len(block):
            taken = self._apply(block, at, most)
            if taken:
                at += taken
            elif most > 1:
                # Who has to go from a full bucket must not depend on what happened to come together.
                most = 1
            else:
                at += self._met(block[at], effects)
        if at:
            self.position = block[-1].offset
        return effects

    def _met(self, record: Record, effects: Effects) -> int:
        """What cannot be read is refused, and a source that is new gets a place (and the record another try):
        how many records were dealt with."""
        try:
            message = decode(record.value or b"")
        except ValueError as error:
            effects.refused.append(Refused(record, "not-an-exchange-message", str(error)))
            return 1
        self._mark(message.source, self._upto(message.source))
        return 0

    def leave_out(self, record: Record) -> None:
        """Pass over a message that cannot be applied: what it covers is lost, what follows it is no hole."""
        self.position = record.offset
        try:
            message = decode(record.value or b"")
        except ValueError:
            return
        if message.since <= self._upto(message.source) < message.upto:
            self._mark(message.source, message.upto)

    def _upto(self, source: int) -> int:
        return int(self._marks[source]) - 1 if source < len(self._marks) else -1

    def _mark(self, source: int, upto: int) -> None:
        if source >= len(self._marks):
            self._marks = np.pad(self._marks, (0, 2 * source + 1 - len(self._marks)))
        self._marks[source] = upto + 1

    def _apply(self, block: Block, at: int, most: int) -> int:
        """Apply up to `most` messages from record `at` on; how many it were. 0 when there is none that can be
        read, or several, and rows have to go before all of them have room."""
        before, clock_ms = self._marks.copy(), self.clock_ms
        run = read(block, at, most, self._marks, clock_ms, self.inactive_ms)
        if len(run.ts_ms) and not self._add(run):
            self._marks, self.clock_ms = before, clock_ms
            return 0
        self.holes += run.holes
        self.repeated += run.repeated
        return run.messages

    def _add(self, run: Run) -> bool:
        """Add what a run says to the rows. False, and no row has changed, if there is no room and the run is
        of several messages."""
        table, touches, pairs = self.table, run.touches, run.pairs
        first, clock_ms = int(run.offset[0]), int(run.clock_ms[-1])
        self._pass_time(clock_ms, first)
        table.advance(clock_ms)
        numbers = table.numbers(run.names, run.n_names)
        if first <= int(self._positions.max()):
            above = self._positions[table.rows["bucket"][numbers]]
            touches = Touches(*_where(touches, above[touches.item] < run.offset[touches.event]))
            pairs = Pairs(*_where(pairs, above[pairs.item] < run.offset[pairs.event]))
        item, pair_item = numbers[touches.item], numbers[pairs.item]
        if not self._own(run, touches, item, pairs, pair_item):
            return False
        gains = self._gains(run.ts_ms)
        add_touches(
            table.rows, table.price_due, gains, run.ts_ms, touches.event, item, touches.code,
            touches.quantity, touches.price_minor,
        )  # fmt: skip
        self.displaced += add_pairs(
            table.rows, table.lists_due, gains[0], run.shopper, pairs.event, pair_item,
            numbers[pairs.other], pairs.code,
        )  # fmt: skip
        self.pairs += len(pair_item)
        self.touches += len(item)
        return True

    def begin_at_once(self, batch: Columns) -> AtOnce:
        """What a kernel needs that adds the events of a batch itself."""
        table = self.table
        self._pass_time(int(batch.ts_ms.max()), 0)
        table.advance(self.clock_ms)
        return AtOnce(
            table.rows, table.lists_due, table.price_due, self._gains(batch.ts_ms), batch, self.clock_ms,
            self.bucket_size, np.zeros(1, np.int64),
        )  # fmt: skip

    def finish_at_once(self, items: AtOnce, touches: int, pairs: int) -> None:
        """That kernel has added so many: a step in the unit's life, as a message would be."""
        self.position += 1
        self.touches += touches
        self.pairs += pairs
        self.displaced += int(items.displaced[0])
        for bucket in np.flatnonzero(self.bucket_size > self._bucket_cap).tolist():
            self._evict(bucket, int(self.bucket_size[bucket]) - self._bucket_cap, np.zeros(0, np.int32))

    def _gains(self, ts_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """What an event at each time adds to sums that decay slow, fast, and as demand."""
        gains = np.empty((3, len(ts_ms)))
        for decay, gain in zip((self.table.slow, self.table.fast, self.table.demand), gains, strict=True):
            gain_at(ts_ms, decay.landmark_ms, decay.half_life_ms, gain)
        return gains

    def _pass_time(self, ts_ms: int, offset: int) -> None:
        """Let the clock follow, and forget items that nobody has looked at for `inactive_ms`."""
        before_ms, self.clock_ms = self.clock_ms, max(self.clock_ms, ts_ms)
        if is_due(before_ms, self.clock_ms, self.inactive_ms):
            rows, members = self.table.rows, self.members()
            members = members[rows["last_ts_ms"][members] < self.clock_ms - self.inactive_ms]
            members = members[self._positions[rows["bucket"][members]] < offset]
            self.forgotten += len(members)
            self._drop(members)

    def _drop(self, gone: NDArray[np.int32]) -> None:
        np.subtract.at(self.bucket_size, self.table.rows["bucket"][gone], 1)
        self.table.drop(gone)

    def _own(
        self, run: Run, touches: Touches, item: NDArray[np.int32], pairs: Pairs, pair_item: NDArray[np.int32]
    ) -> bool:
        """Give every item that is new here a row, making room in its bucket first; False as of `_add`."""
        rows = self.table.rows
        most = len(item) + len(pair_item)
        found, clock_ms = np.empty(most, np.int32), np.empty(most, np.int64)
        made = _new(rows, touches.event, item, pairs.event, pair_item, run.clock_ms, found, clock_ms)
        new = found[:made]
        if not made:
            return True
        buckets = rows["bucket"][new]
        np.add.at(self.bucket_size, buckets, 1)
        if self.bucket_size.max() > self._bucket_cap:
            if run.messages > 1:
                np.subtract.at(self.bucket_size, buckets, 1)
                rows["owned"][new] = False
                return False
            for bucket in np.unique(buckets[self.bucket_size[buckets] > self._bucket_cap]).tolist():
                self._evict(
                    bucket, int(np.count_nonzero(buckets == bucket)), np.concatenate([item, pair_item])
                )
        # A copy of what another worker published; rows that nobody owned are empty else.
        foreign = new[rows["foreign"][new]]
        if len(foreign):
            self.table.drop(foreign)
        rows["owned"][new] = True
        rows["last_ts_ms"][new] = clock_ms[:made]
        return True

    def _evict(self, bucket: int, count: int, numbers: NDArray[np.int32]) -> None:
        """Make room for `count` rows, and for an eighth of the bucket: the least recent go, ties by the
        id's hash. Those that this message is about stay, or its counts would go to rows that are gone.

        Popular ones that were not seen for longer are not kept: each holds the names of a hundred neighbours.
        """
        rows = self.table.rows
        members = self.members_of(bucket)
        members = members[~np.isin(members, numbers)]
        hashes = self.table.interner.names.entries["hash"][members]
        order = np.lexsort((hashes, rows["last_ts_ms"][members]))
        gone = members[order[: max(count, self._bucket_cap // _EVICT_SHARE)]]
        self.evicted += len(gone)
        self._drop(gone)

    def taken(self, bucket: int, rows: int, position: int) -> None:
        """A saved bucket of `rows` rows has been put into the table; `position` is the last offset in it."""
        self.bucket_size[bucket] += rows
        self._positions[bucket] = position

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing to tell. One from a backup has rows before its log has a record."""
        return self.position < 0 and not self.bucket_size.any()

    def members(self) -> NDArray[np.int32]:
        """Numbers of all items that have a row in this unit."""
        out = np.empty(self.table.interner.used, np.int32)
        return out[: _members(self.table.rows, self.partition, out)]

    def members_of(self, bucket: int) -> NDArray[np.int32]:
        """Numbers of the items in one bucket. About 1 ns a number that is in use, 20 times less than all."""
        names = self.table.interner.names
        out = np.empty(self.table.interner.used, np.int32)
        return out[: _members_of(self.table.rows, names, self.partition, bucket, out)]

    def close(self) -> None:
        """Forget all rows: the partition has gone to another worker."""
        self.table.drop(self.members())


def _where(columns: Sequence[NDArray[Any]], keep: NDArray[np.bool_]) -> list[NDArray[Any]]:
    return [column[keep] for column in columns]


@kernel
def _new(
    rows: NDArray[np.void],
    event: NDArray[np.uint32],
    item: NDArray[np.int32],
    pair_event: NDArray[np.uint32],
    pair_item: NDArray[np.int32],
    clock_ms: NDArray[np.int64],
    out: NDArray[np.int32],
    out_ms: NDArray[np.int64],
) -> int:
    """Write the numbers of items without a row to `out`, each once, and the clock at the first event that
    names them to `out_ms`; mark them as owned; how many."""
    n = at = 0
    for k in range(len(pair_event) + 1):
        # Touches up to here, then the pair: the events of both ascend.
        upto = pair_event[k] if k < len(pair_event) else len(clock_ms)
        while at < len(event) and event[at] <= upto:
            if not rows[item[at]].owned:
                rows[item[at]].owned = True
                out[n], out_ms[n] = item[at], clock_ms[event[at]]
                n += 1
            at += 1
        if k < len(pair_event) and not rows[pair_item[k]].owned:
            rows[pair_item[k]].owned = True
            out[n], out_ms[n] = pair_item[k], clock_ms[pair_event[k]]
            n += 1
    return n


@kernel
def _members(rows: NDArray[np.void], partition: int, out: NDArray[np.int32]) -> int:
    """Write the numbers of the partition's rows, of the first ``len(out)``, into `out`; how many."""
    n = 0
    for i in range(len(out)):
        if rows[i].owned and rows[i].home == partition + 1:
            out[n] = i
            n += 1
    return n


@kernel
def _members_of(
    rows: NDArray[np.void], names: Names, partition: int, bucket: int, out: NDArray[np.int32]
) -> int:
    """As `_members`, for one bucket: of rows, which lie far apart, only those are read whose id fits."""
    n = 0
    for i in range(len(out)):
        here = names.entries[i].hash >> np.uint64(58) == np.uint64(bucket)
        if here and rows[i].owned and rows[i].home == partition + 1:
            out[n] = i
            n += 1
    return n
