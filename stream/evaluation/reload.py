"""`reload` among what `stream evaluate recs` compares and joins: a shopper looks at the same item again.

Lists of the engine never hold the item looked at now. Methods of published tables may propose it, and what
they hit by that counts: where a log has reloads, `blend+reload` is what is to be held against them.
"""

from __future__ import annotations

from stream.effects import Effects
from stream.evaluation.lists import Told
from stream.events.types import AnyEvent, Item

NAME = "reload"


class ReloadFeed:
    """`Feed` (stream.evaluation.prequential) of lists of one item: the one that the event is about."""

    def __init__(self) -> None:
        self._offset = 0
        self._told = Told()

    def item(self, item: Item) -> None:
        """Facts of an item say nothing of this."""

    def event(self, event: AnyEvent) -> int:
        """Its offset; an event that is about no item leaves the list as it is."""
        offset = self._offset
        self._offset += 1
        if event.item_id is not None:
            self._told.add(event.user_id, offset, [event.item_id], [1.0])
        return offset

    def freeze(self) -> None:
        """Nothing is learned anyhow."""

    def flush(self) -> Effects:
        """The lists made since."""
        return self._told.flush()
