"""A seeded shop's event log: the same arguments give the same bytes.

Popularity of items and activity of shoppers follow a Zipf law, as they do in shops. Events come
in sessions; within one, the next item is mostly from the neighbourhood of the one before, so that
co-occurrence has something to find and rows grow as uneven as they do in a real shop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHOPPERS = 50_000
ITEMS = 20_000
SPAN_MS = 24 * 3_600_000
"""Length of the log: inside every default retention, so the broker deletes nothing while we read."""

ITEM_EXPONENT = 0.6
"""Zipf exponent of items. The Diginetica log, a real shop's of nearly a million events, has no single
one: its top percent of items get 13 % of the events, as with 0.7, and two of its events are about the same
item as often as with 0.5. More skew makes the peers slower, who look through all of an item's row."""
SHOPPER_EXPONENT = 0.4
"""Zipf exponent of shoppers: of a million events the busiest makes about a thousand, most ten to twenty."""
SESSION_EVENTS_MEAN = 6.0
STAY_PROBABILITY = 0.75
"""Share of steps inside a session that stay in the neighbourhood of the item before."""
NEIGHBOURHOOD = 50
"""Items a neighbourhood holds: those whose popularity ranks are congruent, so each has its own stars."""
CART_SHARE, PURCHASE_SHARE = 0.06, 0.03
STEP_MS_MEAN = 40_000.0
TYPES = ("view", "cart", "purchase")


@dataclass(frozen=True, slots=True)
class Log:
    """Events in time order, one entry an event in every column.

    `shopper` and `item` int32 numbers (popularity ranks from 0), `kind` int8 index into `TYPES`,
    `session` int32, `ts_ms` int64 epoch milliseconds.
    """

    shopper: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    session: npt.NDArray[np.int32]
    ts_ms: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ts_ms)


def generate(events: int, end_ms: int, seed: int = 1, shoppers: int = SHOPPERS, items: int = ITEMS) -> Log:
    """`events` events, the last of them before `end_ms` (epoch milliseconds). About 0.3 s a million."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(rng.geometric(1.0 / SESSION_EVENTS_MEAN, events), 60)
    sessions = int(np.searchsorted(np.cumsum(lengths), events)) + 1
    session = np.repeat(np.arange(sessions, dtype=np.int32), lengths[:sessions])[:events]
    first = np.flatnonzero(np.diff(session, prepend=-1))
    owner = _zipf(rng, shoppers, SHOPPER_EXPONENT, sessions)

    steps = rng.exponential(STEP_MS_MEAN, events).astype(np.int64) + 1
    elapsed = np.cumsum(steps)
    ends_at = elapsed - elapsed[first][session]
    longest = int(ends_at.max()) + 1
    starts = rng.integers(end_ms - SPAN_MS, end_ms - longest, sessions)
    ts_ms = starts[session] + ends_at

    fresh = rng.random(events) >= STAY_PROBABILITY
    fresh[first] = True
    roots = _zipf(rng, items, ITEM_EXPONENT, events)
    neighbourhoods = max(1, items // NEIGHBOURHOOD)
    # A step that stays keeps the root's residue and draws its own place in that neighbourhood.
    root = roots[np.maximum.accumulate(np.where(fresh, np.arange(events), 0))]
    place = _zipf(rng, max(1, items // neighbourhoods), ITEM_EXPONENT, events)
    item = np.where(fresh, roots, root % neighbourhoods + place * neighbourhoods).astype(np.int32)

    share = rng.random(events)
    kind = np.where(share < PURCHASE_SHARE, 2, np.where(share < PURCHASE_SHARE + CART_SHARE, 1, 0))
    order = np.argsort(ts_ms, kind="stable")
    return Log(owner[session][order], item[order], kind.astype(np.int8)[order], session[order], ts_ms[order])


def encode(log: Log) -> Iterator[tuple[int, bytes, bytes, int]]:
    """(shopper number, key, value, ts_ms) of each event; the value is one JSON event of about 170 bytes.

    Lines of one session share its `order_id`; a price is a fixed function of the item.
    """
    columns = (
        log.shopper.tolist(),
        log.item.tolist(),
        log.kind.tolist(),
        log.session.tolist(),
        log.ts_ms.tolist(),
    )
    for number, (shopper, item, kind, session, ts_ms) in enumerate(zip(*columns, strict=True)):
        order = f',"order_id":"o{session:07d}"' if kind == 2 else ""
        value = (
            f'{{"type":"{TYPES[kind]}","event_id":"{ts_ms:012x}{number:014d}","ts":{ts_ms},"user_id":"u{shopper:06d}",'
            f'"session_id":"s{session:07d}","item_id":"i{item:06d}","price":{5 + item * 37 % 9500 / 100:.2f},'
            f'"currency":"EUR"{order}}}'
        )
        yield shopper, b"u%06d" % shopper, value.encode(), ts_ms


def _zipf(rng: np.random.Generator, n: int, exponent: float, size: int) -> npt.NDArray[np.int32]:
    """`size` ranks in 0..n-1, rank r drawn with weight (r + 1)^-exponent."""
    cumulative = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
    ranks = np.searchsorted(cumulative, rng.random(size) * cumulative[-1])
    return np.asarray(ranks, np.int32)
