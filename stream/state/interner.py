"""Ids to small numbers and back, in flat arrays that kernels can read.

Numbers live inside one worker; on the wire and on disk ids are strings. A number is given out
again only after `release`, which its owner calls when no row holds it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import StreamError
from stream.state.arena import reserve
from stream.state.hashing import NUL, hash64
from stream.state.jit import kernel
from stream.state.prefetch import prefetch
from stream.state.texts import Texts, put

ENTRY = np.dtype([("hash", np.uint64), ("start", np.int64), ("length", np.int32), ("room", np.int32)])
"""One interned id: its hash (0 = free), where its bytes lie in the arena, and the room they have."""

# The longest id has 128 characters of 4 bytes. Rooms are powers of two, so that a number that is given
# out again and again, each time to a longer id, leaves behind less than it has. The arena is address
# space, not memory: ids average 10 to 40 bytes.
_ID_BYTES = 512
_ARENA_BYTES_PER_ID = 2 * _ID_BYTES
_ROOM = 16

_AHEAD = 16
"""Ids that are looked for together: each is three reads from anywhere, and waiting for one takes as long as
for sixteen."""

_COUNT, _END, _FREE, _LIVE = 0, 1, 2, 3


class Names(NamedTuple):
    """What kernels need to read ids: entries, arena bytes."""

    entries: NDArray[np.void]
    arena: NDArray[np.uint8]


class Ahead(NamedTuple):
    """The next ids of a blob: where they end, and their hashes."""

    stop: NDArray[np.int64]
    hash: NDArray[np.uint64]


class Interner:
    """Open addressing over id bytes; about 50 ns an id, no Python object per id.

    `capacity` is a hard cap: `intern` of a further new id gives -1, and the owner makes room.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.names = Names(reserve(capacity, ENTRY), reserve(capacity * _ARENA_BYTES_PER_ID, np.uint8))
        self.scratch = reserve(capacity, np.int32)
        """Zeros by number, for whoever leaves them zero."""
        self._free = reserve(capacity, np.int32)
        self._table = np.full(1024, -1, np.int32)
        self._counts = np.zeros(4, np.int64)
        self._ahead = Ahead(np.zeros(_AHEAD, np.int64), np.zeros(_AHEAD, np.uint64))

    def __len__(self) -> int:
        return int(self._counts[_LIVE])

    @property
    def used(self) -> int:
        """Numbers ever given out: rows at and above it were never touched."""
        return int(self._counts[_COUNT])

    def intern(self, blob: bytes, count: int) -> NDArray[np.int32]:
        """Numbers of `count` NUL-separated ids, new ones included; -1 where empty or at the cap."""
        out = np.empty(count, np.int32)
        while (len(self) + count) * 2 > len(self._table) < self.capacity * 4:
            self._table = np.full(len(self._table) * 2, -1, np.int32)
            _refill(self.names, self._table, self.used)
        data = np.frombuffer(blob, np.uint8)
        _intern(data, self.names, self._table, self._counts, self._free, self.capacity, self._ahead, out)
        return out

    def intern_one(self, name: bytes) -> int:
        """Number of one id."""
        return int(self.intern(name, 1)[0])

    def find(self, name: bytes) -> int:
        """Number of an id, or -1 if it is not known; never adds it."""
        data = np.frombuffer(name, np.uint8)
        h = np.uint64(hash64(data, 0, len(name)))
        return int(_find(data, 0, len(name), h, self.names, self._table))

    def name(self, number: int) -> bytes:
        """The id behind a number."""
        entry = self.names.entries[number]
        start = int(entry["start"])
        return self.names.arena[start : start + int(entry["length"])].tobytes()

    def blob(self, numbers: NDArray[np.int32]) -> bytes:
        """NUL-separated ids of `numbers`."""
        out = np.full(_bytes_of(self.names, numbers) + len(numbers), NUL, np.uint8)
        _write(self.names, numbers, 1, out)
        return out[:-1].tobytes() if len(numbers) else b""

    def texts(self, numbers: NDArray[np.int32]) -> Texts:
        """The ids of `numbers`."""
        ends = np.cumsum(self.names.entries["length"][numbers], dtype=np.int64)
        out = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
        _write(self.names, numbers, 0, out)
        return Texts(out.tobytes(), ends)

    def release(self, numbers: NDArray[np.int32]) -> None:
        """Forget ids. The caller vouches that no row holds their numbers any more."""
        _release(self.names, self._table, self._counts, self._free, numbers)


def joined(ids: Sequence[str]) -> bytes:
    """Ids as one NUL-separated blob, in UTF-8."""
    return "\0".join(ids).encode()


def require_room(number: int, what: str, setting: str) -> None:
    """Raise a `StreamError` if `number` says that an interner is full."""
    if number < 0:
        raise no_room(what, setting)


def no_room(what: str, setting: str) -> StreamError:
    """There are more rows than may be held."""
    return StreamError(f"no room for another {what}: raise the setting {setting}")


@kernel
def _probe(table: NDArray[np.int32], h: np.uint64) -> int:
    """Position of the first slot to look at for hash `h`."""
    return np.int64(h & np.uint64(len(table) - 1))  # type: ignore[return-value]


@kernel
def _find(
    blob: NDArray[np.uint8], start: int, stop: int, h: np.uint64, names: Names, table: NDArray[np.int32]
) -> int:
    at = _probe(table, h)
    while table[at] >= 0:
        entry = names.entries[table[at]]
        if entry.hash == h and entry.length == stop - start:
            same = True
            for k in range(stop - start):
                if names.arena[entry.start + k] != blob[start + k]:
                    same = False
                    break
            if same:
                return table[at]  # type: ignore[no-any-return]
        at = (at + 1) & (len(table) - 1)
    return -1


@kernel
def _look_ahead(
    blob: NDArray[np.uint8], start: int, count: int, names: Names, table: NDArray[np.int32], ahead: Ahead
) -> None:
    """Find the ends and hashes of the next `count` ids, and ask for what is where they should be."""
    for k in range(count):
        stop = start
        while stop < len(blob) and blob[stop] != NUL:
            stop += 1
        ahead.stop[k] = stop
        ahead.hash[k] = hash64(blob, start, stop)
        prefetch(table, _probe(table, ahead.hash[k]), 0)
        start = stop + 1
    for k in range(count):
        prefetch(names.entries, table[_probe(table, ahead.hash[k])], 0)
    for k in range(count):
        number = table[_probe(table, ahead.hash[k])]
        if number >= 0:
            prefetch(names.arena, names.entries[number].start, 0)


@kernel
def _intern(
    blob: NDArray[np.uint8],
    names: Names,
    table: NDArray[np.int32],
    counts: NDArray[np.int64],
    free: NDArray[np.int32],
    capacity: int,
    ahead: Ahead,
    out: NDArray[np.int32],
) -> None:
    start = 0
    for n in range(len(out)):
        if n % _AHEAD == 0:
            _look_ahead(blob, start, min(_AHEAD, len(out) - n), names, table, ahead)
        stop, h = ahead.stop[n % _AHEAD], ahead.hash[n % _AHEAD]
        length = stop - start
        number = -1
        if 0 < length <= _ID_BYTES:
            number = _find(blob, start, stop, h, names, table)
            if number < 0 and counts[_LIVE] < capacity:
                if counts[_FREE] > 0:
                    counts[_FREE] -= 1
                    number = free[counts[_FREE]]
                else:
                    number = counts[_COUNT]
                    counts[_COUNT] += 1
                entry = names.entries[number]
                if entry.room < length:
                    room = _ROOM
                    while room < length:
                        room *= 2
                    entry.start = counts[_END]
                    entry.room = room
                    counts[_END] += room
                for k in range(length):
                    names.arena[entry.start + k] = blob[start + k]
                entry.length = length
                entry.hash = h
                counts[_LIVE] += 1
                at = _probe(table, entry.hash)
                while table[at] >= 0:
                    at = (at + 1) & (len(table) - 1)
                table[at] = number
        out[n] = number
        start = stop + 1


@kernel
def _refill(names: Names, table: NDArray[np.int32], used: int) -> None:
    for number in range(used):
        h = names.entries[number].hash
        if h != np.uint64(0):
            at = _probe(table, h)
            while table[at] >= 0:
                at = (at + 1) & (len(table) - 1)
            table[at] = number


@kernel
def _release(
    names: Names,
    table: NDArray[np.int32],
    counts: NDArray[np.int64],
    free: NDArray[np.int32],
    numbers: NDArray[np.int32],
) -> None:
    mask = len(table) - 1
    for number in numbers:
        at = _probe(table, names.entries[number].hash)
        while table[at] != number:
            at = (at + 1) & mask
        # Backward-shift deletion keeps probe chains whole without tombstones.
        hole = at
        at = (at + 1) & mask
        while table[at] >= 0:
            home = _probe(table, names.entries[table[at]].hash)
            if ((at - home) & mask) >= ((at - hole) & mask):
                table[hole] = table[at]
                hole = at
            at = (at + 1) & mask
        table[hole] = -1
        names.entries[number].hash = np.uint64(0)
        free[counts[_FREE]] = number
        counts[_FREE] += 1
        counts[_LIVE] -= 1


@kernel
def _bytes_of(names: Names, numbers: NDArray[np.int32]) -> int:
    size = 0
    for number in numbers:
        size += names.entries[number].length
    return size


@kernel
def _write(names: Names, numbers: NDArray[np.int32], gap: int, out: NDArray[np.uint8]) -> None:
    """Write ids, `gap` bytes apart, which are left as they are."""
    at = 0
    for number in numbers:
        entry = names.entries[number]
        at = put(out, at, names.arena, entry.start, entry.start + entry.length) + gap
