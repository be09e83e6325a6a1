"""What impressions say was shown: kept by shopper, so that what is passed over again and again can make
room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.events import types
from stream.items.table import ItemTable
from stream.shoppers.history import show
from stream.shoppers.row import SHOWN
from stream.state.jit import Row, kernel

IMPRESSED = np.dtype([("at", np.int64), ("size", np.int64), ("item", np.int32, (SHOWN,))], align=True)
"""The items of one impression: its row in the batch, item numbers in the order of the list."""


def impressed(shown: Sequence[tuple[int, types.Impression]], table: ItemTable) -> NDArray[np.void]:
    """The items of (row, impression) as rows of `IMPRESSED`, in order; they become known by that. Nothing
    where there is no impression, else some 5 µs each."""
    out = np.zeros(len(shown), IMPRESSED)
    for row, (at, event) in zip(out, shown, strict=True):
        # What holds a control character is no item's id, and ids are handed over NUL-separated.
        ids = [each.item_id for each in event.items if min(each.item_id) >= " "][:SHOWN]
        row["at"], row["size"] = at, len(ids)
        numbers = table.numbers("\0".join(ids).encode(), len(ids))
        row["item"][: len(ids)] = table.standing(numbers)[0]
    return out


@kernel
def remember_shown(history: Row, shown: NDArray[np.void], e: int) -> None:
    """The impression that is event `e` of the batch was accepted; about .1 µs."""
    low, high = 0, len(shown)
    while low < high:
        middle = (low + high) // 2
        if shown[middle].at < e:
            low = middle + 1
        else:
            high = middle
    if low < len(shown) and shown[low].at == e:
        for k in range(shown[low].size):
            show(history, shown[low].item[k])
