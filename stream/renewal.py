"""Published lists made again, a few at each call: when rules or stock say something else, and before they
expire."""

from __future__ import annotations

from stream.effects import Effects, ListsFor
from stream.engine import Engine
from stream.refill import Walk, over_items, over_shoppers

AT_ONCE = 64
"""Shoppers, and items, of one call, about 1 ms each: at twenty calls a second those 1,300 shoppers within a
second who were seen last."""

EXPIRING_AT_ONCE = 8
"""Items of one call whose values would expire: half as many as prices are decided on in that time, so that
those with new evidence need not wait."""

FIRST_SHARE, EVERY_SHARE = 0.01, 0.5
"""Shares of the time after which values expire: those of items are written again so long after a start, and
from then on so often. Those of items that nobody comes to would go otherwise."""


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
        self._changed: list[Walk] = []
        self._expiring: list[Walk] = []
        self._next_ms = 0

    def due(self, now_ms: int) -> Effects:
        """The values whose turn it is; nothing while the engine works on a backlog."""
        engine, effects = self._engine, Effects()
        if self._changes is None:
            # What it was told before it had any shoppers is in their lists already.
            self._changes, self._next_ms = engine.changes, now_ms + int(self._ttl_ms * FIRST_SHARE)
        if engine.lists_for is not ListsFor.EVENTS:
            return effects
        if not self._changed and self._changes != engine.changes:
            self._begin_changed()
        if not self._expiring and now_ms >= self._next_ms:
            self._begin_expiring(now_ms)
        for walk in (*self._changed, *self._expiring):
            effects.values += walk.step(now_ms)
        self._changed, self._expiring = _left(self._changed), _left(self._expiring)
        engine.metrics.count(effects)
        return effects

    def _begin_changed(self) -> None:
        engine = self._engine
        self._changes = engine.changes
        self._changed = [
            over_shoppers(engine, engine.lists_again, AT_ONCE, self._ttl_ms),
            over_items(engine, engine.item_lists_again, AT_ONCE),
        ]

    def _begin_expiring(self, now_ms: int) -> None:
        engine = self._engine
        self._next_ms = now_ms + int(self._ttl_ms * EVERY_SHARE)
        engine.publisher.tell_again()
        self._expiring = [over_items(engine, engine.item_values_again, EXPIRING_AT_ONCE)]


def _left(walks: list[Walk]) -> list[Walk]:
    return [left for left in (walk.rest() for walk in walks) if len(left.places)]
