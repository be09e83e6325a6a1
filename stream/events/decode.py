"""From Kafka records to columns: everything checked once, everything refused with its reason.

A batch becomes a `Batch`: one array per field, one row per accepted record, in offset order. What
`stream.events.scan` can read costs about .5 µs a record, all else some 10 µs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.events import types
from stream.events.block import Block
from stream.events.cloudevents import REKEYED_HEADER, header, unwrap
from stream.events.codes import CODES, DISLIKE, NO_PRICE
from stream.events.records import Record, Refused
from stream.events.request import offset_named
from stream.events.scan import Columns, new_columns, scan
from stream.state.hashing import hash_ids
from stream.state.texts import gather

EVENT_MAX_BYTES = 256 * 1024
"""Largest event read. The contract's longest impression has 1,000 items of 128 characters."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far an event's time may lie from its record's Kafka timestamp, and the best rating there is.

    Times are compared with the record, not with a clock, so that a replay refuses what the first run refused.
    A rating below half of the best is a `DISLIKE`.
    """

    max_age_ms: int = 20 * 365 * 86_400_000
    max_ahead_ms: int = 5 * 60_000
    rating_max: float = 5.0


Whole = types.Impression | types.Search | types.Identify | types.Profile | types.Claim | types.Inherit


class Batch(NamedTuple):
    """Accepted events of one batch as columns of length n; `users` and `items` are NUL-separated ids."""

    offset: NDArray[np.int64]
    ts_ms: NDArray[np.int64]
    record_ts_ms: NDArray[np.int64]
    code: NDArray[np.uint8]
    event: NDArray[np.uint64]
    session: NDArray[np.uint64]
    order: NDArray[np.uint64]
    price_minor: NDArray[np.int64]
    quantity: NDArray[np.int32]
    request: NDArray[np.int64]
    """What the `request_id` names (`stream.events.request`)."""
    users: bytes
    items: bytes
    whole: list[tuple[int, Whole]]
    """(row, event) of the types that say more than the columns hold, in order."""
    placed: list[tuple[int, types.AnyEvent]]
    """(row, event) of those with a context, in order."""


class Decoded(NamedTuple):
    """A batch, and what did not make it into the batch."""

    batch: Batch
    refused: list[Refused]
    rekeyed: list[tuple[bytes, Record]]


E = TypeVar("E")

_SPACE = " "
"""The first character that is not a control character."""

_decode = msgspec.json.Decoder(types.AnyEvent).decode


def decode(records: Sequence[Record], bounds: Bounds) -> Decoded:
    """Columns of all valid records; the others with the reason why not.

    A record without a key, or with one that is not its shopper, is handed back to be written again
    under the right key, once; if it comes back wrong it is refused.
    """
    block = Block.of(records)
    n = len(block)
    out, kept = new_columns(n), np.zeros(n, np.bool_)
    data = np.frombuffer(block.data, np.uint8)
    # Headers only ever fill in what the scan requires to be there.
    scan(data, block.key, block.value, EVENT_MAX_BYTES, out, kept)
    names = _Names(block)
    refused: list[Refused] = []
    rekeyed: list[tuple[bytes, Record]] = []
    whole: dict[int, Whole] = {}
    placed: dict[int, types.AnyEvent] = {}
    for k in np.flatnonzero(~kept).tolist():
        event = _event(block[k], refused, rekeyed)
        if event is not None:
            kept[k] = True
            _put(out, k, event, names)
            if isinstance(event, types.Rating) and event.rating < bounds.rating_max / 2:
                out.code[k] = DISLIKE
            if isinstance(event, Whole):
                whole[k] = event
            if event.context:
                placed[k] = event
    kept = _in_time(block, out.ts_ms, kept, bounds, refused)
    good = np.flatnonzero(kept)
    batch = Batch(
        offset=block.offset[good],
        ts_ms=out.ts_ms[good],
        record_ts_ms=block.timestamp[good],
        code=out.code[good],
        event=out.event[good],
        session=out.session[good],
        order=out.order[good],
        price_minor=out.price_minor[good],
        quantity=out.quantity[good],
        request=out.request[good],
        users=names.joined(names.users[good]),
        items=names.joined(out.item[good]),
        whole=_rows(whole, kept, good),
        placed=_rows(placed, kept, good),
    )
    return Decoded(batch, refused, rekeyed)


def _rows(events: dict[int, E], kept: NDArray[np.bool_], good: NDArray[np.int64]) -> list[tuple[int, E]]:
    """Those that are kept, by their row among these."""
    return [(int(np.searchsorted(good, k)), event) for k, event in events.items() if kept[k]]


def _event(
    record: Record, refused: list[Refused], rekeyed: list[tuple[bytes, Record]]
) -> types.AnyEvent | None:
    """The event that a record holds; None when it is refused, or to be written again."""
    value = record.value
    if value is None:
        refused.append(Refused(record, "null-value", "the record has no value"))
        return None
    if len(value) > EVENT_MAX_BYTES:
        said = f"the value has {len(value):,} bytes, more than {EVENT_MAX_BYTES:,}"
        refused.append(Refused(record, "too-large", said))
        return None
    try:
        event: types.AnyEvent = _decode(unwrap(value, record.headers) if record.headers else value)
        key = event.user_id.encode()
    except msgspec.ValidationError as error:
        refused.append(Refused(record, _reason(str(error)), str(error)))
        return None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        refused.append(Refused(record, "malformed-json", str(error)))
        return None
    if record.key != key:
        if header(record.headers, REKEYED_HEADER) is None:
            rekeyed.append((key, record))
        else:
            refused.append(Refused(record, "wrong-key", f"the key is still not the shopper {key!r}"))
        return None
    ids = f"{event.user_id}{event.item_id}{event.event_id}{event.session_id}{event.order_id}"
    if isinstance(event, types.Inherit):
        ids += "".join([*event.viewed, *event.seen, *event.hidden, *event.cart, *event.shown])
        ids += "".join(of.item_id for of in event.bought)
    if isinstance(event, types.Claim):
        ids += event.heir
    if min(ids) < _SPACE:
        # They are kept and shipped NUL-separated.
        refused.append(Refused(record, "invalid-field", "an id holds a control character"))
        return None
    return event


class _Names:
    """Where ids lie: in the records' bytes, or, of events that were not scanned, behind these."""

    def __init__(self, block: Block) -> None:
        self.users = block.key.copy()
        self._data = block.data
        self._more = bytearray()

    def add(self, name: str) -> tuple[int, int]:
        """Where the id lies."""
        start = len(self._data) + len(self._more)
        self._more += name.encode()
        return start, len(self._data) + len(self._more)

    def joined(self, spans: NDArray[np.int64]) -> bytes:
        """The ids at `spans` (n, 2), NUL-separated."""
        if not len(spans):
            return b""
        out = np.empty(int((spans[:, 1] - spans[:, 0]).sum()) + len(spans), np.uint8)
        gather(np.frombuffer(self._data, np.uint8), np.frombuffer(bytes(self._more), np.uint8), spans, out)
        return out[:-1].tobytes()


def _put(out: Columns, k: int, event: types.AnyEvent, names: _Names) -> None:
    """Write one event into row `k`, whatever half an attempt has left there."""
    out.ts_ms[k] = to_ms(event.ts)
    out.code[k] = CODES[type(event)]
    for column, text in zip(
        (out.event, out.session, out.order), (event.event_id, event.session_id, event.order_id), strict=True
    ):
        column[k] = 0
        hash_ids(np.frombuffer((text or "").encode(), np.uint8), column[k : k + 1])
    out.price_minor[k] = to_minor(event.price)
    out.quantity[k] = event.quantity
    named = np.frombuffer((event.request_id or "").encode(), np.uint8)
    out.request[k] = offset_named(named, 0, len(named))
    out.item[k] = names.add(event.item_id or "")
    names.users[k] = names.add(event.user_id)


def _in_time(
    block: Block,
    ts_ms: NDArray[np.int64],
    kept: NDArray[np.bool_],
    bounds: Bounds,
    refused: list[Refused],
) -> NDArray[np.bool_]:
    """Which of the records that are kept lie within bounds; the others are refused."""
    late = kept & (ts_ms < block.timestamp - bounds.max_age_ms)
    early = kept & (ts_ms > block.timestamp + bounds.max_ahead_ms)
    bad = late | early
    for k in np.flatnonzero(bad).tolist():
        said = f"ts {ts_ms[k]} lies too far from the record's own time {block.timestamp[k]}"
        refused.append(Refused(block[k], "too-old" if late[k] else "from-the-future", said))
    return kept & ~bad


def _reason(message: str) -> str:
    """The metric label of a validation error: which rule it broke."""
    if "Invalid value" in message and message.endswith("`$.type`"):
        return "unknown-type"
    if "missing required field" in message:
        return "missing-field"
    if message.startswith("Expected `object`"):
        return "not-an-object"
    return "invalid-field"


def to_ms(ts: types.Timestamp) -> int:
    """Epoch milliseconds of a wire timestamp; without an offset it is UTC."""
    if isinstance(ts, datetime):
        return round((ts if ts.tzinfo else ts.replace(tzinfo=UTC)).timestamp() * 1000)
    return int(ts)


def to_minor(price: float | None) -> int:
    """A price in hundredths of the currency's main unit, or `NO_PRICE`."""
    return NO_PRICE if price is None else round(price * 100)
