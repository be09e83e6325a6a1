"""What one event does to its shopper's window, basket, cart and history, and what the items hear of it."""

from __future__ import annotations

from stream.events.codes import CART, DISLIKE, HIDE, LIKE, PURCHASE, RATING, REMOVE, RETURN, VIEW
from stream.exchange import NO_DEMAND, NO_INTEREST
from stream.items.cohorts import hear_from
from stream.items.facts import INTEREST, TREND_GAIN, Facts, hear
from stream.shoppers.emit import Outbox, emit_bought, emit_led_to, emit_touch, emit_viewed
from stream.shoppers.history import (
    buy,
    hide,
    put_in_cart,
    show_again,
    take_back,
    take_notice,
    take_out_of_cart,
)
from stream.shoppers.row import BASKET
from stream.shoppers.session import look_at
from stream.shoppers.settle import settle_history, settle_window
from stream.shoppers.state import Events, Shoppers, history_of
from stream.state.jit import Row, small_kernel


@small_kernel
def shows_interest(code: int) -> bool:
    """Whether an event of this type says that its item is liked."""
    return code == VIEW or code == CART or code == LIKE or code == RATING or code == PURCHASE


@small_kernel
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


@small_kernel
def _touch(events: Events, e: int, crowd: bool, out: Outbox) -> None:
    """Tell the item: the variant of its price, its product of all else; of a crowd only what it buys."""
    code, item, sold = events.code[e], events.item[e], events.sold[e]
    without = NO_DEMAND | NO_INTEREST if crowd else 0
    if crowd and code != PURCHASE and code != RETURN:
        return
    if sold == item:
        emit_touch(out, e, item, without)
    else:
        emit_touch(out, e, item, without | NO_DEMAND)
        emit_touch(out, e, sold, without | NO_INTEREST)


@small_kernel
def apply(
    shoppers: Shoppers, row: Row, events: Events, e: int, crowd: bool, facts: Facts, out: Outbox
) -> None:
    """What the event does to window, basket and history, and what the items hear of it."""
    code, item = events.code[e], events.item[e]
    if facts.stands[0]:
        settle_window(row, facts)
        if row.history > 0:
            settle_history(shoppers.histories[row.history], facts)
    if code == PURCHASE and events.order[e] != row.order:
        row.order = events.order[e]
        row.in_basket = 0
    if item < 0:
        return
    interest = shows_interest(code)
    against = code == HIDE or code == DISLIKE
    # What is rated was used, whatever came of it: it says what goes with what. Leaving low ratings out of the
    # windows costs .012 of hit rate where the next rating is to be foretold.
    used = interest or code == DISLIKE
    if used and not crowd:
        _pair(row, events, e, out)
    if (interest or against) and not crowd:
        hear(facts, item, events.gain[e], code)
    if interest and not crowd and facts.heard[TREND_GAIN] > 0.0:
        hear_from(facts.cohorts, row, item, events.gain[e], INTEREST[code])
    if interest or against or code == RETURN or code == REMOVE:
        _touch(events, e, crowd, out)
    if code == PURCHASE:
        known = False
        for k in range(min(row.in_basket, BASKET)):
            known = known or row.basket[k] == item + 1
        if not known:
            row.basket[row.in_basket % BASKET] = item + 1
            row.in_basket += 1
        buy(history_of(shoppers, row), item, events.event[e], events.quantity[e])
    elif code == RETURN and row.history > 0:
        take_back(shoppers.histories[row.history], item, events.quantity[e])
    elif against:
        hide(history_of(shoppers, row), item)
    elif (code == LIKE or code == RATING) and row.history > 0:
        show_again(shoppers.histories[row.history], item)
    if code == CART:
        put_in_cart(history_of(shoppers, row), item)
    if row.history > 0:
        if interest:
            take_notice(shoppers.histories[row.history], item)
        if code == PURCHASE or code == REMOVE:
            take_out_of_cart(shoppers.histories[row.history], item)
    if used:
        look_at(row, item)
