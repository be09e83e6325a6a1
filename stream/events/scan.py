"""The events that shops mostly send, read by a kernel: about .4 µs each, where Python takes ten.

It reads what is written plainly: a flat object of known fields, each once, ASCII without escapes, whole
milliseconds, prices of at most two decimals. Whatever else there is, right or wrong, it leaves to
`stream.events.decode`, which alone says what is refused: what is read here is what would be read there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import CART, HIDE, LIKE, NO_PRICE, PURCHASE, REMOVE, RETURN, VIEW
from stream.events.request import NO_REQUEST, offset_named
from stream.events.types import ID_MAX_CHARS
from stream.state.hashing import hash64
from stream.state.jit import kernel, long_kernel


class Columns(NamedTuple):
    """Events by column, a row each: see `stream.events.decode.Batch`."""

    ts_ms: NDArray[np.int64]
    code: NDArray[np.uint8]
    event: NDArray[np.uint64]
    session: NDArray[np.uint64]
    order: NDArray[np.uint64]
    price_minor: NDArray[np.int64]
    quantity: NDArray[np.int32]
    request: NDArray[np.int64]
    """What the `request_id` names (`stream.events.request`)."""
    item: NDArray[np.int64]
    """(n, 2): where the item's id lies in the records' bytes."""


def new_columns(n: int) -> Columns:
    """Room for `n` events."""
    hashes = np.zeros((3, n), np.uint64)
    return Columns(
        np.zeros(n, np.int64), np.zeros(n, np.uint8), hashes[0], hashes[1], hashes[2],
        np.full(n, NO_PRICE, np.int64), np.ones(n, np.int32), np.full(n, NO_REQUEST, np.int64),
        np.zeros((n, 2), np.int64),
    )  # fmt: skip


def _word(text: bytes) -> int:
    """Up to eight bytes as one number."""
    return int.from_bytes(text[:8], "little")


_EVENT_ID, _TS, _USER_ID, _ITEM_ID = map(_word, (b"event_id", b"ts", b"user_id", b"item_id"))
_TYPE, _PRICE, _CURRENCY, _QUANTITY = map(_word, (b"type", b"price", b"currency", b"quantity"))
_ORDER_ID, _SESSION, _REQUEST, _ID = map(_word, (b"order_id", b"session_", b"request_", b"id"))
_VIEW, _CART, _LIKE, _HIDE = map(_word, (b"view", b"cart", b"like", b"hide"))
_RETURN, _PURCHASE, _REMOVE, _FROM_CART = map(_word, (b"return", b"purchase", b"remove_f", b"rom_cart"))

# Bits of the fields that were seen; the first five are in every event that is read here.
_HAS_EVENT, _HAS_TS, _HAS_USER, _HAS_ITEM, _HAS_TYPE = 1, 2, 4, 8, 16
_NEEDED = 31
_HAS_SESSION, _HAS_PRICE, _HAS_CURRENCY, _HAS_QUANTITY, _HAS_ORDER, _HAS_REQUEST = 32, 64, 128, 256, 512, 1024

_QUOTE, _BACKSLASH, _COLON, _COMMA, _OPEN, _CLOSE = 0x22, 0x5C, 0x3A, 0x2C, 0x7B, 0x7D
_ZERO, _NINE, _POINT, _SPACE, _TILDE = 0x30, 0x39, 0x2E, 0x20, 0x7E
_TS_MAX, _QUANTITY_MAX = 253_402_300_799_999, 1_000_000
_TS_DIGITS, _PRICE_DIGITS, _QUANTITY_DIGITS, _CURRENCY_CHARS = 15, 9, 7, 3
_UNREAD = -1


@kernel
def _skip(data: NDArray[np.uint8], at: int, stop: int) -> int:
    """The first place from `at` on that holds no white space."""
    while at < stop and (data[at] == _SPACE or data[at] == 0x0A or data[at] == 0x0D or data[at] == 0x09):
        at += 1
    return at


@kernel
def _text_end(data: NDArray[np.uint8], at: int, stop: int) -> int:
    """Where the text whose first character is at `at` ends, `_UNREAD` if it is not plain."""
    while at < stop:
        byte = data[at]
        if byte == _QUOTE:
            return at
        if byte < _SPACE or byte > _TILDE or byte == _BACKSLASH:
            return _UNREAD
        at += 1
    return _UNREAD


@kernel
def _word_at(data: NDArray[np.uint8], start: int, stop: int) -> int:
    word = np.uint64(0)
    for k in range(min(8, stop - start)):
        word |= np.uint64(data[start + k]) << np.uint64(8 * k)
    return word  # type: ignore[return-value]


@kernel
def _number_end(data: NDArray[np.uint8], at: int, stop: int, digits: int) -> int:
    """Where a whole number of at most `digits` digits ends, `_UNREAD` if there is none."""
    start = at
    while at < stop and _ZERO <= data[at] <= _NINE:
        at += 1
    if at == start or at - start > digits or (at - start > 1 and data[start] == _ZERO):
        return _UNREAD
    return at


@kernel
def _number(data: NDArray[np.uint8], start: int, stop: int) -> int:
    number = 0
    for k in range(start, stop):
        number = number * 10 + data[k] - _ZERO
    return number


@kernel
def _code(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """The code of an event type whose only field of its own is an item, `_UNREAD` for others."""
    word, size = _word_at(data, start, stop), stop - start
    if size == 4:
        if word == np.uint64(_VIEW):
            return VIEW
        if word == np.uint64(_CART):
            return CART
        if word == np.uint64(_LIKE):
            return LIKE
        if word == np.uint64(_HIDE):
            return HIDE
    if size == 8 and word == np.uint64(_PURCHASE):
        return PURCHASE
    if size == 6 and word == np.uint64(_RETURN):
        return RETURN
    if size == 16 and word == np.uint64(_REMOVE) and _word_at(data, start + 8, stop) == np.uint64(_FROM_CART):
        return REMOVE
    return _UNREAD


@kernel
def _field(data: NDArray[np.uint8], start: int, stop: int) -> int:
    """The bit of a field's name, 0 for names that are not known."""
    word, size = _word_at(data, start, stop), stop - start
    if size == 7:
        return _HAS_USER if word == np.uint64(_USER_ID) else _HAS_ITEM if word == np.uint64(_ITEM_ID) else 0
    if size == 8:
        if word == np.uint64(_EVENT_ID):
            return _HAS_EVENT
        if word == np.uint64(_ORDER_ID):
            return _HAS_ORDER
        if word == np.uint64(_CURRENCY):
            return _HAS_CURRENCY
        return _HAS_QUANTITY if word == np.uint64(_QUANTITY) else 0
    if size == 10 and _word_at(data, start + 8, stop) == np.uint64(_ID):
        return (
            _HAS_SESSION
            if word == np.uint64(_SESSION)
            else _HAS_REQUEST
            if word == np.uint64(_REQUEST)
            else 0
        )
    if size == 4:
        return _HAS_TYPE if word == np.uint64(_TYPE) else 0
    if size == 5:
        return _HAS_PRICE if word == np.uint64(_PRICE) else 0
    return _HAS_TS if size == 2 and word == np.uint64(_TS) else 0


@kernel
def _read_number(data: NDArray[np.uint8], at: int, stop: int, field: int, out: Columns, n: int) -> int:
    """Where the number at `at` ends, having been put into its column; `_UNREAD` if that is not possible."""
    if field == _HAS_TS:
        end = _number_end(data, at, stop, _TS_DIGITS)
        if end != _UNREAD:
            out.ts_ms[n] = _number(data, at, end)
            return end if out.ts_ms[n] <= _TS_MAX else _UNREAD
        return _UNREAD
    if field == _HAS_QUANTITY:
        end = _number_end(data, at, stop, _QUANTITY_DIGITS)
        if end != _UNREAD:
            quantity = _number(data, at, end)
            if 1 <= quantity <= _QUANTITY_MAX:
                out.quantity[n] = quantity
                return end
        return _UNREAD
    end = _number_end(data, at, stop, _PRICE_DIGITS)
    if end == _UNREAD:
        return _UNREAD
    minor = _number(data, at, end) * 100
    if end < stop and data[end] == _POINT:
        first = end + 1
        end = first
        while end < stop and _ZERO <= data[end] <= _NINE:
            end += 1
        if end == first or end - first > 2:
            return _UNREAD
        minor += _number(data, first, end) * (10 if end - first == 1 else 1)
    out.price_minor[n] = minor
    return end


@kernel
def _read_text(
    data: NDArray[np.uint8], start: int, end: int, field: int, key: NDArray[np.int64], out: Columns, n: int
) -> bool:
    """Put a text into its column, if it may stand there."""
    if field == _HAS_TYPE:
        code = _code(data, start, end)
        out.code[n] = max(code, 0)
        return code != _UNREAD
    if field == _HAS_CURRENCY:
        return end - start == _CURRENCY_CHARS
    if not 1 <= end - start <= ID_MAX_CHARS:
        return False
    if field == _HAS_EVENT:
        out.event[n] = hash64(data, start, end)
    elif field == _HAS_SESSION:
        out.session[n] = hash64(data, start, end)
    elif field == _HAS_ORDER:
        out.order[n] = hash64(data, start, end)
    elif field == _HAS_REQUEST:
        out.request[n] = offset_named(data, start, end)
    elif field == _HAS_ITEM:
        out.item[n, 0] = start
        out.item[n, 1] = end
    elif field == _HAS_USER:
        if key[1] - key[0] != end - start:
            return False
        for k in range(end - start):
            if data[key[0] + k] != data[start + k]:
                return False
    return True


@kernel
def _read(data: NDArray[np.uint8], at: int, stop: int, key: NDArray[np.int64], out: Columns, n: int) -> bool:
    """Read one event into row `n`; whether that was possible."""
    seen = 0
    at = _skip(data, at, stop)
    if at >= stop or data[at] != _OPEN:
        return False
    while True:
        at = _skip(data, at + 1, stop)
        if at >= stop or data[at] != _QUOTE:
            return False
        end = _text_end(data, at + 1, stop)
        if end == _UNREAD:
            return False
        field = _field(data, at + 1, end)
        at = _skip(data, end + 1, stop)
        if field == 0 or seen & field or at >= stop or data[at] != _COLON:
            return False
        seen |= field
        at = _skip(data, at + 1, stop)
        if field == _HAS_TS or field == _HAS_QUANTITY or field == _HAS_PRICE:
            at = _read_number(data, at, stop, field, out, n)
            if at == _UNREAD:
                return False
        else:
            if at >= stop or data[at] != _QUOTE:
                return False
            end = _text_end(data, at + 1, stop)
            if end == _UNREAD or not _read_text(data, at + 1, end, field, key, out, n):
                return False
            at = end + 1
        at = _skip(data, at, stop)
        if at < stop and data[at] == _CLOSE:
            return seen & _NEEDED == _NEEDED and _skip(data, at + 1, stop) == stop
        if at >= stop or data[at] != _COMMA:
            return False


@long_kernel
def scan(
    data: NDArray[np.uint8],
    keys: NDArray[np.int64],
    values: NDArray[np.int64],
    most_bytes: int,
    out: Columns,
    read: NDArray[np.bool_],
) -> None:
    """Read the events at `values` (n, 2) in `data` whose key, at `keys`, is their shopper; `read` says which
    could be."""
    for n in range(len(read)):
        start, stop = values[n]
        if start >= 0 and stop - start <= most_bytes:
            read[n] = _read(data, start, stop, keys[n], out, n)
