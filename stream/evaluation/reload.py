"""`reload` among what `stream evaluate recs` compares and joins: a shopper looks at the same item again.

Lists of the engine never hold the item looked at now. Methods of published tables may propose it, and what
they hit by that counts: where a log has reloads, `blend+reload` is what is to be held against them.
"""

from __future__ import annotations

import msgspec

from stream.effects import Effects, Values, version
from stream.events.types import AnyEvent, Item

NAME = "reload"


class ReloadFeed:
    """`Feed` (stream.evaluation.prequential) of lists of one item: the one that the event is about."""

    def __init__(self) -> None:
        self._offset = 0
        self._ids: list[bytes] = []
        self._lists: list[bytes] = []

    def item(self, item: Item) -> None:
        """Facts of an item say nothing of this."""

    def event(self, event: AnyEvent) -> int:
        """Its offset; an event that is about no item leaves the list as it is."""
        offset = self._offset
        self._offset += 1
        if event.item_id is not None:
            told = version(0, offset), msgspec.json.encode([event.item_id])
            self._ids.append(event.user_id.encode())
            self._lists.append(b'{"version":"%s","items":%s,"scores":[1.0]}' % told)
        return offset

    def freeze(self) -> None:
        """Nothing is learned anyhow."""

    def flush(self) -> Effects:
        """The lists made since."""
        effects = Effects([Values.of("recs", self._ids, self._lists)])
        self._ids, self._lists = [], []
        return effects
