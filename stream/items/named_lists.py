"""Lists that have a name in place of a shopper or an item: each is published when it has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from stream.effects import Values
from stream.recommend.rank import LENGTH
from stream.values import Ranked


class NamedLists:
    """What was told last of each list of one kind, which is also the reason of all its places."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._told: dict[bytes, list[str] | None] = {}

    @property
    def names(self) -> Collection[bytes]:
        """Of the lists that were told."""
        return self._told.keys()

    def tell_again(self) -> None:
        """Publish all of them once more, also those that are what was told last."""
        self._told = {name: None for name, items in self._told.items() if items}

    def forget_others(self, names: Iterable[bytes]) -> None:
        """There are no lists but of these names any more."""
        self._told = {name: self._told[name] for name in names if name in self._told}

    def changed(
        self, lists: Iterable[tuple[bytes, list[tuple[bytes, float]]]], as_of: bytes, now_ms: int
    ) -> list[Values]:
        """Of lists by name, each of items with their scores, the first `LENGTH` of those that are others than
        was told last. One of which nothing is left is emptied, once."""
        ids, values = [], []
        for name, entries in lists:
            items = [item.decode() for item, _ in entries[:LENGTH]]
            if self._told.get(name, []) == items:
                continue
            self._told[name] = items
            ids.append(name)
            scores = [round(score, 5) for _, score in entries[:LENGTH]]
            reasons = [self._kind] * len(items)
            values.append(
                msgspec.json.encode(Ranked(as_of.decode(), now_ms, self._kind, items, scores, reasons))
            )
        return [Values.of(self._kind, ids, values)] if ids else []
