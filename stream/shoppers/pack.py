"""From the columns of one batch to one exchange message for every item partition that has news."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.decode import Batch
from stream.exchange import Exchange, Pairs, Touches, encode
from stream.items.table import ItemTable
from stream.shoppers.emit import PAIRS_PER_EVENT, Outbox
from stream.state.arena import reserve
from stream.state.jit import kernel, long_kernel


class _Room(NamedTuple):
    """Working memory. Flat columns hold all partitions' parts one after the other; `bounds[k, q]` is
    where the part of partition q begins in columns of kind k (events, names, touches, pairs)."""

    stamp: NDArray[np.int64]
    local: NDArray[np.int32]
    event_local: NDArray[np.int32]
    events: NDArray[np.int32]
    names: NDArray[np.int32]
    touch: NDArray[np.int32]
    touch_event: NDArray[np.uint32]
    touch_item: NDArray[np.uint32]
    pair_event: NDArray[np.uint32]
    pair_item: NDArray[np.uint32]
    pair_other: NDArray[np.uint32]
    pair_code: NDArray[np.uint8]
    bounds: NDArray[np.int64]


class Packer:
    """Groups an `Outbox` by item partition, numbers ids by message, and encodes."""

    def __init__(self, source: int, table: ItemTable, events: int) -> None:
        self._source = source
        self._table = table
        pairs = events * PAIRS_PER_EVENT
        capacity = table.interner.capacity
        self._room = _Room(
            stamp=reserve(capacity, np.int64),
            local=reserve(capacity, np.int32),
            event_local=np.zeros(events, np.int32),
            events=np.zeros(events * table.partitions, np.int32),
            names=np.zeros(events + 2 * pairs, np.int32),
            touch=np.zeros(events, np.int32),
            touch_event=np.zeros(events, np.uint32),
            touch_item=np.zeros(events, np.uint32),
            pair_event=np.zeros(pairs, np.uint32),
            pair_item=np.zeros(pairs, np.uint32),
            pair_other=np.zeros(pairs, np.uint32),
            pair_code=np.zeros(pairs, np.uint8),
            bounds=np.zeros((4, table.partitions + 1), np.int64),
        )
        self._stamp = 0

    def pack(
        self, out: Outbox, since: list[int], upto: int, batch: Batch, ts_ms: NDArray[np.int64]
    ) -> list[tuple[int, bytes]]:
        """(item partition, message) for every partition with news; moves its `since` to `upto`.

        Partitions without news get no message: their next one covers the gap. `ts_ms` is the time by
        which each event of the batch decays.
        """
        table, room = self._table, self._room
        _group(out, table.rows, table.partitions, len(batch.offset), self._stamp, room)
        self._stamp += table.partitions
        messages = []
        bounds = room.bounds.tolist()
        for partition in range(table.partitions):
            events, names, touches, pairs = (slice(b[partition], b[partition + 1]) for b in bounds)
            if events.start == events.stop:
                continue
            used, touch = room.events[events], room.touch[touches]
            message = Exchange(
                source=self._source,
                since=since[partition],
                upto=upto,
                offset=batch.offset[used],
                ts_ms=ts_ms[used],
                touches=Touches(
                    room.touch_event[touches],
                    room.touch_item[touches],
                    batch.code[touch],
                    batch.quantity[touch],
                    batch.price_minor[touch],
                ),
                pairs=Pairs(
                    room.pair_event[pairs],
                    room.pair_item[pairs],
                    room.pair_other[pairs],
                    room.pair_code[pairs],
                ),
                names=table.interner.blob(room.names[names]),
                n_names=names.stop - names.start,
            )
            messages.append((partition, encode(message)))
            since[partition] = upto
        return messages

    def skip(self, out: Outbox, since: list[int], batch: Batch) -> None:
        """As `pack`, for a batch that was sent before: moves each `since` to the last event with news.

        No further: how batches were cut then is not known, and a partition without news was sent
        nothing, so its receiver may stand exactly there. A later `since` would be a hole to it.
        """
        latest = np.array(since, np.int64)
        touches, pairs = out.filled.tolist()
        for event, item in (
            (out.touch_event[:touches], out.touch_item[:touches]),
            (out.pair_event[:pairs], out.pair_item[:pairs]),
        ):
            np.maximum.at(latest, self._table.rows["home"][item] - 1, batch.offset[event])
        since[:] = latest.tolist()


@kernel
def _local(room: _Room, item: int, stamp: int, names: int, begin: int) -> int:
    """Number of names so far, after `item` has one in the message stamped `stamp`."""
    if room.stamp[item] != stamp:
        room.stamp[item] = stamp
        room.local[item] = names - begin
        room.names[names] = item
        names += 1
    return names


@long_kernel
def _group(
    out: Outbox, rows: NDArray[np.void], partitions: int, n_events: int, stamp: int, room: _Room
) -> None:
    """Split the outbox by the home of each row's item, in one pass a partition."""
    events = names = touches = pairs = 0
    for q in range(partitions):
        room.bounds[0, q] = events
        room.bounds[1, q] = names
        room.bounds[2, q] = touches
        room.bounds[3, q] = pairs
        begin = names
        mark = stamp + q + 1
        room.event_local[:n_events] = -1
        for k in range(out.filled[0]):
            if rows[out.touch_item[k]].home == q + 1:
                room.event_local[out.touch_event[k]] = 0
        for k in range(out.filled[1]):
            if rows[out.pair_item[k]].home == q + 1:
                room.event_local[out.pair_event[k]] = 0
        for e in range(n_events):
            if room.event_local[e] == 0:
                room.event_local[e] = events - room.bounds[0, q]
                room.events[events] = e
                events += 1
        for k in range(out.filled[0]):
            item = out.touch_item[k]
            if rows[item].home == q + 1:
                names = _local(room, item, mark, names, begin)
                room.touch[touches] = out.touch_event[k]
                room.touch_event[touches] = room.event_local[out.touch_event[k]]
                room.touch_item[touches] = room.local[item]
                touches += 1
        for k in range(out.filled[1]):
            item = out.pair_item[k]
            if rows[item].home == q + 1:
                other = out.pair_other[k]
                names = _local(room, item, mark, names, begin)
                names = _local(room, other, mark, names, begin)
                room.pair_event[pairs] = room.event_local[out.pair_event[k]]
                room.pair_item[pairs] = room.local[item]
                room.pair_other[pairs] = room.local[other]
                room.pair_code[pairs] = out.pair_code[k]
                pairs += 1
    room.bounds[0, partitions] = events
    room.bounds[1, partitions] = names
    room.bounds[2, partitions] = touches
    room.bounds[3, partitions] = pairs
