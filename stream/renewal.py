"""Published lists made again, a few at each call: when rules or stock say something else, and before they
expire."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.effects import Effects, ListsFor, Values
from stream.engine import Engine
from stream.refill import Refill, parts

AT_ONCE = 64
"""Shoppers, and items, of one call, about 1 ms each: at twenty calls a second those 1,300 shoppers within a
second who were seen last."""

FIRST_SHARE, EVERY_SHARE = 0.01, 0.5
"""Shares of the time after which values expire: item lists and prices are written again so long after a
start, and from then on so often. Those of items that nobody comes to would go otherwise."""


class _Walk(NamedTuple):
    """What is left of one: rows with partition and number, whose lists `make` makes while `units` holds the
    partition."""

    places: NDArray[np.void]
    make: Callable[[int, NDArray[np.int32], int], list[Values]]
    units: Container[int]


class Renewal:
    """Walks over an engine's shoppers and items, those first who were seen last.

    A list that a shopper is given with an event is always under the rules of the time. This is for those who
    have none just now: after a change of rules, or when an item must not be shown any more, all lists of
    shoppers who were seen within `ttl_ms`, and all item lists, are made again. Changes that come meanwhile
    are for the next walk.
    """

    def __init__(self, engine: Engine, ttl_ms: int) -> None:
        """`ttl_ms`: the time after which published values expire."""
        self._engine = engine
        self._ttl_ms = ttl_ms
        self._changes: int | None = None
        self._walks: list[_Walk] = []
        self._next_ms = 0

    def due(self, now_ms: int) -> Effects:
        """The lists whose turn it is; nothing while the engine works on a backlog."""
        engine, effects = self._engine, Effects()
        if self._changes is None:
            # What it was told before it had any shoppers is in their lists already.
            self._changes, self._next_ms = engine.changes, now_ms + int(self._ttl_ms * FIRST_SHARE)
        if engine.lists_for is not ListsFor.EVENTS:
            return effects
        if not self._walks:
            self._begin(now_ms)
        for places, make, units in self._walks:
            for partition, numbers in parts(places[:AT_ONCE]):
                if partition in units:
                    effects.values += make(partition, numbers, now_ms)
        left = (walk._replace(places=walk.places[AT_ONCE:]) for walk in self._walks)
        self._walks = [walk for walk in left if len(walk.places)]
        engine.metrics.count(effects)
        return effects

    def _begin(self, now_ms: int) -> None:
        engine, changed = self._engine, self._changes != self._engine.changes
        expiring = now_ms >= self._next_ms
        if not changed and not expiring:
            return
        self._changes = engine.changes
        every = Refill(engine, self._ttl_ms)
        self._walks = [_Walk(every.items, engine.item_lists_again, engine.item_units)]
        if changed:
            self._walks.append(_Walk(every.shoppers, engine.lists_again, engine.shopper_units))
        if expiring:
            self._next_ms = now_ms + int(self._ttl_ms * EVERY_SHARE)
            engine.tell_again(every.items["number"])
