"""Lists as JSON, written by a kernel: about 1 µs a list where a general encoder takes 8."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.effects import VERSION_CHARS, VERSION_PREFIX
from stream.recommend.numerals import put_score, put_small, put_whole
from stream.recommend.pool import LOOK_BACK
from stream.state.copy import PIECE, copy_piece
from stream.state.interner import Names
from stream.state.jit import kernel, long_kernel
from stream.state.texts import Texts, put

# The longest id is 128 characters of 4 bytes, every one of which might need a backslash.
_NAME_BYTES = 128 * 4 + 3
_ITEM_BYTES = _NAME_BYTES + 12 + 14 + 2 * 8 + 6
_HEAD_BYTES = 360 + (LOOK_BACK + 1) * _NAME_BYTES + PIECE

_QUOTE, _BACKSLASH, _COMMA, _ZERO, _CLOSE, _END = 0x22, 0x5C, 0x2C, 0x30, 0x5D, 0x7D


PLAIN = "share"
"""What ranks where no model does, as published."""

EXPLORED = 4
"""The place, from 0, of an item of which little is known: behind what shoppers look at first."""


class Lists(NamedTuple):
    """Lists of one batch: items (numbers), scores in [0, 10), reason codes, each (n, length).

    What stands behind each place: `because` counts, from 0, which of the `anchor` items (numbers + 1, of (n,
    `LOOK_BACK`)) is the reason, -1 for none; `shoppers` is how many there are at least, 0 below `LEAST`.
    `explored`: the probability with which the item of reason `NEW` was put into the list; 0 without one.
    `plain`: it is in the plain order, whatever model there is."""

    item: NDArray[np.int32]
    score: NDArray[np.float32]
    reason: NDArray[np.uint8]
    size: NDArray[np.int64]
    because: NDArray[np.int8]
    shoppers: NDArray[np.uint8]
    anchor: NDArray[np.int32]
    explored: NDArray[np.float32]
    plain: NDArray[np.bool_]

    def part(self, which: Any) -> Lists:
        """Some of the lists: `which` indexes rows (a slice gives views)."""
        return Lists(*(column[which] for column in self))


class Evidence(NamedTuple):
    """What other workers need of item lists beside the shares, to rank with them as their owner does: by
    neighbour its share of the row's last updates (`recent`) and of what came directly next (`next`), by list
    the `events` and `steps` behind them."""

    recent: NDArray[np.float32]
    next: NDArray[np.float32]
    events: NDArray[np.float32]
    steps: NDArray[np.float32]

    def part(self, which: Any) -> Evidence:
        """Of some of the lists."""
        return Evidence(*(column[which] for column in self))


def new_evidence(count: int, length: int) -> Evidence:
    """Room for that of `count` lists; of none, that of any list."""
    return Evidence(
        np.zeros((count, length), np.float32),
        np.zeros((count, length), np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
    )


_NONE = new_evidence(0, 0)


def new_lists(count: int, length: int) -> Lists:
    """Room for `count` lists of up to `length` items."""
    return Lists(
        np.zeros((count, length), np.int32),
        np.zeros((count, length), np.float32),
        np.zeros((count, length), np.uint8),
        np.zeros(count, np.int64),
        np.full((count, length), -1, np.int8),
        np.zeros((count, length), np.uint8),
        np.zeros((count, LOOK_BACK), np.int32),
        np.zeros(count, np.float32),
        np.zeros(count, np.bool_),
    )


class Writer:
    """Encodes lists of one length; the buffer is reused, the values handed out are copies."""

    def __init__(self, count: int, length: int, reasons: tuple[str, ...]) -> None:
        self._buffer = np.zeros(1 << 20, np.uint8)
        self._ends = np.zeros(count, np.int64)
        quoted = [f'"{reason}"'.encode() for reason in reasons]
        self._reasons = np.zeros((len(quoted), PIECE), np.uint8)
        self._reason_lengths = np.array([len(reason) for reason in quoted], np.int64)
        for k, reason in enumerate(quoted):
            self._reasons[k, : len(reason)] = np.frombuffer(reason, np.uint8)
        self._worst = _HEAD_BYTES + length * _ITEM_BYTES

    def write(
        self,
        lists: Lists,
        count: int,
        names: Names,
        lineage_ms: int,
        offsets: NDArray[np.int64],
        now_ms: int,
        model: str,
        evidence: Evidence = _NONE,
    ) -> Texts:
        """JSON objects ``{"version", "generated_at", "model", "items", "scores", "reasons"}``; where
        there are any also ``{"anchors", "because"}`` and ``{"shoppers"}``; with `evidence` also ``{"recent",
        "next", "events", "steps"}``; where a place was given to a newcomer ``{"explored": {"item",
        "propensity"}}``.

        `offsets[k]` is the offset after which list k was made: the second half of its version.
        Scores are rounded to five decimals.
        """
        if len(self._ends) < count:
            self._ends = np.zeros(count, np.int64)
        heads = [
            np.frombuffer(
                VERSION_PREFIX
                + b'%013d-%016d","generated_at":%d,"model":"%s","items":['
                % (lineage_ms, 0, now_ms, name.encode()),
                np.uint8,
            )
            for name in (model, PLAIN)
        ]
        done = 0
        values: list[Texts] = []
        while done < count:
            wrote = _write(
                lists,
                evidence,
                done,
                count,
                names,
                offsets,
                heads[0],
                heads[1],
                self._reasons,
                self._reason_lengths,
                self._worst,
                self._buffer,
                self._ends,
            )
            if wrote == 0:
                self._buffer = np.zeros(len(self._buffer) * 2, np.uint8)
                continue
            ends = self._ends[:wrote].copy()
            values.append(Texts(self._buffer[: ends[-1]].tobytes(), ends))
            done += wrote
        return Texts.chained(values)


@long_kernel
def _write(
    lists: Lists,
    evidence: Evidence,
    first: int,
    count: int,
    names: Names,
    offsets: NDArray[np.int64],
    head: NDArray[np.uint8],
    plain_head: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    reason_lengths: NDArray[np.int64],
    worst: int,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Write lists from `first` on until the buffer may be too small; how many were written."""
    at = 0
    done = 0
    for n in range(first, count):
        if at + worst > len(out):
            break
        begin = at
        mine = plain_head if lists.plain[n] else head
        at = put(out, at, mine, 0, len(mine))
        digits = offsets[n]
        for k in range(16):
            out[begin + len(VERSION_PREFIX) + VERSION_CHARS - 1 - k] = _ZERO + digits % 10
            digits //= 10
        size = lists.size[n]
        for k in range(size):
            if k:
                out[at] = _COMMA
                at += 1
            at = _put_name(out, at, names, lists.item[n, k])
        for byte in b'],"scores":[':
            out[at] = byte
            at += 1
        for k in range(size):
            if k:
                out[at] = _COMMA
                at += 1
            at = put_score(out, at, lists.score[n, k])
        for byte in b'],"reasons":[':
            out[at] = byte
            at += 1
        for k in range(size):
            if k:
                out[at] = _COMMA
                at += 1
            code = lists.reason[n, k]
            copy_piece(out, at, reasons[code], 0)
            at += reason_lengths[code]
        out[at] = _CLOSE
        at += 1
        at = _put_behind(out, at, lists, names, n, size)
        if len(evidence.events):
            at = _put_evidence(out, at, evidence, n, size)
        if lists.explored[n] > 0.0:
            at = _put_explored(out, at, lists, n, names)
        out[at] = _END
        at += 1
        ends[done] = at
        done += 1
    return done


@kernel
def _put_behind(out: NDArray[np.uint8], at: int, lists: Lists, names: Names, n: int, size: int) -> int:
    """What stands behind the places, unless it is nothing of any: .16 µs a list of 20, and 125 bytes."""
    anchors = known = 0
    for k in range(size):
        anchors = max(anchors, lists.because[n, k] + 1)
        known |= lists.shoppers[n, k]
    if anchors:
        for byte in b',"anchors":[':
            out[at] = byte
            at += 1
        for k in range(anchors):
            if k:
                out[at] = _COMMA
                at += 1
            at = _put_name(out, at, names, lists.anchor[n, k] - 1)
        for byte in b'],"because":[':
            out[at] = byte
            at += 1
        at = _put_each(out, at, lists.because[n], size)
    if known:
        for byte in b',"shoppers":[':
            out[at] = byte
            at += 1
        at = _put_each(out, at, lists.shoppers[n], size)
    return at


@kernel
def _put_each(out: NDArray[np.uint8], at: int, values: NDArray[Any], size: int) -> int:
    for k in range(size):
        if k:
            out[at] = _COMMA
            at += 1
        at = put_small(out, at, np.int64(values[k]))  # type: ignore[arg-type]
    out[at] = _CLOSE
    return at + 1


@kernel
def _put_explored(out: NDArray[np.uint8], at: int, lists: Lists, n: int, names: Names) -> int:
    for byte in b',"explored":{"item":':
        out[at] = byte
        at += 1
    at, unit = _put_name(out, at, names, lists.item[n, EXPLORED]), 10**8
    for byte in b',"propensity":0.':
        out[at] = byte
        at += 1
    rest = int(min(max(lists.explored[n] * unit + 0.5, 1.0), unit - 1.0))
    while rest:
        unit //= 10
        out[at] = _ZERO + rest // unit
        at += 1
        rest %= unit
    out[at] = _END
    return at + 1


@kernel
def _put_evidence(out: NDArray[np.uint8], at: int, evidence: Evidence, n: int, size: int) -> int:
    for byte in b',"events":':
        out[at] = byte
        at += 1
    at = put_whole(out, at, evidence.events[n])
    for byte in b',"steps":':
        out[at] = byte
        at += 1
    at = put_whole(out, at, evidence.steps[n])
    for byte in b',"recent":[':
        out[at] = byte
        at += 1
    for k in range(size):
        if k:
            out[at] = _COMMA
            at += 1
        at = put_score(out, at, evidence.recent[n, k])
    for byte in b'],"next":[':
        out[at] = byte
        at += 1
    for k in range(size):
        if k:
            out[at] = _COMMA
            at += 1
        at = put_score(out, at, evidence.next[n, k])
    out[at] = _CLOSE
    return at + 1


@kernel
def _put_name(out: NDArray[np.uint8], at: int, names: Names, number: int) -> int:
    """An id, quoted. Its room in the arena is whole pieces."""
    start, length = names.entries[number].start, names.entries[number].length
    out[at] = _QUOTE
    at += 1
    special = 0
    for k in range(0, length, PIECE):
        special |= copy_piece(out, at + k, names.arena, start + k) & ((1 << min(length - k, PIECE)) - 1)
    if special:
        return _put_escaped(out, at, names.arena, start, length)
    at += length
    out[at] = _QUOTE
    return at + 1


@kernel
def _put_escaped(out: NDArray[np.uint8], at: int, data: NDArray[np.uint8], start: int, length: int) -> int:
    """The rest of an id that holds what JSON escapes."""
    for k in range(length):
        byte = data[start + k]
        if byte == _QUOTE or byte == _BACKSLASH:
            out[at] = _BACKSLASH
            at += 1
        out[at] = byte
        at += 1
    out[at] = _QUOTE
    return at + 1
