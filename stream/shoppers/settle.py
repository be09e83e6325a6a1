"""A shopper's row after items were renamed or merged: what it holds of the old ids is of the new one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import Facts, stand_in
from stream.shoppers.row import BASKET, RECENT
from stream.state.jit import Row, kernel


@kernel
def settle_window(row: Row, facts: Facts) -> None:
    """Put what stands for them in place of the items of the window and the basket, each once. 40 ns, and only
    where any item stands for another."""
    kept = in_session = 0
    for k in range(RECENT):
        if row.recent[k] == 0:
            break
        item = stand_in(facts, row.recent[k] - 1) + 1
        known = False
        for j in range(kept):
            known = known or row.recent[j] == item
        if not known:
            row.recent[kept] = item
            in_session += k < row.in_session
            kept += 1
    for k in range(kept, RECENT):
        row.recent[k] = 0
    row.in_session = in_session
    for k in range(min(row.in_basket, BASKET)):
        row.basket[k] = stand_in(facts, row.basket[k] - 1) + 1


@kernel
def settle_windows(rows: NDArray[np.void], numbers: NDArray[np.int32], facts: Facts) -> None:
    """`settle_window` of the rows of many shoppers, before lists are made apart from any event."""
    if facts.stands[0]:
        for number in numbers:
            settle_window(rows[number], facts)


@kernel
def settle_history(history: Row, facts: Facts) -> None:
    """The same for what was bought, hidden, put into the cart and shown: some 150 ns."""
    _settle(history.bought, facts)
    _settle(history.hidden, facts)
    _settle(history.cart, facts)
    _settle(history.shown, facts)


@kernel
def _settle(items: NDArray[np.int32], facts: Facts) -> None:
    for k in range(len(items)):
        if items[k] > 0:
            items[k] = stand_in(facts, items[k] - 1) + 1
