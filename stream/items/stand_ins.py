"""Which item stands for which: a product for its variants, a new id for those that it replaces.

Two fields of the catalogue say so, `parent_id` and `replaces`. What stands for an item may itself be a
variant, or be replaced: links are followed to their end. What follows from the catalogue as it is does not
hang on the order in which its messages came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from stream.items.due import publish_again
from stream.items.facts import ELSEWHERE, hand_over
from stream.items.table import ItemTable


class StandIns:
    """Links between ids, and what kernels read of them: `Facts.item["stands_for"]`, `renamed` and `also`."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self.changes = 0
        """How often links have changed."""
        self._parent: dict[bytes, bytes] = {}
        self._replaces: dict[bytes, tuple[bytes, ...]] = {}
        self._replaced_by: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._variants: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._ends: dict[bytes, tuple[bytes, bytes, int]] = {}
        self._counted: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._sold: defaultdict[bytes, set[bytes]] = defaultdict(set)

    def stands_for(self, key: bytes) -> bytes:
        """The item that stands for `key`: itself, if none does."""
        return self._ends[key][0] if key in self._ends else key

    def variants(self, key: bytes) -> Iterator[bytes]:
        """Variants of which `key` is the product, under the ids by which they are sold now."""
        return (name for name in self._counted.get(key, ()) if self._ends[name][1] == name)

    def cycle(self, key: bytes, parent: bytes | None, replaces: Sequence[bytes]) -> list[bytes] | None:
        """The ids by which `key` would come to stand for itself, if the catalogue said that of it; or None.

        All that the catalogue says counts, also where something else goes before it: what is taken away
        later can then make no cycle.
        """
        before = self._say(key, parent, replaces)
        path = self._way_back(key)
        self._say(key, *before)
        return path

    def put(self, key: bytes, parent: bytes | None, replaces: Sequence[bytes]) -> set[bytes]:
        """Say of an item which is its product (None, or itself: none), and what it replaces.

        Returns the ids whose variants may be others now. Some 5 µs, and 30 µs more where anything changes.
        """
        parent = None if parent == key else parent
        said = self._parent.get(key), self._replaces.get(key, ())
        if said == (parent, tuple(replaces)):
            concerned = self.stands_for(key)
            return {concerned} if concerned in self._counted else set()
        self._say(key, parent, replaces)
        return self._follow({key, *said[1], *replaces}) | {self.stands_for(key)}

    def _say(
        self, key: bytes, parent: bytes | None, replaces: Sequence[bytes]
    ) -> tuple[bytes | None, tuple[bytes, ...]]:
        """Change what is said of `key`; what was said before."""
        before = self._parent.pop(key, None), self._replaces.pop(key, ())
        if before[0] is not None:
            _discard(self._variants, before[0], key)
        for old in before[1]:
            _discard(self._replaced_by, old, key)
        if parent is not None and parent != key:
            self._parent[key] = parent
            self._variants[parent].add(key)
        if replaces:
            self._replaces[key] = tuple(replaces)
            for old in replaces:
                self._replaced_by[old].add(key)
        return before

    def _links(self, key: bytes) -> list[bytes]:
        """All that is said to stand for `key`, what goes before others first: who replaces it, the first by
        id, then its product."""
        parent = self._parent.get(key)
        return sorted(self._replaced_by.get(key, ())) + ([parent] if parent is not None else [])

    def _way_back(self, key: bytes) -> list[bytes] | None:
        came_from = {link: key for link in reversed(self._links(key))}
        waiting = list(came_from)
        while waiting:
            at = waiting.pop()
            if at == key:
                path = [came_from[key]]
                while path[-1] != key:
                    path.append(came_from[path[-1]])
                return path[::-1]
            for link in self._links(at):
                if link not in came_from:
                    came_from[link] = at
                    waiting.append(link)
        return None

    def _below(self, keys: Iterable[bytes]) -> set[bytes]:
        """`keys`, and all whose links may lead over one of them."""
        found, waiting = set(keys), list(keys)
        while waiting:
            at = waiting.pop()
            for name in (*self._variants.get(at, ()), *self._replaces.get(at, ())):
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found

    def _end(self, key: bytes) -> tuple[bytes, bytes, int]:
        """What stands for an item, under which id it is sold, and how many links away that is."""
        at = sold = key
        links = 0
        while found := self._links(at):
            if sold == at and self._replaced_by.get(at):
                sold, links = found[0], links + 1
            at = found[0]
        return at, sold, links

    def _follow(self, changed: set[bytes]) -> set[bytes]:
        """Bring ids up to date whose links have changed, and what kernels read; the products concerned."""
        facts = self._table.facts
        self.changes += 1
        names = sorted(self._below(changed))
        products: set[bytes] = set()
        heirs: set[bytes] = set()
        for name in names:
            old, new = self._ends.pop(name, (name, name, 0)), self._end(name)
            products |= {old[0], new[0]}
            heirs |= {old[1], new[1]}
            if old[0] != name:
                _discard(self._counted, old[0], name)
            if old[1] != name:
                _discard(self._sold, old[1], name)
            if new[0] != name:
                self._ends[name] = new
                self._counted[new[0]].add(name)
            if new[1] != name:
                self._sold[new[1]].add(name)
        numbers = self._numbers([*names, *products, *heirs])
        for name in names:
            number, was = numbers[name], int(facts.item["stands_for"][numbers[name]])
            counts, sold, _ = self._ends.get(name, (name, name, 0))
            facts.item["stands_for"][number] = numbers[counts] + 1 if counts != name else 0
            facts.mark[number] = ELSEWHERE if counts != name else 0
            facts.renamed[number] = numbers[sold] + 1 if sold != name else 0
            facts.stands[0] += int(counts != name) - int(was > 0)
            if counts != name:
                hand_over(facts, number, numbers[counts])
        for name in {*names, *heirs}:
            facts.also[numbers[name]] = 0
        for heir in heirs:
            self._chain(heir, numbers[heir])
        return products

    def _chain(self, heir: bytes, at: int) -> None:
        """Link the items whose counts are those of `heir`, the latest first."""
        olds = sorted(self._sold.get(heir, ()), key=lambda name: (self._ends[name][2], name))
        if not olds:
            return
        table, first = self._table, at
        for number in table.numbers(b"\0".join(olds), len(olds)).tolist():
            table.facts.also[at] = number + 1
            at = number
        table.facts.also[at] = 0
        publish_again(table.lists_due, table.rows, first)

    def _numbers(self, names: list[bytes]) -> dict[bytes, int]:
        found = self._table.numbers(b"\0".join(names), len(names))
        return dict(zip(names, found.astype(np.int64).tolist(), strict=True))


def _discard(sets: defaultdict[bytes, set[bytes]], key: bytes, name: bytes) -> None:
    sets[key].discard(name)
    if not sets[key]:
        del sets[key]
