"""A shopper's purchases and hidden items: bounded rings, kept only for those who have any."""

from __future__ import annotations

import numpy as np

from stream.shoppers.row import BOUGHT, HIDDEN
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
