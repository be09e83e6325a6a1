"""One pass over a batch: every event changes its shopper's row, tells the items, and asks for a list.

The order of steps for one event is the order of this file's `advance`. Nothing here depends on where
a batch begins or ends, but for the lists themselves: they use the item rows as they are now.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import (
    CART,
    CLAIM,
    DISLIKE,
    HIDE,
    IMPRESSION,
    INHERIT,
    LIKE,
    PROFILE,
    PURCHASE,
    RATING,
    REMOVE,
    RETURN,
    SEARCH,
    VIEW,
)
from stream.items.at_once import AtOnce, take_in
from stream.items.facts import Facts, hear
from stream.recommend.candidates import ask_ahead, ask_for_second_step
from stream.recommend.encode import Lists
from stream.recommend.explore import explore, reward
from stream.recommend.exposures import WINDOW_MS, Examples, Waiting, join, remember
from stream.recommend.make import Ranker, make_list, make_measured_list, ranked
from stream.recommend.pool import clear
from stream.shoppers.duplicates import Seen, first_time, own_id
from stream.shoppers.emit import Outbox, emit_bought, emit_led_to, emit_touch, emit_viewed
from stream.shoppers.evict import Room, admit, drop, expire
from stream.shoppers.history import (
    already_bought,
    buy,
    hide,
    put_in_cart,
    show_again,
    take_back,
    take_notice,
    take_out_of_cart,
)
from stream.shoppers.impressed import remember_shown
from stream.shoppers.merge import leave, take_history, take_over
from stream.shoppers.row import BASKET
from stream.shoppers.session import begin, is_crowd, look_at
from stream.shoppers.stated import ask, state
from stream.state.hashing import mix64
from stream.state.inactive import is_due
from stream.state.interner import Names
from stream.state.jit import Row, kernel, long_kernel
from stream.state.prefetch import LINE_BYTES, prefetch

APPLIED, OPENED = 1, 2
"""Bits of `Events.did`: the event changed its shopper's row, it opened a session."""

ACCEPTED, DUPLICATES, CROWDED, SESSIONS, EMPTY, EVICTED, FORGOTTEN, MERGED, EXPLORED, SUCCEEDED = range(10)
"""Positions in `Shoppers.counts`; those from `EVICTED` to `MERGED` count rows, the last two lists that
explored, and those of them whose item was taken next."""


class Shoppers(NamedTuple):
    """State of one unit as kernels see it. Row 0 of the histories stays empty: it stands for none."""

    rows: NDArray[np.void]
    names: Names
    histories: NDArray[np.void]
    next_history: NDArray[np.int64]
    room: Room
    seen: Seen
    waiting: Waiting
    clock_ms: NDArray[np.int64]
    counts: NDArray[np.int64]
    positions: NDArray[np.int64]
    """By bucket, the last offset that was in it when it was loaded: a replay changes what lies above."""


class Events(NamedTuple):
    """One batch as kernels see it: see `stream.events.decode.Batch`; `shopper` and `item` are numbers, `gain`
    is what an event adds to sums that decay as popularity does, `left` what visitors left to shoppers of the
    batch, `shown` what its impressions say (`stream.shoppers.impressed`), `said` what profiles and
    searches say (`stream.shoppers.stated`). `did` becomes what came of each event: bits, 0 for one that was
    passed over."""

    offset: NDArray[np.int64]
    ts_ms: NDArray[np.int64]
    code: NDArray[np.uint8]
    event: NDArray[np.uint64]
    session: NDArray[np.uint64]
    order: NDArray[np.uint64]
    quantity: NDArray[np.int32]
    request: NDArray[np.int64]
    shopper: NDArray[np.int32]
    item: NDArray[np.int32]
    gain: NDArray[np.float64]
    left: NDArray[np.void]
    shown: NDArray[np.void]
    said: NDArray[np.void]
    did: NDArray[np.uint8]


@kernel
def _pass_time(shoppers: Shoppers, ts_ms: int, offset: int, used: int) -> None:
    """Let the clock follow: at every event that was accepted, also one that a bucket holds already."""
    before_ms = shoppers.clock_ms[0]
    if ts_ms <= before_ms:
        return
    shoppers.clock_ms[0] = ts_ms
    if is_due(before_ms, ts_ms, shoppers.room.inactive_ms):
        shoppers.counts[FORGOTTEN] += expire(
            shoppers.room, shoppers.rows, shoppers.histories, used, ts_ms, shoppers.positions, offset
        )


@kernel
def _history(shoppers: Shoppers, row: Row) -> Row:
    """The shopper's history for writing, made if there is none."""
    if row.history == 0:
        free = shoppers.room.free_histories
        if free[0] > 0:
            row.history = free[free[0]]
            free[0] -= 1
        else:
            shoppers.next_history[0] += 1
            row.history = shoppers.next_history[0]
    return shoppers.histories[row.history]


@kernel
def _is_duplicate(shoppers: Shoppers, row: Row, code: int, event: np.uint64) -> bool:
    if code == PURCHASE and row.history > 0 and already_bought(shoppers.histories[row.history], event):
        return True
    return not first_time(shoppers.seen, row.bucket, event)


@kernel
def _pair(row: Row, events: Events, e: int, out: Outbox) -> None:
    """Pairs of one event with the session's window, and with the basket if it is a purchase.

    A purchase is also a step from item to item, where it is not of the item just looked at: a shop's log may
    have nothing but orders.
    """
    item = events.item[e]
    if events.code[e] == PURCHASE:
        for k in range(row.in_session):
            if row.recent[k] != item + 1:
                emit_led_to(out, e, item, row.recent[k] - 1, k + 1)
        for k in range(min(row.in_basket, BASKET)):
            if row.basket[k] != item + 1:
                emit_bought(out, e, item, row.basket[k] - 1)
    if row.in_session == 0 or row.recent[0] != item + 1:
        distance = 0
        for k in range(row.in_session):
            distance += 1
            if row.recent[k] != item + 1:
                emit_viewed(out, e, item, row.recent[k] - 1, distance)


@kernel
def _apply(
    shoppers: Shoppers, row: Row, events: Events, e: int, crowd: bool, facts: Facts, out: Outbox
) -> None:
    """What the event does to window, basket and history, and what the items hear of it."""
    code, item = events.code[e], events.item[e]
    if code == PURCHASE and events.order[e] != row.order:
        row.order = events.order[e]
        row.in_basket = 0
    if item < 0:
        return
    interest = code == VIEW or code == CART or code == LIKE or code == RATING or code == PURCHASE
    against = code == HIDE or code == DISLIKE
    # What is rated was used, whatever came of it: it says what goes with what. Leaving low ratings out of the
    # windows costs .012 of hit rate where the next rating is to be foretold.
    used = interest or code == DISLIKE
    if used and not crowd:
        _pair(row, events, e, out)
    if (interest or against) and not crowd:
        hear(facts, item, events.gain[e], code)
    if interest or against or code == RETURN or code == REMOVE:
        emit_touch(out, e, item)
    if code == PURCHASE:
        known = False
        for k in range(min(row.in_basket, BASKET)):
            known = known or row.basket[k] == item + 1
        if not known:
            row.basket[row.in_basket % BASKET] = item + 1
            row.in_basket += 1
        buy(_history(shoppers, row), item, events.event[e], events.quantity[e])
    elif code == RETURN and row.history > 0:
        take_back(shoppers.histories[row.history], item, events.quantity[e])
    elif against:
        hide(_history(shoppers, row), item)
    elif code == LIKE and row.history > 0:
        show_again(shoppers.histories[row.history], item)
    if code == CART:
        put_in_cart(_history(shoppers, row), item)
    if row.history > 0:
        if interest:
            take_notice(shoppers.histories[row.history], item)
        if code == PURCHASE or code == REMOVE:
            take_out_of_cart(shoppers.histories[row.history], item)
    if used:
        look_at(row, item)


@kernel
def _give(shoppers: Shoppers, row: Row, number: int, e: int, out: Outbox) -> None:
    """A visitor was claimed: write down what is known, and forget the visitor."""
    n = out.filled[2]
    leave(row, shoppers.histories[row.history], e, out.left[n])
    out.filled[2] += 1
    drop(shoppers.room, row, shoppers.histories, number)
    shoppers.counts[MERGED] += 1


@kernel
def _receive(shoppers: Shoppers, row: Row, events: Events, e: int) -> None:
    """What a visitor left is the shopper's now."""
    for k in range(len(events.left)):
        left = events.left[k]
        if left.at == e:
            take_over(row, left, row.session == events.session[e])
            found = left.bought[0] > 0 or left.hidden[0] > 0 or left.cart[0] > 0 or left.shown[0] > 0
            if found or left.stated[0] > 0:
                take_history(_history(shoppers, row), left)
            row.events += left.events


@kernel
def _listen(shoppers: Shoppers, row: Row, events: Events, e: int) -> None:
    """What a profile or a search says."""
    for k in range(len(events.said)):
        told = events.said[k]
        if told.at != e:
            continue
        if events.code[e] == SEARCH:
            ask(row, told)
        elif told.texts[0] > 0 or row.history > 0:
            state(_history(shoppers, row), told)


@kernel
def _label(shoppers: Shoppers, row: Row, events: Events, e: int, ranker: Ranker, examples: Examples) -> None:
    """Label the list that led to this event, if it is one that tells, and what the last one explored."""
    code, request = events.code[e], events.request[e]
    step = code == VIEW or code == CART or code == LIKE or code == RATING or code == PURCHASE
    explored = step and row.explored > 0 and row.explored == events.item[e] + 1
    if explored and events.ts_ms[e] - row.last_ts_ms <= WINDOW_MS:
        reward(ranker.explorer, ranker.facts, events.item[e])
        shoppers.counts[SUCCEEDED] += 1
    if step and (row.exposure > 0 or request > 0):
        join(
            shoppers.waiting, row, events.shopper[e], events.item[e], code, request, events.ts_ms[e],
            ranker.leaders, examples,
        )  # fmt: skip


@kernel
def _ask_ahead(shoppers: Shoppers, events: Events, e: int, stop: int, items: NDArray[np.void]) -> None:
    """Ask for what this event and the next two will read, as far as it is known where that lies."""
    if e + 2 < stop:
        for byte in range(0, shoppers.rows.itemsize, LINE_BYTES):
            prefetch(shoppers.rows, events.shopper[e + 2], byte)
    if e + 1 < stop:
        ask_ahead(items, shoppers.rows[events.shopper[e + 1]], events.item[e + 1])
    if events.item[e] >= 0:
        ask_for_second_step(items, events.item[e])


@long_kernel
def advance(
    shoppers: Shoppers,
    events: Events,
    first: int,
    stop: int,
    used: int,
    ranker: Ranker,
    out: Outbox,
    examples: Examples,
    sample_below: np.uint64,
    silent: bool,
    lists: Lists,
    asked: NDArray[np.int32],
    made: int,
) -> int:
    """Apply events `first` to `stop`; the number of lists made, `made` before and those of the events that
    are named in `asked` from there on.

    A list whose event's hash is below `sample_below` waits in the ring for its label. `silent`: only
    state changes (replay). `asked[k]` is -1 - event where nothing at all could be recommended yet.
    `used` bounds the shoppers' numbers.
    """
    n = made
    for e in range(first, stop):
        if not silent:
            _ask_ahead(shoppers, events, e, stop, ranker.items)
        _pass_time(shoppers, events.ts_ms[e], events.offset[e], used)
        row = shoppers.rows[events.shopper[e]]
        if row.events == 0:
            row.bucket = shoppers.names.entries[events.shopper[e]].hash >> np.uint64(58)
        if events.offset[e] <= shoppers.positions[row.bucket]:
            continue
        events.event[e] = own_id(events.event[e], shoppers.names.entries[events.shopper[e]].hash)
        if _is_duplicate(shoppers, row, events.code[e], events.event[e]):
            shoppers.counts[DUPLICATES] += 1
            continue
        if events.code[e] == CLAIM:
            # A crowd behind one id is no visitor whom somebody could be.
            if row.events > 0 and not row.crowd:
                _give(shoppers, row, events.shopper[e], e, out)
            continue
        shoppers.counts[ACCEPTED] += 1
        if row.events == 0:
            shoppers.counts[EVICTED] += admit(
                shoppers.room, shoppers.rows, shoppers.names, shoppers.histories, used, row
            )
        crowd = is_crowd(row, events.ts_ms[e])
        shoppers.counts[CROWDED] += crowd
        events.did[e] = APPLIED
        inherits = events.code[e] == INHERIT
        if (not inherits or row.events == 0) and begin(row, events.session[e], events.ts_ms[e]):
            shoppers.counts[SESSIONS] += 1
            events.did[e] |= OPENED
        if not silent:
            _label(shoppers, row, events, e, ranker, examples)
        if inherits:
            _receive(shoppers, row, events, e)
        if events.code[e] == IMPRESSION:
            remember_shown(_history(shoppers, row), events.shown, e)
        if events.code[e] == PROFILE or events.code[e] == SEARCH:
            _listen(shoppers, row, events, e)
        _apply(shoppers, row, events, e, crowd, ranker.facts, out)
        row.events += 1
        row.last_ts_ms = max(row.last_ts_ms, events.ts_ms[e])
        if silent or events.code[e] == IMPRESSION:
            continue
        measured = not crowd and bool(mix64(events.event[e]) <= sample_below)
        history = shoppers.histories[row.history]
        if measured:
            some = make_measured_list(row, history, ranker, lists, n)
        else:
            some = make_list(row, history, ranker, lists, n)
        asked[n] = e if some else -1 - e
        shoppers.counts[EMPTY] += lists.size[n] == 0
        n += 1
        # The list before this one is not what the shopper sees any more.
        row.exposure = 0
        if measured and ranked(ranker):
            row.exposure = remember(
                shoppers.waiting, events.shopper[e], events.offset[e], events.ts_ms[e], ranker.pool,
                ranker.description, ranker.ranking, ranker.scorer.active[0],
            )  # fmt: skip
        shoppers.counts[EXPLORED] += explore(
            ranker.explorer, ranker.facts, ranker.ruled, ranker.pool, row, events.event[e], lists, n - 1
        )  # fmt: skip
        clear(ranker.pool, ranker.facts)
    return n


@long_kernel
def advance_at_once(
    items: AtOnce,
    shoppers: Shoppers,
    events: Events,
    first: int,
    stop: int,
    used: int,
    ranker: Ranker,
    out: Outbox,
    examples: Examples,
    sample_below: np.uint64,
    silent: bool,
    lists: Lists,
    asked: NDArray[np.int32],
    made: int,
) -> int:
    """As `advance`, but the items know of each event before the next one."""
    for e in range(first, stop):
        touches, pairs = out.filled[0], out.filled[1]
        made = advance(
            shoppers, events, e, e + 1, used, ranker, out, examples, sample_below, silent, lists, asked, made
        )
        take_in(items, out, touches, pairs)
    return made
