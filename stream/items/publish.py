"""What the item stage publishes: item-to-item lists, partial popularity, trending lists."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.effects import Message, Values, place, version
from stream.items.catalogue import Catalogue
from stream.items.cohort_lists import CohortLists
from stream.items.due import evidence, pop_lists
from stream.items.joined import new_joined, want_replaced
from stream.items.lists import fill_lists
from stream.items.named_lists import NamedLists
from stream.items.table import ItemTable
from stream.items.unit import ItemUnit
from stream.recommend.candidates import REASONS
from stream.recommend.encode import Writer, new_evidence, new_lists
from stream.recommend.popular import CATEGORY_LEADERS, LEADERS, Partial, Popular, first_of
from stream.recommend.rank import LENGTH

PARTIAL_EVERY_MS = 1_000
"""How often a partition tells its leaders: popularity need not be fresher than a second."""

PARTIALS_SHARE = 8
"""One call asks an eighth of the partitions: each takes 1.4 ms with 6,000 items, and what comes in waits."""

AT_ONCE = 1_024
"""Item lists made by one call: bounds the working memory."""


class Publisher:
    """Turns changed item rows into values. Keeps only what it needs to not repeat itself."""

    def __init__(self, table: ItemTable, catalogue: Catalogue, popular: Popular) -> None:
        self._table = table
        self._catalogue = catalogue
        self._popular = popular
        self._viewed = new_lists(AT_ONCE, LENGTH)
        self._bought = new_lists(AT_ONCE, LENGTH)
        self._evidence = new_evidence(AT_ONCE, LENGTH)
        self._no_evidence = new_evidence(0, 0)
        self._joined = new_joined(1)
        self._writer = Writer(AT_ONCE, LENGTH, REASONS)
        self._told: dict[int, tuple[int, int, int]] = {}
        self._trending = NamedLists("trending")
        self._links = 0
        self._cohorts = CohortLists(table)

    # -- item-to-item lists ----------------------------------------------------------------------

    def items_due(
        self, units: Mapping[int, ItemUnit], limit: int
    ) -> list[tuple[ItemUnit, NDArray[np.int32]]]:
        """Up to `limit` items whose rows changed, by unit, those first whose rows changed much; else the
        oldest change first."""
        rows = self._table.rows
        numbers = pop_lists(self._table.lists_due, rows, min(limit, AT_ONCE))
        # What replaces others has lists before it has a row of its own.
        facts = self._table.facts
        numbers = numbers[
            rows["owned"][numbers] | (facts.also[numbers] > 0) & (facts.item["stands_for"][numbers] == 0)
        ]
        out = []
        for home in np.unique(rows["home"][numbers]).tolist():
            unit = units.get(home - 1)
            if unit is not None:
                out.append((unit, numbers[rows["home"][numbers] == home]))
        return out

    @property
    def many_due(self) -> int:
        """Items of which much more is known than was told last."""
        read, written = self._table.lists_due.soon.ends.tolist()
        return int(written - read)

    def lists_of(self, unit: ItemUnit, numbers: NDArray[np.int32], now_ms: int) -> list[Values]:
        """`similar` and `together` lists of up to `AT_ONCE` items of one unit, where there are any. A variant
        has none, its product does; an old id's list is what other workers join to the new one's."""
        names = self._table.interner.names
        table, facts = self._table, self._table.facts
        numbers = numbers[(facts.item["stands_for"][numbers] == 0) | (facts.renamed[numbers] > 0)]
        fill_lists(
            self._viewed, self._evidence, self._bought, table.rows, facts, names, numbers, self._joined
        )
        for number in numbers[facts.also[numbers] > 0].tolist():
            want_replaced(table.wanted, table.rows, facts, number)
        table.lists_due.told[numbers] = evidence(table.rows, numbers)
        out = []
        for kind, lists, known in (
            ("similar", self._viewed, self._evidence),
            ("together", self._bought, self._no_evidence),
        ):
            some = np.flatnonzero(lists.size[: len(numbers)])
            if not len(some):
                continue
            picked = lists.part(some)
            lineage_ms, offset = place(unit.lineage_ms, unit.position)
            offsets = np.full(len(some), offset, np.int64)
            told = known.part(some) if len(known.events) else known
            values = self._writer.write(picked, len(some), names, lineage_ms, offsets, now_ms, "share", told)
            out.append(Values(kind, self._table.interner.texts(numbers[some]), values))
        return out

    def tell_again(self) -> None:
        """Publish all trending lists and those of cohorts once more, changed or not."""
        self._trending.tell_again()
        self._cohorts.tell_again()

    # -- popularity ------------------------------------------------------------------------------

    def partials(self, units: Mapping[int, ItemUnit], now_ms: int) -> list[Message]:
        """Leaders of own partitions that changed, at most once a second each, the longest untold first."""
        due = []
        for partition, unit in units.items():
            *told, at_ms = self._told.get(partition, (0, -1, -PARTIAL_EVERY_MS))
            news = [unit.lineage_ms, unit.position]
            if not unit.is_empty and news != told and now_ms - at_ms >= PARTIAL_EVERY_MS:
                due.append((at_ms, partition))
        out = []
        for _, partition in sorted(due)[: -(-len(units) // PARTIALS_SHARE)]:
            unit = units[partition]
            self._told[partition] = unit.lineage_ms, unit.position, now_ms
            value = msgspec.json.encode(self._partial(unit))
            out.append(Message("aggregates", b"popular:%d" % partition, value))
        return out

    def _partial(self, unit: ItemUnit) -> Partial:
        rows, table = self._table.rows, self._table
        members = unit.members()
        popular = rows["popular"][members].astype(np.float64) / table.slow.gain(table.clock_ms)
        trending = rows["trending"][members].astype(np.float64) / table.fast.gain(table.clock_ms)
        # Ties by the id's hash: numbers, which differ by worker, must not decide who is told.
        ties = table.interner.names.entries["hash"][members]
        by_popular, by_trending = np.lexsort((ties, -popular)), np.lexsort((ties, -trending))
        categories = table.facts.item["category"][members]
        leading = by_popular[first_of(categories[by_popular], CATEGORY_LEADERS)[0]]
        picked = np.zeros(len(members), np.bool_)
        picked[by_popular[:LEADERS]] = picked[by_trending[:LEADERS]] = picked[leading] = True
        chosen = by_popular[picked[by_popular] & ((popular > 0) | (trending > 0))[by_popular]]
        ids = table.interner.blob(members[chosen]).decode().split("\0") if len(chosen) else []
        return Partial(
            version=version(unit.lineage_ms, unit.position).decode(),
            clock_ms=table.clock_ms,
            total_popular=float(popular.sum()),
            total_trending=float(trending.sum()),
            items=ids,
            popular=[round(x, 6) for x in popular[chosen].tolist()],
            trending=[round(x, 6) for x in trending[chosen].tolist()],
        )

    def trending(self, units: Mapping[int, ItemUnit], now_ms: int) -> list[Values]:
        """Merge what the partitions told; the owner of partition 0 publishes the lists that changed, and
        those of its cohorts."""
        if self._links != self._catalogue.stand_ins.changes:
            self._links = self._catalogue.stand_ins.changes
            self._popular.again()
        merged = self._popular.merge(now_ms)
        owner = units.get(0)
        if owner is None:
            self._cohorts.tell_again()
            return []
        of_cohorts = self._cohorts.due(owner, now_ms)
        if not merged:
            return of_cohorts
        lists: dict[bytes, list[tuple[bytes, float]]] = {name: [] for name in self._trending.names}
        lists |= {
            self._catalogue.categories.name(category): entries
            for category, entries in self._popular.trending_by_category.items()
        }
        # Last: a category that is called so does not hide what is trending in the whole shop.
        lists[b"all"] = self._popular.trending
        as_of = version(owner.lineage_ms, owner.position)
        return self._trending.changed(lists.items(), as_of, now_ms) + of_cohorts
