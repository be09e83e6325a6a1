"""One source alone behind the interface of a feed: test, then learn, event by event."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.effects import Effects, Values, version
from stream.evaluation.numbers import Numbers
from stream.evaluation.prequential import CUTOFF
from stream.events.codes import CODES, PROFILE, SEARCH
from stream.events.decode import to_ms
from stream.events.types import AnyEvent, Item
from stream.shoppers.session import SESSION_GAP_MS
from stream.sources.source import RECENT, Room, Source, Visit, interactions, proposals
from stream.state.jit import kernel

MAX_ITEMS = 1 << 17
MAX_SHOPPERS = 1 << 18
"""More than any of the logs has that fit into memory; of more, those not heard of for longest are
forgotten."""


def new_room(items: int = MAX_ITEMS, shoppers: int = MAX_SHOPPERS) -> tuple[Room, Numbers, Numbers]:
    """Room for a source, and the numbers of items and of shoppers that belong to it."""
    item_numbers, shopper_numbers = Numbers(items), Numbers(shoppers)
    return Room(items, shoppers, item_numbers.hashes), item_numbers, shopper_numbers


class SourceFeed:
    """`Feed` (stream.evaluation.prequential) of a source; some 20 µs an event beside it.

    Sessions and the window of items are told apart by the engine's rules. Lists have up to `length` items,
    and the source's own scores.
    """

    def __init__(self, source: Source, items: Numbers, shoppers: Numbers, length: int = CUTOFF) -> None:
        self.source = source
        self._items, self._shoppers = items, shoppers
        self._window = _Windows(shoppers.capacity, length)
        self._event, self._out = interactions(1), proposals(length)
        self._offset = 0
        self._frozen = False
        self._ids: list[bytes] = []
        self._lists: list[bytes] = []

    def item(self, item: Item) -> None:
        """Facts of an item."""
        self.source.describe_items(np.array([self._item(item.item_id)], np.int32), [item])

    def event(self, event: AnyEvent) -> int:
        """Learn an event, and make the list that its shopper has from then on; its offset."""
        offset = self._offset
        self._offset += 1
        shopper = self._shopper(event.user_id)
        item = self._item(event.item_id) if event.item_id is not None else -1
        columns, ts_ms, code = self._event, to_ms(event.ts), CODES[type(event)]
        columns.shopper[0], columns.item[0], columns.code[0], columns.ts_ms[0] = shopper, item, code, ts_ms
        columns.opens[0] = self._window.opens(shopper, event.session_id, ts_ms)
        columns.rating[0] = math.nan if event.rating is None else event.rating
        if not self._frozen:
            self.source.learn(columns)
        if code == SEARCH:
            self.source.hear(shopper, code, event.query or "")
        elif code == PROFILE:
            self.source.hear(shopper, code, words_in(event.context))
        if item >= 0:
            self._window.look_at(shopper, item)
        n = self.source.propose(self._window.visit(shopper), self._out)
        names = self._items.names
        items = msgspec.json.encode([names[number] for number in self._out.item[:n].tolist()])
        scores = msgspec.json.encode(self._out.score[:n].tolist())
        self._ids.append(event.user_id.encode())
        told = version(0, offset), items, scores
        self._lists.append(b'{"version":"%s","items":%s,"scores":%s}' % told)
        return offset

    def freeze(self) -> None:
        """Have the source learn no more: it is told each shopper's last items, and what they say."""
        self._frozen = True

    def flush(self) -> Effects:
        """The lists made since."""
        effects = Effects([Values.of("recs", self._ids, self._lists)])
        self._ids, self._lists = [], []
        return effects

    def _item(self, name: str) -> int:
        number = self._items.find(name)
        if number < 0 and len(gone := self._items.oldest()):
            self.source.forget(gone, np.zeros(0, np.int32))
            self._window.forget_items(gone)
        return self._items.of(name)

    def _shopper(self, name: str) -> int:
        number = self._shoppers.find(name)
        if number < 0 and len(gone := self._shoppers.oldest()):
            self.source.forget(np.zeros(0, np.int32), gone)
            self._window.forget_shoppers(gone)
        return self._shoppers.of(name)


def words_in(context: object) -> str:
    """All texts in what a profile states, however nested, a line each, in the order of their keys."""
    if isinstance(context, str):
        return context
    parts: list[object] = []
    if isinstance(context, dict):
        parts = [context[key] for key in sorted(context, key=str)]
    elif isinstance(context, list):
        parts = context
    return "\n".join(filter(None, map(words_in, parts)))


class _Windows:
    """Each shopper's session and last items."""

    def __init__(self, shoppers: int, length: int) -> None:
        self._length = length
        self._recent = np.full((shoppers, RECENT), -1, np.int32)
        self._in_session = np.zeros(shoppers, np.int32)
        self._session: dict[int, tuple[str | None, int]] = {}

    def opens(self, shopper: int, session: str | None, ts_ms: int) -> bool:
        known = self._session.get(shopper)
        self._session[shopper] = (session, ts_ms)
        if known is None:
            new = True
        elif session is not None:
            new = session != known[0]
        else:
            new = ts_ms - known[1] > SESSION_GAP_MS
        if new:
            self._in_session[shopper] = 0
        return new

    def look_at(self, shopper: int, item: int) -> None:
        _look_at(self._recent[shopper], self._in_session[shopper : shopper + 1], item)

    def visit(self, shopper: int) -> Visit:
        recent = self._recent[shopper]
        known = int((recent >= 0).sum())
        return Visit(shopper, recent[:known], int(self._in_session[shopper]), self._length)

    def forget_items(self, items: NDArray[np.int32]) -> None:
        gone = np.isin(self._recent, items)
        for shopper in np.flatnonzero(gone.any(1)).tolist():
            left = self._recent[shopper][~gone[shopper]]
            self._in_session[shopper] -= gone[shopper, : self._in_session[shopper]].sum()
            self._recent[shopper] = -1
            self._recent[shopper, : len(left)] = left

    def forget_shoppers(self, shoppers: NDArray[np.int32]) -> None:
        self._recent[shoppers] = -1
        self._in_session[shoppers] = 0
        for shopper in shoppers.tolist():
            self._session.pop(shopper, None)


@kernel
def _look_at(recent: NDArray[np.int32], in_session: NDArray[np.int32], item: int) -> None:
    """Move `item` to the front of the window (as `stream.shoppers.session.look_at`)."""
    at = RECENT - 1
    for k in range(RECENT):
        if recent[k] == item:
            at = k
            break
    if at >= in_session[0]:
        in_session[0] = min(in_session[0] + 1, RECENT)
    for k in range(at, 0, -1):
        recent[k] = recent[k - 1]
    recent[0] = item
