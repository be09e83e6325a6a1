"""Event types as small numbers, and what stands for nothing in a column."""

from __future__ import annotations

from stream.events import types

TYPES: tuple[type[types.Event], ...] = (
    types.View,
    types.Cart,
    types.RemoveFromCart,
    types.Purchase,
    types.Return,
    types.Impression,
    types.Search,
    types.Rating,
    types.Like,
    types.Hide,
    types.Identify,
    types.Profile,
    types.Claim,
    types.Inherit,
)
"""Event types by code: the code is the position. Codes travel between workers: only ever append,
behind `DISLIKE`."""

VIEW, CART, REMOVE, PURCHASE, RETURN, IMPRESSION, SEARCH, RATING, LIKE, HIDE, IDENTIFY, PROFILE = range(12)
CLAIM, INHERIT = 12, 13
DISLIKE = 14
"""A rating of less than half the scale: no type of its own."""

CODES = {kind: code for code, kind in enumerate(TYPES)}

NO_PRICE = -1
"""Stands in price columns where an event named no price."""
