"""Exchange messages as the item stage takes them in: a run of them, read by kernels into one set of columns.

A worker of a cluster gets a message from every partition of `events` for each of its own, and most hold a
handful of events: taken one by one, what each costs before its first event was more than all that they said.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.block import Block
from stream.exchange import (
    HEADER_BYTES,
    LAYOUT,
    LAYOUT_AT,
    MAGIC,
    MARKS_AT,
    SINCE_AT,
    SIZES_AT,
    SOURCE_AT,
    UPTO_AT,
    Pairs,
    Touches,
)
from stream.items.distinct import bit_of
from stream.state.inactive import is_due
from stream.state.jit import kernel
from stream.state.little_endian import get_int
from stream.state.texts import put

_MAGIC = np.frombuffer(MAGIC, np.uint8)
_SKIPPED = -1
_MESSAGES, _EVENTS, _TOUCHES, _PAIRS, _NAMES, _NAME_BYTES, _CLOCK_MS, _HOLES, _REPEATED = range(9)


class Run(NamedTuple):
    """What `messages` records in a row say. `event`, `item` and `other` of the columns index the columns by
    event (`ts_ms`; `offset` of its message in the log, the unit's `clock_ms` after that, and the bit of its
    `shopper`, 0 if it is not known) and the `n_names` ids in `names`. What was applied before, or leaves a
    hole, is not among them.
    """

    messages: int
    holes: int
    repeated: int
    """Messages of which something was applied before."""
    ts_ms: NDArray[np.int64]
    offset: NDArray[np.int64]
    clock_ms: NDArray[np.int64]
    shopper: NDArray[np.uint32]
    touches: Touches
    pairs: Pairs
    names: bytes
    n_names: int


def read(block: Block, at: int, most: int, marks: NDArray[np.int64], clock_ms: int, inactive_ms: int) -> Run:
    """Up to `most` messages from record `at` on, and `marks` moved to where they end.

    `marks` holds, by source, the last offset that was applied, plus one. The run ends before a record that
    is no message of this layout, or of a source beyond `marks` (then `messages` may be 0), and one at which
    it is due to look who has not been seen for `inactive_ms` is alone.
    """
    data = np.frombuffer(block.data, np.uint8)
    fresh = np.empty(min(most, len(block) - at), np.int64)
    sums = np.zeros(9, np.int64)
    sums[_CLOCK_MS] = clock_ms
    _survey(data, block.value[at:], marks, inactive_ms, fresh, sums)
    messages, events, n_touches, n_pairs, n_names, name_bytes, _, holes, repeated = sums.tolist()
    # Between the names of two messages there is one byte as between two names.
    names = np.zeros(name_bytes, np.uint8)
    ts_ms, offset, clock = np.empty((3, events), np.int64)
    shopper = np.zeros(events, np.uint32)
    touches = Touches(
        np.empty(n_touches, np.uint32), np.empty(n_touches, np.uint32), np.empty(n_touches, np.uint8),
        np.empty(n_touches, np.int32), np.empty(n_touches, np.int64),
    )  # fmt: skip
    pairs = Pairs(
        np.empty(n_pairs, np.uint32), np.empty(n_pairs, np.uint32), np.empty(n_pairs, np.uint32),
        np.empty(n_pairs, np.uint8),
    )  # fmt: skip
    _read(
        data, block.value[at : at + messages], block.offset[at : at + messages], fresh, clock_ms,
        ts_ms, offset, clock, shopper, touches, pairs, names,
    )  # fmt: skip
    told = names[:-1].tobytes()
    return Run(messages, holes, repeated, ts_ms, offset, clock, shopper, touches, pairs, told, n_names)


@kernel
def _sizes(data: NDArray[np.uint8], start: int) -> tuple[int, int, int, int, int]:
    """Numbers of events, touches, pairs and names, and bytes of the names."""
    at = start + SIZES_AT
    return (
        get_int(data, at, 4),
        get_int(data, at + 4, 4),
        get_int(data, at + 8, 4),
        get_int(data, at + 12, 4),
        get_int(data, at + 16, 4),
    )


@kernel
def _all_below(data: NDArray[np.uint8], at: int, count: int, limit: int) -> bool:
    for k in range(count):
        if get_int(data, at + 4 * k, 4) >= limit:
            return False
    return True


@kernel
def _is_whole(data: NDArray[np.uint8], start: int, stop: int) -> bool:
    """Whether it is a message of this layout, and every index in it points into it."""
    if start < 0 or stop - start < HEADER_BYTES or get_int(data, start + LAYOUT_AT, 2) != LAYOUT:
        return False
    for k in range(len(_MAGIC)):
        if data[start + k] != _MAGIC[k]:
            return False
    n, t, p, n_names, name_bytes = _sizes(data, start)
    at = start + HEADER_BYTES + 16 * n + 8 * t
    marks = n if get_int(data, start + MARKS_AT, 4) == n else 0
    if at + 13 * t + 13 * p + name_bytes + marks > stop:
        return False
    if not (_all_below(data, at, t, n) and _all_below(data, at + 4 * t, t, n_names)):
        return False
    at += 12 * t
    if not (_all_below(data, at, p, n) and _all_below(data, at + 4 * p, 2 * p, n_names)):
        return False
    at += 13 * p + t
    names = 1 if name_bytes else 0
    for k in range(name_bytes):
        names += data[at + k] == 0
    return names == n_names


@kernel
def _survey(
    data: NDArray[np.uint8],
    value: NDArray[np.int64],
    marks: NDArray[np.int64],
    inactive_ms: int,
    fresh: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> None:
    """Which messages make a run, its sizes, and from which event on each is `fresh` (`_SKIPPED`: none)."""
    for k in range(len(fresh)):
        start, stop = value[k, 0], value[k, 1]
        if not _is_whole(data, start, stop):
            return
        source, since = get_int(data, start + SOURCE_AT, 2), get_int(data, start + SINCE_AT, 8)
        if source >= len(marks):
            return
        upto, known = get_int(data, start + UPTO_AT, 8), marks[source] - 1
        n, t, p, n_names, name_bytes = _sizes(data, start)
        fresh[k] = _SKIPPED
        if since > known:
            sums[_HOLES] += 1
            sums[_MESSAGES] += 1
            continue
        if upto <= known:
            sums[_REPEATED] += 1
            sums[_MESSAGES] += 1
            continue
        clock_ms = sums[_CLOCK_MS]
        before = 0
        for e in range(n):
            before += get_int(data, start + HEADER_BYTES + 8 * e, 8) <= known
            clock_ms = max(clock_ms, get_int(data, start + HEADER_BYTES + 8 * (n + e), 8))
        due = is_due(sums[_CLOCK_MS], clock_ms, inactive_ms)
        if due and sums[_MESSAGES]:
            return
        marks[source] = upto + 1
        fresh[k] = before
        sums[_REPEATED] += before > 0
        sums[_CLOCK_MS] = clock_ms
        sums[_EVENTS] += n
        at = start + HEADER_BYTES + 16 * n + 8 * t
        sums[_TOUCHES] += _from(data, at, t, before)
        sums[_PAIRS] += _from(data, at + 12 * t, p, before)
        sums[_NAMES] += n_names
        sums[_NAME_BYTES] += name_bytes + (n_names > 0)
        sums[_MESSAGES] += 1
        if due:
            return


@kernel
def _from(data: NDArray[np.uint8], at: int, count: int, first: int) -> int:
    """How many of `count` event indices are `first` or above."""
    if first == 0:
        return count
    found = 0
    for k in range(count):
        found += get_int(data, at + 4 * k, 4) >= first
    return found


@kernel
def _read(
    data: NDArray[np.uint8],
    value: NDArray[np.int64],
    record_offset: NDArray[np.int64],
    fresh: NDArray[np.int64],
    clock_ms: int,
    ts_ms: NDArray[np.int64],
    offset: NDArray[np.int64],
    clock: NDArray[np.int64],
    shopper: NDArray[np.uint32],
    touches: Touches,
    pairs: Pairs,
    names: NDArray[np.uint8],
) -> None:
    """Fill the columns of a run."""
    events = n_touches = n_pairs = all_names = end = 0
    for m in range(len(value)):
        if fresh[m] == _SKIPPED:
            continue
        start = value[m, 0]
        n, t, p, n_names, name_bytes = _sizes(data, start)
        at = start + HEADER_BYTES + 8 * n
        for e in range(n):
            ts_ms[events + e] = get_int(data, at + 8 * e, 8)
            clock_ms = max(clock_ms, ts_ms[events + e])
            offset[events + e] = record_offset[m]
        clock[events : events + n] = clock_ms
        price = at + 8 * n
        event = price + 8 * t
        item, quantity = event + 4 * t, event + 8 * t
        pair_event = event + 12 * t
        pair_item, pair_other = pair_event + 4 * p, pair_event + 8 * p
        code = pair_event + 12 * p
        for k in range(t):
            e = get_int(data, event + 4 * k, 4)
            if e >= fresh[m]:
                touches.event[n_touches] = events + e
                touches.item[n_touches] = all_names + get_int(data, item + 4 * k, 4)
                touches.code[n_touches] = data[code + k]
                touches.quantity[n_touches] = np.int32(get_int(data, quantity + 4 * k, 4))
                touches.price_minor[n_touches] = get_int(data, price + 8 * k, 8)
                n_touches += 1
        for k in range(p):
            e = get_int(data, pair_event + 4 * k, 4)
            if e >= fresh[m]:
                pairs.event[n_pairs] = events + e
                pairs.item[n_pairs] = all_names + get_int(data, pair_item + 4 * k, 4)
                pairs.other[n_pairs] = all_names + get_int(data, pair_other + 4 * k, 4)
                pairs.code[n_pairs] = data[code + t + k]
                n_pairs += 1
        mark = code + t + p + name_bytes
        if n_names:
            end = put(names, end, data, code + t + p, mark) + 1
        if get_int(data, start + MARKS_AT, 4) == n:
            for e in range(n):
                shopper[events + e] = bit_of(data[mark + e])
        events += n
        all_names += n_names
