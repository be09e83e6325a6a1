"""From the columns of one batch to one exchange message for every item partition that has news."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.exchange import HEADER_BYTES, LAYOUT, MAGIC, touch_code, touch_price
from stream.items.table import ItemTable
from stream.shoppers.emit import PAIRS_PER_EVENT, TOUCHES_PER_EVENT, Columns, Outbox
from stream.state.arena import reserve
from stream.state.hashing import NUL
from stream.state.interner import Names
from stream.state.jit import kernel, long_kernel
from stream.state.little_endian import put_int
from stream.state.texts import put

_NONE = 2**62


class _Room(NamedTuple):
    """Working memory. Flat columns hold all partitions' parts one after the other; `bounds[k, q]` is
    where the part of partition q begins in columns of kind k (events, names, touches, pairs)."""

    stamp: NDArray[np.int64]
    local: NDArray[np.int32]
    event_local: NDArray[np.int32]
    events: NDArray[np.int32]
    names: NDArray[np.int32]
    touch_order: NDArray[np.int32]
    pair_order: NDArray[np.int32]
    touch: NDArray[np.int32]
    touch_without: NDArray[np.uint8]
    touch_event: NDArray[np.uint32]
    touch_item: NDArray[np.uint32]
    pair_event: NDArray[np.uint32]
    pair_item: NDArray[np.uint32]
    pair_other: NDArray[np.uint32]
    pair_code: NDArray[np.uint8]
    bounds: NDArray[np.int64]


class Packer:
    """Groups an `Outbox` by item partition, numbers ids by message, and encodes (`stream.exchange`)."""

    def __init__(self, source: int, table: ItemTable, events: int) -> None:
        self._source = source
        self._table = table
        pairs, touches = events * PAIRS_PER_EVENT, events * TOUCHES_PER_EVENT
        capacity = table.interner.capacity
        self._room = _Room(
            stamp=reserve(capacity, np.int64),
            local=reserve(capacity, np.int32),
            event_local=np.zeros(events, np.int32),
            events=np.zeros(events * table.partitions, np.int32),
            names=np.zeros(touches + 2 * pairs, np.int32),
            touch_order=np.zeros(touches, np.int32),
            pair_order=np.zeros(pairs, np.int32),
            touch=np.zeros(touches, np.int32),
            touch_without=np.zeros(touches, np.uint8),
            touch_event=np.zeros(touches, np.uint32),
            touch_item=np.zeros(touches, np.uint32),
            pair_event=np.zeros(pairs, np.uint32),
            pair_item=np.zeros(pairs, np.uint32),
            pair_other=np.zeros(pairs, np.uint32),
            pair_code=np.zeros(pairs, np.uint8),
            bounds=np.zeros((4, table.partitions + 1), np.int64),
        )
        self._stamp = 0

    def pack(self, out: Outbox, since: list[int], upto: int, batch: Columns) -> list[tuple[int, bytes]]:
        """(item partition, message) for every partition with news; moves its `since` to `upto`.

        Partitions without news get no message: their next one covers the gap.
        """
        table, room = self._table, self._room
        _group(out, table.rows, table.partitions, self._stamp, room)
        self._stamp += table.partitions
        events, names, touches, pairs = room.bounds[:, -1].tolist()
        name_bytes = int(table.interner.names.entries["length"][room.names[:names]].sum()) + names
        size = table.partitions * HEADER_BYTES + 17 * events + 21 * touches + 13 * pairs + name_bytes
        written = np.empty(size, np.uint8)
        ends = np.zeros(table.partitions, np.int64)
        _write(room, table.interner.names, batch, self._source, np.array(since), upto, written, ends)
        messages, start = [], 0
        for partition, end in enumerate(ends.tolist()):
            if end > start:
                messages.append((partition, written[start:end].tobytes()))
                since[partition], start = upto, end
        return messages

    def skip(self, out: Outbox, since: list[int], batch: Columns) -> None:
        """As `pack`, for a batch that was sent before: moves each `since` to the last event with news.

        No further: how batches were cut then is not known, and a partition without news was sent
        nothing, so its receiver may stand exactly there. A later `since` would be a hole to it.
        """
        latest = np.array(since, np.int64)
        touches, pairs = out.filled[:2].tolist()
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


@kernel
def _by_home(
    rows: NDArray[np.void],
    item: NDArray[np.int32],
    count: int,
    starts: NDArray[np.int64],
    order: NDArray[np.int32],
) -> None:
    """Places of the first `count` items by the home of their rows, a counting sort: those of home q are
    ``order[starts[q]:starts[q + 1]]``."""
    starts[:] = 0
    for k in range(count):
        starts[rows[item[k]].home] += 1
    for q in range(1, len(starts)):
        starts[q] += starts[q - 1]
    # Homes count from 1, so that each start is where the home before it ends; it moves there while filling.
    for k in range(count - 1, -1, -1):
        home = rows[item[k]].home
        starts[home] -= 1
        order[starts[home]] = k
    for q in range(len(starts) - 1):
        starts[q] = starts[q + 1]
    starts[len(starts) - 1] = count


@long_kernel
def _group(out: Outbox, rows: NDArray[np.void], partitions: int, stamp: int, room: _Room) -> None:
    """Split the outbox by the home of each row's item."""
    _by_home(rows, out.touch_item, out.filled[0], room.bounds[2], room.touch_order)
    _by_home(rows, out.pair_item, out.filled[1], room.bounds[3], room.pair_order)
    events = names = 0
    for q in range(partitions):
        room.bounds[0, q] = events
        room.bounds[1, q] = names
        first, begin, mark = events, names, stamp + q + 1
        touch, pair = room.bounds[2, q], room.bounds[3, q]
        touch_end, pair_end = room.bounds[2, q + 1], room.bounds[3, q + 1]
        # Both in the order of their events: merged, each event once.
        t, p = touch, pair
        while t < touch_end or p < pair_end:
            from_touch = out.touch_event[room.touch_order[t]] if t < touch_end else _NONE
            from_pair = out.pair_event[room.pair_order[p]] if p < pair_end else _NONE
            e = min(from_touch, from_pair)
            t += from_touch == e
            p += from_pair == e
            if events == first or room.events[events - 1] != e:
                room.event_local[e] = events - first
                room.events[events] = e
                events += 1
        for t in range(touch, touch_end):
            k = room.touch_order[t]
            item = out.touch_item[k]
            names = _local(room, item, mark, names, begin)
            room.touch[t] = out.touch_event[k]
            room.touch_without[t] = out.touch_without[k]
            room.touch_event[t] = room.event_local[out.touch_event[k]]
            room.touch_item[t] = room.local[item]
        for p in range(pair, pair_end):
            k = room.pair_order[p]
            item, other = out.pair_item[k], out.pair_other[k]
            names = _local(room, item, mark, names, begin)
            names = _local(room, other, mark, names, begin)
            room.pair_event[p] = room.event_local[out.pair_event[k]]
            room.pair_item[p] = room.local[item]
            room.pair_other[p] = room.local[other]
            room.pair_code[p] = out.pair_code[k]
    room.bounds[0, partitions] = events
    room.bounds[1, partitions] = names


_MAGIC = np.frombuffer(MAGIC, np.uint8)


@long_kernel
def _write(
    room: _Room,
    names: Names,
    batch: Columns,
    source: int,
    since: NDArray[np.int64],
    upto: int,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> None:
    """Write the message of every item partition that has news, one after the other."""
    at = 0
    for q in range(len(ends)):
        event, name, touch, pair = room.bounds[:, q]
        event_end, name_end, touch_end, pair_end = room.bounds[:, q + 1]
        ends[q] = at
        if event == event_end:
            continue
        sizes_at = put(out, at, _MAGIC, 0, len(_MAGIC))
        for number, size in ((LAYOUT, 2), (source, 2), (since[q], 8), (upto, 8)):
            sizes_at = put_int(out, sizes_at, number, size)
        at += HEADER_BYTES
        for k in range(event, event_end):
            at = put_int(out, at, batch.offset[room.events[k]], 8)
        for k in range(event, event_end):
            at = put_int(out, at, batch.ts_ms[room.events[k]], 8)
        for k in range(touch, touch_end):
            at = put_int(out, at, touch_price(batch.price_minor[room.touch[k]], room.touch_without[k]), 8)
        for column in (room.touch_event, room.touch_item):
            for k in range(touch, touch_end):
                at = put_int(out, at, column[k], 4)
        for k in range(touch, touch_end):
            at = put_int(out, at, batch.quantity[room.touch[k]], 4)
        for column in (room.pair_event, room.pair_item, room.pair_other):
            for k in range(pair, pair_end):
                at = put_int(out, at, column[k], 4)
        for k in range(touch, touch_end):
            at = put_int(out, at, touch_code(batch.code[room.touch[k]], room.touch_without[k]), 1)
        at = put(out, at, room.pair_code, pair, pair_end)
        names_at = at
        for k in range(name, name_end):
            entry = names.entries[room.names[k]]
            at = put(out, at, names.arena, entry.start, entry.start + entry.length)
            if k + 1 < name_end:
                out[at] = NUL
                at += 1
        counts = (event_end - event, touch_end - touch, pair_end - pair, name_end - name, at - names_at)
        for number in counts:
            sizes_at = put_int(out, sizes_at, number, 4)
        put_int(out, sizes_at, event_end - event, 4)
        for k in range(event, event_end):
            out[at] = batch.mark[room.events[k]]
            at += 1
        ends[q] = at
