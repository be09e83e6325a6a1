"""What one event adds to an item's own counts: popularity, sales, and demand at the price shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import CART, LIKE, PURCHASE, RATING, REMOVE, RETURN, VIEW
from stream.items.due import Due, push
from stream.state.jit import Row, kernel

# By every code that a byte can hold: a newer worker may send one that is not known here, and it adds nothing.
_INTEREST = np.zeros(256)
_INTEREST[VIEW], _INTEREST[LIKE], _INTEREST[RATING] = 1.0, 1.0, 1.0
_INTEREST[CART], _INTEREST[PURCHASE] = 3.0, 10.0
"""Popularity that an event adds, by its code: a sale tells more than a look (1, 3, 10)."""


@kernel
def price_slot(row: Row, price_minor: int) -> int:
    """Slot of a price, taking a free one or that of the least shown price."""
    least = 0
    for k in range(len(row.price_minor)):
        if row.price_minor[k] == price_minor:
            return k
        if row.price_minor[k] == 0:
            row.price_minor[k] = price_minor
            return k
        if row.exposures[k] < row.exposures[least]:
            least = k
    row.price_minor[least] = price_minor
    row.exposures[least] = 0.0
    row.conversions[least] = 0.0
    return least


@kernel
def add_touches(
    rows: NDArray[np.void],
    due: Due,
    gains: NDArray[np.float64],
    ts_ms: NDArray[np.int64],
    event: NDArray[np.uint32],
    item: NDArray[np.int32],
    code: NDArray[np.uint8],
    quantity: NDArray[np.int32],
    price_minor: NDArray[np.int64],
) -> None:
    """Add the item events of one exchange message; `gains` by half-life (slow, fast, demand) and event.

    A view with a price is an exposure of that price, a purchase with a price one conversion (however
    many units), both decayed with the demand half-life, and the item is queued in `due` for a new price.
    Prices of 0 (gifts) tell no demand.
    """
    for k in range(len(event)):
        e = event[k]
        row = rows[item[k]]
        row.last_ts_ms = max(row.last_ts_ms, ts_ms[e])
        row.popular += gains[0, e] * _INTEREST[code[k]]
        row.trending += gains[1, e] * _INTEREST[code[k]]
        if code[k] == VIEW:
            row.views += 1
        elif code[k] == CART:
            row.carts += 1
        elif code[k] == REMOVE:
            row.carts -= 1
        elif code[k] == PURCHASE:
            row.purchases += 1
            row.units_sold += quantity[k]
        elif code[k] == RETURN:
            row.units_returned += quantity[k]
        if price_minor[k] > 0 and (code[k] == VIEW or code[k] == PURCHASE):
            slot = price_slot(row, price_minor[k])
            if code[k] == VIEW:
                row.exposures[slot] += gains[2, e]
            else:
                row.conversions[slot] += gains[2, e]
            if not row.price_due:
                row.price_due = True
                push(due, item[k])
