"""What one event adds to an item's own counts: popularity, sales, and demand at the price shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import CART, PURCHASE, REMOVE, RETURN, VIEW
from stream.exchange import WITHOUT_INTEREST
from stream.items.due import Due, push
from stream.items.facts import INTEREST
from stream.state.jit import Row, kernel


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
        add_touch(rows, due, gains[:, e], ts_ms[e], item[k], code[k], quantity[k], price_minor[k])


@kernel
def add_touch(
    rows: NDArray[np.void],
    due: Due,
    gains: NDArray[np.float64],
    ts_ms: int,
    item: int,
    code: int,
    quantity: int,
    price_minor: int,
) -> None:
    """Add one event: see `add_touches`."""
    row = rows[item]
    row.last_ts_ms = max(row.last_ts_ms, ts_ms)
    # Of a code that says so, as of one that is not known, the interest is 0.
    row.popular = max(row.popular + gains[0] * INTEREST[code], 0.0)
    row.trending = max(row.trending + gains[1] * INTEREST[code], 0.0)
    code &= WITHOUT_INTEREST - 1
    if code == VIEW:
        row.views += 1
    elif code == CART:
        row.carts += 1
    elif code == REMOVE:
        row.carts -= 1
    elif code == PURCHASE:
        row.purchases += 1
        row.units_sold += quantity
    elif code == RETURN:
        row.units_returned += quantity
    if price_minor > 0 and (code == VIEW or code == PURCHASE):
        slot = price_slot(row, price_minor)
        if code == VIEW:
            row.exposures[slot] += gains[2]
        else:
            row.conversions[slot] += gains[2]
        if not row.price_due:
            row.price_due = True
            push(due, item)
