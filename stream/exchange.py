"""The exchange between the two stages: one message per batch and item partition, in columns.

A message covers the source offsets (`since`, `upto`] of one partition of `events`: all that these
events mean for the items of one item partition. `since` is the `upto` of the message before, so a
receiver sees a hole. Ids travel in the message's own string table; numbers never leave a worker.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import LayoutError
from stream.events.codes import NO_PRICE
from stream.state.jit import kernel

LAYOUT = 1
"""Version of this layout. A reader refuses a newer one, whatever follows its first six bytes. What was added
without a new one, after all else, it leaves alone."""

# Magic, layout, source, since, upto; events, touches, pairs, names, bytes of the names, marks. Columns follow
# the 48 bytes by falling width, so that all of them are aligned views; marks, which are newer, follow names.
_HEADER = struct.Struct("<4sHHqqIIIIII")
_START = struct.Struct("<4sH")
MAGIC = b"STRX"
LAYOUT_AT, SOURCE_AT, SINCE_AT, UPTO_AT, SIZES_AT, MARKS_AT = 4, 6, 8, 16, 24, 44
HEADER_BYTES = _HEADER.size

_NONE = np.zeros(0, np.uint8)


class Touches(NamedTuple):
    """Events that touched an item of this partition: columns of one length."""

    event: NDArray[np.uint32]
    item: NDArray[np.uint32]
    code: NDArray[np.uint8]
    quantity: NDArray[np.int32]
    price_minor: NDArray[np.int64]


class Pairs(NamedTuple):
    """Co-occurrences: `other` was met at `code` (kind, direction, distance) from `item`."""

    event: NDArray[np.uint32]
    item: NDArray[np.uint32]
    other: NDArray[np.uint32]
    code: NDArray[np.uint8]


class Exchange(NamedTuple):
    """One decoded message. `offset` and `ts_ms` are per event; `event`, `item` and `other` index them
    and the string table `names` (NUL-separated, `n_names` ids). `mark`: by event a byte of the hash of its
    shopper, so that shoppers can be told apart without being named; empty if an older worker wrote it."""

    source: int
    since: int
    upto: int
    offset: NDArray[np.int64]
    ts_ms: NDArray[np.int64]
    touches: Touches
    pairs: Pairs
    names: bytes
    n_names: int
    mark: NDArray[np.uint8] = _NONE


def decode(value: bytes) -> Exchange:
    """The message in `value`, its columns as views on the same bytes: offsets, times, prices; event, item and
    quantity of touches; event, item and other of pairs; codes of touches, of pairs; names; marks.

    Raises `LayoutError` for a message of a newer layout, `ValueError` for anything else.
    """
    if len(value) < _START.size or value[:4] != MAGIC:
        raise ValueError(
            "a record of item-updates is no exchange message: let only workers write to that topic"
        )
    _, layout = _START.unpack_from(value)
    if layout > LAYOUT:
        raise LayoutError(
            f"an exchange message has layout {layout}, newer than {LAYOUT}: upgrade this worker first"
        )
    if len(value) < _HEADER.size:
        raise ValueError("an exchange message is cut short")
    _, _, source, since, upto, n, n_touches, n_pairs, n_names, names_bytes, marks = _HEADER.unpack_from(value)
    at = _HEADER.size

    def column(dtype: type[np.generic], length: int) -> NDArray[Any]:
        nonlocal at
        view = np.frombuffer(value, dtype, length, at)
        at += view.nbytes
        return view

    t, p = n_touches, n_pairs
    offset, ts_ms, price_minor = column(np.int64, n), column(np.int64, n), column(np.int64, t)
    event, item, quantity = column(np.uint32, t), column(np.uint32, t), column(np.int32, t)
    pair_event, pair_item, pair_other = (column(np.uint32, p) for _ in range(3))
    code, pair_code = column(np.uint8, t), column(np.uint8, p)
    if len(value) < at + names_bytes:
        raise ValueError("an exchange message is cut short")
    names = value[at : at + names_bytes]
    at += names_bytes
    marked = marks == n
    if marked and len(value) < at + n:
        raise ValueError("an exchange message is cut short")
    events, items = np.concatenate([event, pair_event]), np.concatenate([item, pair_item, pair_other])
    if n_names != (names.count(b"\0") + 1 if names else 0):
        raise ValueError("an exchange message does not hold as many names as it says")
    if events.max(initial=0) >= max(n, 1) or items.max(initial=0) >= max(n_names, 1):
        raise ValueError("an exchange message speaks of what it does not hold")
    return Exchange(
        source,
        since,
        upto,
        offset,
        ts_ms,
        Touches(event, item, code, quantity, price_minor),
        Pairs(pair_event, pair_item, pair_other, pair_code),
        names,
        n_names,
        np.frombuffer(value, np.uint8, n, at) if marked else _NONE,
    )


NO_DEMAND, NO_INTEREST = 1, 2
"""What a touch leaves out, two bits: the price, and what makes an item popular. A product hears what its
variants do without their price, a variant of itself without the popularity, which is the product's; and of
what is sold to a crowd neither counts."""

WITHOUT_INTEREST = 128
"""Added to the code of an event, a touch that makes nothing popular. An older worker counts none of it."""


@kernel
def touch_code(code: int, left_out: int) -> int:
    """A touch's code as it travels."""
    return code | WITHOUT_INTEREST if left_out & NO_INTEREST else code


@kernel
def touch_price(price_minor: int, left_out: int) -> int:
    """A touch's price as it travels."""
    return NO_PRICE if left_out & NO_DEMAND else price_minor


FORWARD, BACKWARD = 0, 1
_KIND_SHIFT, _DIRECTION_SHIFT, _DISTANCE_MASK = 6, 5, 31


@kernel
def pair_code(kind: int, direction: int, distance: int) -> int:
    """One byte for kind (0 to 2), direction and distance in events (1 to 31)."""
    return kind << _KIND_SHIFT | direction << _DIRECTION_SHIFT | distance


@kernel
def pair_kind(code: int) -> int:
    """The kind of co-occurrence in a pair's code."""
    return code >> _KIND_SHIFT


BACKWARD_SHARE = 0.6
"""Weight of "came before" against "came after". Measured on two shops' logs, half-life 7 days, HR@20:
0.3 gives .462 and .603, 0.6 gives .469 and .607, 1.0 gives .469 and .605."""


def _weights() -> NDArray[np.float64]:
    table = np.zeros(256)
    for code in range(256):
        distance = code & _DISTANCE_MASK
        if distance:
            backward = code >> _DIRECTION_SHIFT & 1
            table[code] = (BACKWARD_SHARE if backward else 1.0) / distance
    return table


PAIR_WEIGHT = _weights()
"""Weight by code: 1/distance, times `BACKWARD_SHARE` backwards. Baskets travel with distance 1, forward."""
