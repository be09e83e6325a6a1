"""What is known of one item: one fixed-size row, so memory is items times `ITEM.itemsize`."""

from __future__ import annotations

import numpy as np

VIEWED_SLOTS = 96
"""Neighbours kept of items viewed in one session. Where sessions are long, or all items go with all others,
64 lose .01 of hit rate against 96, and those .005 to .008 against 128 at 768 more bytes an item; else
none."""

BOUGHT_SLOTS = 24
"""Neighbours kept by basket and from view to purchase: purchases are some thirty times rarer."""

PRICE_SLOTS = 12
"""Distinct prices remembered an item: nine rungs of the ladder, and three that are on their way out."""

VIEWED, BOUGHT, LED_TO = 0, 1, 2
"""Kinds of co-occurrence: viewed together; bought in one basket; viewed, then the other bought."""

BUCKETS = 64
"""Fixed parts of a unit, by hash of the id: what is capped, evicted and saved together."""


def _neighbours(slots: int) -> list[tuple[str, type[np.generic]] | tuple[str, type[np.generic], tuple[int]]]:
    return [
        ("total", np.float32),
        ("gain", np.float32),
        ("item", np.int32, (slots,)),
        ("weight", np.float32, (slots,)),
        ("error", np.float32, (slots,)),
        ("shoppers", np.uint32, (slots,)),
    ]


NEIGHBOURS = np.dtype(_neighbours(BOUGHT_SLOTS))
"""A bounded row of neighbours: item number + 1 (0 = free), decayed weight, inherited error, and which
shoppers stand behind it since it got its slot (`stream.items.distinct`).

`weight` is what was counted since the neighbour got its slot; what it inherited lies apart, because
ranking reads items and weights only, and reading less is what makes it fast.
`total` is the sum of all weights ever added: the denominator of a neighbour's share. `gain` is what
one event added when the row last changed.
"""

VIEWED_TOGETHER = np.dtype(
    [
        *_neighbours(VIEWED_SLOTS),
        ("step_total", np.float32),
        ("recent_total", np.float32),
        ("recent_gain", np.float32),
        ("step", np.float32, (VIEWED_SLOTS,)),
        ("recent", np.float32, (VIEWED_SLOTS,)),
    ]
)
"""Neighbours by view, in falling order of weight, so that reading the first is reading the best.

Two more weights each: `step` counts only what came directly next, the counts of a first-order Markov chain,
and decays as `weight` does; `recent` forgets with the row's own updates instead of with time: it is the last
forty or so of them, be they of an hour or of a month.
"""


ITEM = np.dtype(
    [
        # Home partition + 1 (0: not yet computed) and bucket, both from the id. `owned`: counted here;
        # `foreign`: a copy of what its owner published, whose weights are ready scores.
        ("home", np.int16),
        ("bucket", np.uint8),
        ("owned", np.bool_),
        ("foreign", np.bool_),
        ("lists_due", np.bool_),
        ("price_due", np.bool_),
        # Ranking needs this row, which is another worker's: a copy is to be fetched.
        ("wanted", np.bool_),
        ("last_ts_ms", np.int64),
        # Decayed: the slow and the fast half-life.
        ("popular", np.float32),
        ("trending", np.float32),
        # Exact, never decayed.
        ("views", np.int64),
        ("carts", np.int64),
        ("purchases", np.int64),
        ("units_sold", np.int64),
        ("units_returned", np.int64),
        # Demand at each price seen, decayed with the demand half-life; a price of 0 is a free slot.
        ("price_minor", np.int64, (PRICE_SLOTS,)),
        ("exposures", np.float32, (PRICE_SLOTS,)),
        ("conversions", np.float32, (PRICE_SLOTS,)),
        ("viewed", VIEWED_TOGETHER),
        ("bought", NEIGHBOURS),
        ("led_to", NEIGHBOURS),
    ],
    align=True,
)
"""The row of one item. Numbers of items are the worker's own and never leave it."""
