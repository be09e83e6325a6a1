"""The unit of the item stage: all that follows from one partition of `item-updates`, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.effects import Effects
from stream.events.records import Record, Refused
from stream.exchange import Exchange, Pairs, Touches, decode
from stream.items.cooccurrence import add_pairs
from stream.items.demand import add_touches
from stream.items.row import BUCKETS
from stream.items.table import ItemTable
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
        self.watermark: dict[int, int] = {}
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

    def apply(self, records: Sequence[Record]) -> Effects:
        """One batch of exchange messages in. What is to be published is queued in the table.

        Messages whose layout is newer than this worker's raise `LayoutError`; bytes that are no
        message at all are refused.
        """
        effects = Effects()
        for record in records:
            try:
                message = decode(record.value or b"")
            except ValueError as error:
                effects.refused.append(Refused(record, "not-an-exchange-message", str(error)))
                continue
            self._apply(message, record.offset)
        if records:
            self.position = records[-1].offset
        return effects

    def leave_out(self, record: Record) -> None:
        """Pass over a message that cannot be applied: what it covers is lost, what follows it is no hole."""
        self.position = record.offset
        try:
            message = decode(record.value or b"")
        except ValueError:
            return
        if message.since <= self.watermark.get(message.source, -1) < message.upto:
            self.watermark[message.source] = message.upto

    def _apply(self, message: Exchange, offset: int) -> None:
        known = self.watermark.get(message.source, -1)
        if message.since > known:
            self.holes += 1
            return
        if message.upto <= known:
            self.repeated += 1
            return
        self.watermark[message.source] = message.upto
        table = self.table
        touches, pairs = message.touches, message.pairs
        fresh = int(np.searchsorted(message.offset, known, side="right"))
        if fresh:
            self.repeated += 1
            touches = Touches(*_above(touches, fresh))
            pairs = Pairs(*_above(pairs, fresh))
        if not len(message.offset):
            return
        self._pass_time(int(message.ts_ms.max()), offset)
        table.advance(self.clock_ms)
        numbers = table.numbers(message.names, message.n_names)
        if offset <= int(self._positions.max()):
            behind = self._positions[table.rows["bucket"][numbers]] < offset
            touches = Touches(*_where(touches, behind[touches.item]))
            pairs = Pairs(*_where(pairs, behind[pairs.item]))
        item, pair_item = numbers[touches.item], numbers[pairs.item]
        self._own(item, pair_item)
        slow, fast, demand = gains = np.empty((3, len(message.ts_ms)))
        gain_at(message.ts_ms, table.slow.landmark_ms, table.slow.half_life_ms, slow)
        gain_at(message.ts_ms, table.fast.landmark_ms, table.fast.half_life_ms, fast)
        gain_at(message.ts_ms, table.demand.landmark_ms, table.demand.half_life_ms, demand)
        add_touches(
            table.rows, table.price_due, gains, message.ts_ms, touches.event, item, touches.code,
            touches.quantity, touches.price_minor,
        )  # fmt: skip
        self.displaced += add_pairs(
            table.rows, table.lists_due, slow, pairs.event, pair_item, numbers[pairs.other], pairs.code
        )
        self.pairs += len(pair_item)
        self.touches += len(item)

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

    def _own(self, item: NDArray[np.int32], pair_item: NDArray[np.int32]) -> None:
        """Give every item that is new here a row, making room in its bucket first."""
        rows = self.table.rows
        found = np.empty(len(item) + len(pair_item), np.int32)
        new = found[: _new(rows, item, pair_item, found)]
        if not len(new):
            return
        buckets = rows["bucket"][new]
        np.add.at(self.bucket_size, buckets, 1)
        if self.bucket_size.max() > self._bucket_cap:
            for bucket in np.unique(buckets[self.bucket_size[buckets] > self._bucket_cap]).tolist():
                count = int(np.count_nonzero(buckets == bucket))
                self._evict(bucket, count, np.concatenate([item, pair_item]))
        # A copy of what another worker published; rows that nobody owned are empty else.
        foreign = new[rows["foreign"][new]]
        if len(foreign):
            self.table.drop(foreign)
        rows["owned"][new] = True
        rows["last_ts_ms"][new] = self.clock_ms

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


def _above(columns: Sequence[NDArray[Any]], fresh: int) -> list[NDArray[Any]]:
    """Rows whose event index is `fresh` or later: the others were applied before."""
    return _where(columns, columns[0] >= fresh)


@kernel
def _new(
    rows: NDArray[np.void], item: NDArray[np.int32], pair_item: NDArray[np.int32], out: NDArray[np.int32]
) -> int:
    """Write the numbers that have no row here into `out`, each once, and mark them as owned; how many."""
    n = 0
    for numbers in (item, pair_item):
        for number in numbers:
            if not rows[number].owned:
                rows[number].owned = True
                out[n] = number
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
