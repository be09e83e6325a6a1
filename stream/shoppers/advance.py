"""One pass over a batch: every event changes its shopper's row, tells the items, and asks for a list.

The order of steps for one event is the order of this file's `advance`. Nothing here depends on where
a batch begins or ends, but for the lists themselves: they use the item rows as they are now.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import (
    CLAIM,
    IMPRESSION,
    INHERIT,
    PROFILE,
    PURCHASE,
    SEARCH,
)
from stream.items.at_once import AtOnce, take_in
from stream.recommend.candidates import ask_ahead, ask_for_second_step
from stream.recommend.encode import Lists
from stream.recommend.explore import explore, reward
from stream.recommend.exposures import WINDOW_MS, Examples, join, remember
from stream.recommend.make import Ranker, follows_model, make_list, ranked
from stream.recommend.pool import clear
from stream.shoppers.apply import apply, shows_interest
from stream.shoppers.duplicates import first_time, own_id
from stream.shoppers.emit import Outbox
from stream.shoppers.evict import admit, drop, expire
from stream.shoppers.history import already_bought
from stream.shoppers.impressed import remember_shown
from stream.shoppers.merge import leave, take_history, take_over
from stream.shoppers.session import begin, is_crowd
from stream.shoppers.state import (
    ACCEPTED,
    APPLIED,
    CROWDED,
    DUPLICATES,
    EMPTY,
    EVICTED,
    EXPLORED,
    FORGOTTEN,
    MERGED,
    OPENED,
    SESSIONS,
    SUCCEEDED,
    Events,
    Shoppers,
    history_of,
)
from stream.shoppers.stated import ask, state
from stream.state.hashing import mix64
from stream.state.inactive import is_due
from stream.state.jit import Row, kernel, long_kernel, small_kernel
from stream.state.prefetch import LINE_BYTES, prefetch


@small_kernel
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


@small_kernel
def _is_duplicate(shoppers: Shoppers, row: Row, code: int, event: np.uint64) -> bool:
    if code == PURCHASE and row.history > 0 and already_bought(shoppers.histories[row.history], event):
        return True
    return not first_time(shoppers.seen, row.bucket, event)


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
                take_history(history_of(shoppers, row), left)
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
            state(history_of(shoppers, row), told)


@kernel
def _place(row: Row, cohorts: NDArray[np.uint32]) -> None:
    """The shopper is of these cohorts now; of a field that nothing is said of, as before."""
    for f in range(len(cohorts)):
        if cohorts[f] != 0:
            row.cohorts[f] = cohorts[f]


@small_kernel
def _label(shoppers: Shoppers, row: Row, events: Events, e: int, ranker: Ranker, examples: Examples) -> None:
    """Label the list that led to this event, if it is one that tells, and what the last one explored."""
    code, request = events.code[e], events.request[e]
    step = shows_interest(code)
    explored = step and row.explored > 0 and row.explored == events.item[e] + 1
    if explored and events.ts_ms[e] - row.last_ts_ms <= WINDOW_MS:
        reward(ranker.explorer, ranker.facts, events.item[e])
        shoppers.counts[SUCCEEDED] += 1
    if step and (row.exposure > 0 or request > 0):
        join(
            shoppers.waiting, row, events.shopper[e], events.item[e], code, request, events.ts_ms[e],
            ranker.leaders, examples,
        )  # fmt: skip


@small_kernel
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
            # A crowd behind one id is no visitor whom somebody could be; nor, where a session is claimed, who
            # does not come under that session's id.
            session = events.session[e]
            if row.events > 0 and not row.crowd and (session == np.uint64(0) or session == row.session):
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
        if len(events.cohorts) > 0:
            _place(row, events.cohorts[e])
        if not silent:
            _label(shoppers, row, events, e, ranker, examples)
        if inherits:
            _receive(shoppers, row, events, e)
        if events.code[e] == IMPRESSION:
            remember_shown(history_of(shoppers, row), events.shown, e)
        if events.code[e] == PROFILE or events.code[e] == SEARCH:
            _listen(shoppers, row, events, e)
        apply(shoppers, row, events, e, crowd, ranker.facts, out)
        row.events += 1
        row.last_ts_ms = max(row.last_ts_ms, events.ts_ms[e])
        if silent or events.code[e] == IMPRESSION:
            continue
        measured = not crowd and bool(mix64(events.event[e]) <= sample_below)
        history = shoppers.histories[row.history]
        some = make_list(row, history, ranker, lists, n, measured)
        asked[n] = e if some else -1 - e
        shoppers.counts[EMPTY] += lists.size[n] == 0
        n += 1
        # The list before this one is not what the shopper sees any more.
        row.exposure = 0
        # What the model does not rank says nothing of it.
        if measured and ranked(row, ranker) and (follows_model(row, ranker) or not ranker.scorer.active[0]):
            row.exposure = remember(
                shoppers.waiting, events.shopper[e], events.offset[e], events.ts_ms[e], ranker.pool,
                ranker.description, ranker.ranking, follows_model(row, ranker),
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
