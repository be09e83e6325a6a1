"""Where an event's news reach the items before the next event: in a process that holds everything.

Evaluations ask what each list was worth that knew all events before it. Given to the engine one at a
time, most of what an event costs is the call; so here a batch goes through one kernel, without messages.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.exchange import touch_code, touch_price
from stream.items.cooccurrence import add_pair
from stream.items.demand import add_touch
from stream.items.distinct import bit_of
from stream.items.due import Due, ListsDue
from stream.shoppers.emit import Columns, Outbox
from stream.state.jit import kernel


class AtOnce(NamedTuple):
    """The item stage as a kernel of the shopper stage sees it, for one batch. `gains` as in `add_touches`;
    `clock_ms` is the item unit's at the end of the batch, `displaced` counts neighbours."""

    rows: NDArray[np.void]
    lists_due: ListsDue
    price_due: Due
    gains: NDArray[np.float64]
    batch: Columns
    clock_ms: int
    bucket_size: NDArray[np.int64]
    displaced: NDArray[np.int64]


@kernel
def _own(items: AtOnce, item: int) -> None:
    row = items.rows[item]
    if not row.owned:
        row.owned = True
        row.last_ts_ms = items.clock_ms
        items.bucket_size[row.bucket] += 1


@kernel
def take_in(items: AtOnce, out: Outbox, touches: int, pairs: int) -> None:
    """Add what was put into the outbox after its first `touches` and `pairs`."""
    for k in range(touches, out.filled[0]):
        e, item = out.touch_event[k], out.touch_item[k]
        _own(items, item)
        add_touch(
            items.rows, items.price_due, items.gains[:, e], items.batch.ts_ms[e], item,
            touch_code(items.batch.code[e], out.touch_without[k]), items.batch.quantity[e],
            touch_price(items.batch.price_minor[e], out.touch_without[k]),
        )  # fmt: skip
    for k in range(pairs, out.filled[1]):
        e = out.pair_event[k]
        _own(items, out.pair_item[k])
        items.displaced[0] += add_pair(
            items.rows, items.lists_due, items.gains[0, e], bit_of(items.batch.mark[e]), out.pair_item[k],
            out.pair_other[k], out.pair_code[k],
        )  # fmt: skip
