"""A visitor who turns out to be a known shopper: what is known of the one becomes the other's.

`identify` names both; or the shopper comes in a session under whose id the visitor came. They may be in
different partitions, so the news takes two steps, each an event in `events` like any other: a `claim` to the
visitor's partition, where the visitor is forgotten, and an `inherit` with all that was known to the
shopper's. Both have ids that follow from what caused them: if they are written twice, after a crash say, the
second is a duplicate and changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.cohorts import FIELDS, OF_VISIT
from stream.effects import Message
from stream.events import types
from stream.events.cloudevents import unwrap
from stream.events.records import Record
from stream.items.table import ItemTable
from stream.items.words import words_of
from stream.shoppers.history import buy, hide, put_in_cart, show
from stream.shoppers.row import BOUGHT, CART, HIDDEN, RECENT, SEEN, SHOWN, STATED_BYTES
from stream.shoppers.stated import packed, unpacked
from stream.state.jit import Row, kernel

LEFT = np.dtype(
    [
        # Row of the event in its batch; then what the rows of a shopper hold, item numbers + 1.
        ("at", np.int64),
        ("events", np.int64),
        ("last_ts_ms", np.int64),
        ("viewed", np.int32, (RECENT,)),
        ("in_session", np.int32),
        ("seen", np.int32, (SEEN,)),
        ("bought", np.int32, (BOUGHT,)),
        ("quantity", np.int32, (BOUGHT,)),
        ("hidden", np.int32, (HIDDEN,)),
        ("cart", np.int32, (CART,)),
        ("shown", np.int32, (SHOWN,)),
        ("stated", np.uint8, (STATED_BYTES,)),
        ("stated_words", np.uint64, (2,)),
        ("cohorts", np.uint32, (len(FIELDS),)),
    ],
    align=True,
)
"""What one visitor leaves: views latest first, the rest oldest first, without gaps."""


@kernel
def leave(row: Row, history: Row, at: int, left: Row) -> None:
    """Write down what is known of a shopper. `history` may be the empty one."""
    left.at = at
    left.events = row.events
    left.last_ts_ms = row.last_ts_ms
    for k in range(RECENT):
        left.viewed[k] = row.recent[k]
    left.in_session = row.in_session
    for k in range(len(FIELDS)):
        left.cohorts[k] = row.cohorts[k]
    left.seen[:] = 0
    left.bought[:] = 0
    left.quantity[:] = 0
    left.hidden[:] = 0
    left.shown[:] = 0
    for k in range(CART):
        left.cart[k] = history.cart[k]
    n = 0
    for k in range(SEEN):
        item = row.seen[(row.n_seen + k) % SEEN]
        if item > 0:
            left.seen[n] = item
            n += 1
    n = 0
    for k in range(BOUGHT):
        old = (history.n_bought + k) % BOUGHT
        if history.bought[old] > 0:
            left.bought[n] = history.bought[old]
            left.quantity[n] = history.quantity[old]
            n += 1
    n = 0
    for k in range(HIDDEN):
        item = history.hidden[(history.n_hidden + k) % HIDDEN]
        if item > 0:
            left.hidden[n] = item
            n += 1
    n = 0
    for k in range(SHOWN):
        item = history.shown[(history.n_shown + k) % SHOWN]
        if item > 0:
            left.shown[n] = item
            n += 1
    _copy_stated(history, left)


@kernel
def take_over(row: Row, left: Row, same_session: bool) -> None:
    """Put what a visitor looked at behind what the shopper did in this session, before all earlier.

    `same_session`: the visitor's session is the shopper's, so the two windows are one. Cohorts are the
    visitor's where the shopper is in none.
    """
    for k in range(0 if same_session else OF_VISIT, len(left.cohorts)):
        if row.cohorts[k] == 0:
            row.cohorts[k] = left.cohorts[k]
    for k in range(SEEN):
        if left.seen[k] > 0:
            _see(row, left.seen[k])
    n = row.in_session
    for k in range(RECENT):
        item = left.viewed[k]
        if item == 0 or _place(row, item) < n:
            continue
        if n == RECENT:
            _see(row, item)
            continue
        at = min(_place(row, item), RECENT - 1)
        if row.recent[at] > 0 and row.recent[at] != item:
            _see(row, row.recent[at])
        for later in range(at, n, -1):
            row.recent[later] = row.recent[later - 1]
        row.recent[n] = item
        n += 1
        if same_session and k < left.in_session:
            row.in_session = n


@kernel
def take_history(history: Row, left: Row) -> None:
    """Add a visitor's purchases, cart, hidden items and what was shown to the shopper's; interests, if the
    shopper stated none."""
    if history.stated[0] == 0:
        _copy_stated(left, history)
    for k in range(BOUGHT):
        if left.bought[k] > 0:
            # No client's retry can come under the shopper's name: the id of the event stays with the visitor.
            buy(history, left.bought[k] - 1, np.uint64(0), left.quantity[k])
    for k in range(HIDDEN):
        if left.hidden[k] > 0:
            hide(history, left.hidden[k] - 1)
    for k in range(CART):
        if left.cart[k] > 0:
            put_in_cart(history, left.cart[k] - 1)
    for k in range(SHOWN):
        if left.shown[k] > 0:
            show(history, left.shown[k] - 1)


@kernel
def _copy_stated(source: Row, to: Row) -> None:
    for k in range(STATED_BYTES):
        to.stated[k] = source.stated[k]
    for k in range(2):
        to.stated_words[k] = source.stated_words[k]


@kernel
def _place(row: Row, item: int) -> int:
    """Where in the window an item (+ 1) is; `RECENT` if it is not."""
    for k in range(RECENT):
        if row.recent[k] == item:
            return k
    return RECENT


@kernel
def _see(row: Row, item: int) -> None:
    row.seen[row.n_seen % SEEN] = item
    row.n_seen = (row.n_seen + 1) % (1 << 20)


def claim(identify: types.Identify) -> list[Message]:
    """What the visitor's partition is to hear of an `identify`: nothing, if it names the shopper itself."""
    visitor, heir = identify.session_id, identify.user_id
    if visitor == heir:
        return []
    event = types.Claim(
        event_id=_follows("claim", heir, identify.event_id), ts=identify.ts, user_id=visitor, heir=heir
    )
    return [Message("events", visitor.encode(), msgspec.json.encode(event))]


class _Opening(msgspec.Struct):
    """Of the event that opens a session."""

    session_id: str
    event_id: str


def claim_session(record: Record, heir: str, ts_ms: int) -> Message:
    """What the partition of whoever came under a session's id is to hear when a shopper opens that session.
    Nothing comes of it unless that one's own session is called so."""
    opening = msgspec.json.decode(unwrap(record.value or b"", record.headers), type=_Opening)
    id, visitor = _follows("claim", heir, opening.event_id), opening.session_id
    event = types.Claim(event_id=id, ts=ts_ms, user_id=visitor, session_id=visitor, heir=heir)
    return Message("events", visitor.encode(), msgspec.json.encode(event))


def inherit(claimed: types.Claim, left: Row, table: ItemTable) -> Message:
    """What the shopper's partition is to hear of a visitor that was claimed."""

    def ids(numbers: NDArray[np.int32]) -> list[str]:
        return [table.interner.name(number - 1).decode() for number in numbers.tolist() if number]

    bought = zip(ids(left["bought"]), left["quantity"].tolist(), strict=False)
    event = types.Inherit(
        event_id=_follows("inherit", claimed.user_id, claimed.event_id),
        ts=int(left["last_ts_ms"]),
        user_id=claimed.heir,
        session_id=claimed.user_id,
        events=int(left["events"]),
        viewed=ids(left["viewed"]),
        in_session=int(left["in_session"]),
        seen=ids(left["seen"]),
        bought=[types.Bought(item, max(quantity, 1)) for item, quantity in bought],
        hidden=ids(left["hidden"]),
        cart=ids(left["cart"]),
        shown=ids(left["shown"]),
        stated=unpacked(left["stated"].tobytes()),
        cohorts=left["cohorts"].tolist(),
    )
    return Message("events", claimed.heir.encode(), msgspec.json.encode(event))


def numbered(inherited: Sequence[tuple[int, types.Inherit]], table: ItemTable) -> NDArray[np.void]:
    """The (row, event) as rows of `LEFT`, in order; the items become known by that."""
    out = np.zeros(len(inherited), LEFT)
    for left, (at, event) in zip(out, inherited, strict=True):
        left["at"], left["events"] = at, event.events
        left["in_session"] = min(event.in_session, RECENT)
        bought = event.bought[-BOUGHT:]
        for column, ids in (
            ("viewed", event.viewed[:RECENT]),
            ("seen", event.seen[-SEEN:]),
            ("bought", [of.item_id for of in bought]),
            ("hidden", event.hidden[-HIDDEN:]),
            ("cart", event.cart[-CART:]),
            ("shown", event.shown[-SHOWN:]),
        ):
            numbers = table.numbers("\0".join(ids).encode(), len(ids))
            left[column][: len(ids)] = table.standing(numbers)[0] + 1
        stated = packed(event.stated)
        left["stated"][: len(stated)] = np.frombuffer(stated, np.uint8)
        left["stated_words"] = words_of(stated)
        known = event.cohorts[: len(FIELDS)]
        left["cohorts"][: len(known)] = known
        left["quantity"][: len(bought)] = [of.quantity for of in bought]
    return out


def _follows(step: str, user_id: str, event_id: str) -> str:
    """An id for what follows from a shopper's event: the same whenever it is written again."""
    digest = hashlib.blake2b(f"{user_id}\0{event_id}".encode(), digest_size=12)
    return f"{step}-{digest.hexdigest()}"
