"""A shopper's purchases, cart, hidden items and what was shown: bounded, kept only for those who have any."""

from __future__ import annotations

import numpy as np

from stream.shoppers.row import BOUGHT, CART, HIDDEN, SHOWN
from stream.state.jit import Row, kernel


@kernel
def already_bought(history: Row, event: np.uint64) -> bool:
    """Whether the purchase with this event hash is in the history: an exact check, not a rotating one."""
    for k in range(BOUGHT):
        if history.bought_event[k] == event:
            return True
    return False


@kernel
def buy(history: Row, item: int, event: np.uint64, quantity: int) -> None:
    """Remember a purchase in place of the oldest."""
    at = history.n_bought % BOUGHT
    history.bought[at] = item + 1
    history.bought_event[at] = event
    history.quantity[at] = quantity
    history.n_bought += 1


@kernel
def take_back(history: Row, item: int, quantity: int) -> None:
    """Undo `quantity` units of the latest purchases of `item`; an item with none left may be shown again.

    The event hashes stay, so that a late retry of a returned purchase still counts once.
    """
    left = quantity
    for back in range(min(history.n_bought, BOUGHT)):
        at = (history.n_bought - 1 - back) % BOUGHT
        if history.bought[at] == item + 1 and left > 0:
            taken = min(left, history.quantity[at])
            history.quantity[at] -= taken
            left -= taken
            if history.quantity[at] == 0:
                history.bought[at] = 0


@kernel
def hide(history: Row, item: int) -> None:
    """Never show `item` to this shopper again (until `HIDDEN` others were hidden)."""
    for k in range(HIDDEN):
        if history.hidden[k] == item + 1:
            return
    history.hidden[history.n_hidden % HIDDEN] = item + 1
    history.n_hidden += 1


@kernel
def show_again(history: Row, item: int) -> None:
    """`item` is not hidden any more."""
    for k in range(HIDDEN):
        if history.hidden[k] == item + 1:
            history.hidden[k] = 0


@kernel
def excluded(history: Row, item: int) -> bool:
    """Whether the shopper bought or hid `item`. About 20 ns."""
    for k in range(BOUGHT):
        if history.bought[k] == item + 1:
            return True
    for k in range(HIDDEN):
        if history.hidden[k] == item + 1:
            return True
    return False


@kernel
def put_in_cart(history: Row, item: int) -> None:
    """`item` lies in the cart, on top; the oldest goes if there are `CART` others."""
    take_out_of_cart(history, item)
    if history.cart[CART - 1] > 0:
        for k in range(CART - 1):
            history.cart[k] = history.cart[k + 1]
        history.cart[CART - 1] = 0
    for k in range(CART):
        if history.cart[k] == 0:
            history.cart[k] = item + 1
            return


@kernel
def take_out_of_cart(history: Row, item: int) -> None:
    """`item` does not lie in the cart any more, however many of it there were. About 10 ns."""
    n = 0
    for k in range(CART):
        if history.cart[k] > 0 and history.cart[k] != item + 1:
            history.cart[n] = history.cart[k]
            n += 1
    for k in range(n, CART):
        history.cart[k] = 0


@kernel
def show(history: Row, item: int) -> None:
    """`item` was shown once more; what was shown before `SHOWN` others is forgotten."""
    history.shown[history.n_shown % SHOWN] = item + 1
    history.n_shown += 1


@kernel
def take_notice(history: Row, item: int) -> None:
    """The shopper came to `item`: that it was shown is not held against it any more. About 15 ns, nothing for
    whoever was shown nothing."""
    if history.n_shown == 0:
        return
    for k in range(SHOWN):
        if history.shown[k] == item + 1:
            history.shown[k] = 0
