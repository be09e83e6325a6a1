"""What each cohort takes, as published: for apps to show to somebody of whom nothing is known yet."""

from __future__ import annotations

import numpy as np

from stream.effects import Values, place, version
from stream.items.cohorts import find
from stream.items.named_lists import NamedLists
from stream.items.table import ItemTable
from stream.items.unit import ItemUnit

EVERY_MS = 10_000
"""How often all lists of cohorts are looked at: what a cohort takes changes slowly."""

AT_ONCE = 32
"""Cohorts that one call looks at, 60 µs each."""

LEAST_WEIGHT = 20.0
"""Views of late that a cohort must have for a list of its own."""


class CohortLists:
    """The lists of one worker's cohorts, and what of them was told."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._lists = NamedLists("cohort")
        self._left: list[tuple[int, str]] = []
        self._next_ms = 0
        self._position = -1

    def tell_again(self) -> None:
        """Publish all of them once more, also those that are what was told last."""
        self._lists.tell_again()

    def due(self, owner: ItemUnit, now_ms: int) -> list[Values]:
        """Lists that changed of the cohorts whose turn it is, with versions of the unit `owner`."""
        if not self._left and now_ms >= self._next_ms and owner.position != self._position:
            self._next_ms = now_ms + EVERY_MS
            self._left = list(self._table.cohort_names.names.items())
            self._lists.forget_others(name.encode() for _, name in self._left)
        if not self._left:
            return []
        some, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
        self._position = owner.position
        as_of = version(*place(owner.lineage_ms, owner.position))
        found = ((name.encode(), self._list(key)) for key, name in some)
        return [each._replace(topic=False) for each in self._lists.changed(found, as_of, now_ms)]

    def _list(self, key: int) -> list[tuple[bytes, float]]:
        """Items of a cohort that may be shown, the heaviest first, and their shares of its events."""
        table, facts = self._table, self._table.facts
        cohorts, at = facts.cohorts, find(facts.cohorts, key)
        if at < 0 or cohorts.total[at] < LEAST_WEIGHT * cohorts.one[0]:
            return []
        numbers, _ = table.standing(cohorts.item[at] - 1)
        share = cohorts.weight[at] / cohorts.total[at]
        known = np.flatnonzero((numbers >= 0) & ~facts.item["withdrawn"][np.maximum(numbers, 0)])
        # Ties by the id's hash: numbers differ by worker.
        ties = table.interner.names.entries["hash"][numbers[known]]
        order = known[np.lexsort((ties, -share[known]))]
        _, first = np.unique(numbers[order], return_index=True)
        order = order[np.sort(first)]
        names = [table.interner.name(number) for number in numbers[order].tolist()]
        return list(zip(names, share[order].tolist(), strict=True))
