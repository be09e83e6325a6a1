"""Rows of items asked for before they are read.

Rows lie at random in more memory than any cache holds: one that is waited for costs some 100 ns, and a list
reads twelve. Asked for together, and while something else is worked on, they cost a third of that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.items.row import ITEM, VIEWED_TOGETHER
from stream.state.jit import kernel
from stream.state.prefetch import LINE_BYTES, prefetch


def _byte(field: str) -> int:
    return int(ITEM.fields["viewed"][1] + VIEWED_TOGETHER.fields[field][1])  # type: ignore[index]


_TOTAL, _WEIGHT, _STEP, _RECENT = _byte("total"), _byte("weight"), _byte("step"), _byte("recent")
_ITEM, _TOTALS, _SHOPPERS = _byte("item"), _byte("step_total"), _byte("shoppers")
_BOUGHT, _LED_TO = int(ITEM.fields["bought"][1]), int(ITEM.fields["led_to"][1])  # type: ignore[index]


@kernel
def _ask(rows: NDArray[np.void], item: int, first: int, stop: int) -> None:
    for byte in range(first, stop, LINE_BYTES):
        prefetch(rows, item, byte)
    prefetch(rows, item, stop - 1)


@kernel
def ask_for_neighbours(rows: NDArray[np.void], item: int, slots: int, steps: bool) -> None:
    """What ranking reads of a row of which it takes the best `slots` neighbours, with their steps or not."""
    prefetch(rows, item, 0)
    _ask(rows, item, _TOTAL, _ITEM + 4 * slots)
    _ask(rows, item, _WEIGHT, _WEIGHT + 4 * slots)
    _ask(rows, item, _RECENT, _RECENT + 4 * slots)
    prefetch(rows, item, _TOTALS)
    _ask(rows, item, _SHOPPERS, _SHOPPERS + 4 * slots)
    prefetch(rows, item, _BOUGHT + 8)
    prefetch(rows, item, _LED_TO + 8)
    if steps:
        _ask(rows, item, _STEP, _STEP + 4 * slots)


@kernel
def ask_for_best(rows: NDArray[np.void], item: int, slots: int) -> None:
    """What ranking reads of a neighbour's row for the second step."""
    prefetch(rows, item, 0)
    _ask(rows, item, _TOTAL, _ITEM + 4 * slots)
    _ask(rows, item, _WEIGHT, _WEIGHT + 4 * slots)


@kernel
def ask_to_add(rows: NDArray[np.void], item: int) -> None:
    """What counting a pair reads and writes of a row: mostly one of its best neighbours."""
    prefetch(rows, item, 0)
    _ask(rows, item, _TOTAL, _ITEM + 96)
    _ask(rows, item, _WEIGHT, _WEIGHT + 96)
    _ask(rows, item, _RECENT, _RECENT + 64)
    _ask(rows, item, _SHOPPERS, _SHOPPERS + 64)
    prefetch(rows, item, _TOTALS)
