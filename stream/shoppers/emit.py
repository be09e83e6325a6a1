"""What the shopper stage has to say to the item stage, gathered in columns by item partition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.exchange import BACKWARD, FORWARD, pair_code
from stream.items.row import BOUGHT, LED_TO, VIEWED
from stream.shoppers.merge import LEFT
from stream.shoppers.row import BASKET, RECENT
from stream.state.jit import kernel

PAIRS_PER_EVENT = 2 * RECENT + 2 * BASKET + RECENT
"""The most pairs one event makes: a purchase, with its basket both ways and all that led to it."""


TOUCHES_PER_EVENT = 2
"""A product and its variant."""


class Outbox(NamedTuple):
    """Columns of one batch, reused. `filled` = touches, pairs, visitors that were claimed. Items are worker
    numbers; `touch_without`: what a touch leaves out (`stream.exchange.NO_DEMAND`)."""

    touch_event: NDArray[np.uint32]
    touch_item: NDArray[np.int32]
    touch_without: NDArray[np.uint8]
    pair_event: NDArray[np.uint32]
    pair_item: NDArray[np.int32]
    pair_other: NDArray[np.int32]
    pair_code: NDArray[np.uint8]
    left: NDArray[np.void]
    filled: NDArray[np.int64]


class Columns(NamedTuple):
    """What the items hear of each event of a batch; `ts_ms` is the time by which it decays, `mark` a byte of
    the hash of its shopper."""

    offset: NDArray[np.int64]
    ts_ms: NDArray[np.int64]
    code: NDArray[np.uint8]
    quantity: NDArray[np.int32]
    price_minor: NDArray[np.int64]
    mark: NDArray[np.uint8]


def new_outbox(events: int) -> Outbox:
    """Room for what `events` events can say."""
    pairs, touches = events * PAIRS_PER_EVENT, events * TOUCHES_PER_EVENT
    return Outbox(
        np.zeros(touches, np.uint32),
        np.zeros(touches, np.int32),
        np.zeros(touches, np.uint8),
        np.zeros(pairs, np.uint32),
        np.zeros(pairs, np.int32),
        np.zeros(pairs, np.int32),
        np.zeros(pairs, np.uint8),
        np.zeros(events, LEFT),
        np.zeros(3, np.int64),
    )


@kernel
def emit_touch(out: Outbox, event: int, item: int, without: int) -> None:
    """Event `event` of the batch touched `item`."""
    n = out.filled[0]
    out.touch_without[n] = without
    out.touch_event[n] = event
    out.touch_item[n] = item
    out.filled[0] += 1


@kernel
def _emit_pair(out: Outbox, event: int, item: int, other: int, code: int) -> None:
    n = out.filled[1]
    out.pair_event[n] = event
    out.pair_item[n] = item
    out.pair_other[n] = other
    out.pair_code[n] = code
    out.filled[1] += 1


@kernel
def emit_viewed(out: Outbox, event: int, item: int, earlier: int, distance: int) -> None:
    """`item` was looked at `distance` events after `earlier`, in one session."""
    _emit_pair(out, event, earlier, item, pair_code(VIEWED, FORWARD, distance))
    _emit_pair(out, event, item, earlier, pair_code(VIEWED, BACKWARD, distance))


@kernel
def emit_bought(out: Outbox, event: int, item: int, other: int) -> None:
    """`item` and `other` lie in one basket; both directions weigh alike."""
    _emit_pair(out, event, other, item, pair_code(BOUGHT, FORWARD, 1))
    _emit_pair(out, event, item, other, pair_code(BOUGHT, FORWARD, 1))


@kernel
def emit_led_to(out: Outbox, event: int, bought: int, viewed: int, distance: int) -> None:
    """`bought` was bought `distance` events after `viewed` was looked at."""
    _emit_pair(out, event, viewed, bought, pair_code(LED_TO, FORWARD, distance))
