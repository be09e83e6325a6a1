"""What is known of one shopper: a small row for everybody, a larger one for those who bought, put into a
cart, hid, or were shown something."""

from __future__ import annotations

import numpy as np

from stream.cohorts import FIELDS

RECENT = 10
"""Items in the window of co-occurrence, and the most that a list can build on."""

SEEN = 16
"""Items remembered that have left the window: shoppers come back to them, or are done with them."""

BASKET = 10
"""Items of the current order that a further line is paired with."""

BOUGHT = 32
"""Purchases remembered: not recommended again, and recognised when a client sends them twice."""

HIDDEN = 32
"""Items a shopper asked not to see; the oldest is forgotten first."""

CART = 16
"""Items remembered to lie in the cart; the one that was put in first is forgotten first."""

SHOWN = 64
"""Items remembered to have been shown and not taken, each as often as it was shown."""

TERMS_ASKED = 4
"""Words of a search by which items are looked for."""

STATED_BYTES = 128
"""Room for the interests that a shopper states, as text."""

SHOPPER = np.dtype(
    [
        # Item numbers are stored + 1, so that zeroed memory is an empty row.
        ("events", np.int64),
        ("last_ts_ms", np.int64),
        ("session", np.uint64),
        ("order", np.uint64),
        # Words of the session's last search (`stream.items.words`), and terms of the first ones (0: none).
        ("asked", np.uint64, (2,)),
        ("terms", np.uint16, (TERMS_ASKED,)),
        ("recent", np.int32, (RECENT,)),
        ("seen", np.int32, (SEEN,)),
        ("basket", np.int32, (BASKET,)),
        ("in_session", np.int32),
        ("n_seen", np.int32),
        ("in_basket", np.int32),
        # Row + 1 in the unit's table of histories, slot + 1 in its ring of exposures (0: none).
        ("history", np.int32),
        ("exposure", np.int32),
        # The item + 1 that was put into the last list to find out what it is worth.
        ("explored", np.int32),
        # Events in the current hour of event time: what tells a crowd behind one id from a person.
        ("hour", np.int32),
        ("in_hour", np.int32),
        # Hashes of the cohorts by `stream.cohorts.FIELDS` (0: none).
        ("cohorts", np.uint32, (len(FIELDS),)),
        ("crowd", np.bool_),
        ("bucket", np.uint8),
    ],
    align=True,
)
"""The row of one shopper."""

HISTORY = np.dtype(
    [
        ("bought", np.int32, (BOUGHT,)),
        ("bought_event", np.uint64, (BOUGHT,)),
        ("quantity", np.int32, (BOUGHT,)),
        ("hidden", np.int32, (HIDDEN,)),
        ("n_bought", np.int64),
        ("n_hidden", np.int64),
        ("cart", np.int32, (CART,)),
        ("shown", np.int32, (SHOWN,)),
        ("n_shown", np.int64),
        # Interests as the shopper stated them, separated by NUL, and their words.
        ("stated", np.uint8, (STATED_BYTES,)),
        ("stated_words", np.uint64, (2,)),
    ],
    align=True,
)
"""Purchases, hidden items and items shown of one shopper: rings, `n_*` counts all ever written. `cart` is
what lies in it now, oldest first, without gaps."""
