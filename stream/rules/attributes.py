"""Attributes of the catalogue's items, by item number, as kernels read them: one run of entries an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from stream.events.decode import to_ms
from stream.events.types import Item
from stream.state.arena import reserve
from stream.state.jit import kernel

DAY_MS = 86_400_000

NUMBERS = frozenset({"price", "cost", "stock", "margin", "age_days"})
"""Attributes that are numbers, whatever the catalogue says."""

TEXTS = frozenset({"category", "brand", "price_band", "parent_id", "tags"})
"""Attributes that are texts."""

BUILT_IN = (
    "category", "brand", "price_band", "parent_id", "tags", "price", "cost", "stock", "margin", "age_days",
)  # fmt: skip
"""Attributes that every catalogue has, by number; those that items name follow."""

CATEGORY, BRAND, PRICE_BAND, PARENT_ID, TAGS, PRICE, COST, STOCK, MARGIN, AGE_DAYS = range(len(BUILT_IN))

MAX_NAMED = 256
"""Names of attributes told apart beside those; further ones are left out. No shop filters by so many."""

MAX_TERMS = 1 << 18
"""Pairs of attribute and text told apart; items go without further ones. A dictionary entry is some 150
bytes."""

ENTRY = np.dtype([("attribute", np.int32), ("term", np.int32), ("number", np.float64)])
"""One value, those of an item in the order of attributes: attribute, term (a pair of attribute and text; -1
for a number), number (NaN for a text)."""

RUN = np.dtype([("start", np.int64), ("size", np.int64)])
"""Where the entries of an item lie."""

_FIRST_ENTRIES = 1 << 12

_BY_ATTRIBUTE = itemgetter(0)


class Attributes:
    """Values by item number. The arrays are replaced when they grow: `entries` is to be read anew after
    `put`.

    `price` is the list price, `margin` the part of it that is not cost, (price - cost) / price. `age_days`
    is kept as the time, epoch ms, when the item became available; also in `available_ms` (0: unknown).
    """

    def __init__(self, capacity: int) -> None:
        self.names = {name: number for number, name in enumerate(BUILT_IN)}
        self.runs: NDArray[np.void] = reserve(capacity, RUN)
        self.entries: NDArray[np.void] = np.zeros(_FIRST_ENTRIES, ENTRY)
        self.available_ms: NDArray[np.int64] = reserve(capacity, np.int64)
        self.left_out = 0
        """Values that items have and rules do not see, because there are too many names or terms."""
        self._terms: dict[tuple[int, str], int] = {}
        self._end = 0

    def term(self, attribute: int, text: str) -> int:
        """Number of a pair, given to it now if it has none; -1 if there are too many."""
        known = self._terms.get((attribute, text))
        if known is None:
            if len(self._terms) >= MAX_TERMS:
                return -1
            known = self._terms[attribute, text] = len(self._terms)
        return known

    def put(self, numbers: Sequence[int], facts: Sequence[Item | None], used: int) -> None:
        """Set what is known of items (None: nothing any more); about 5 µs each. `used`: item numbers ever
        given out."""
        attribute: list[int] = []
        term: list[int] = []
        value: list[float] = []
        sizes = []
        for number, item in zip(numbers, facts, strict=True):
            before = len(attribute)
            self.available_ms[number] = 0
            if item is not None:
                for entry in sorted(self._entries(item), key=_BY_ATTRIBUTE):
                    attribute.append(entry[0])
                    term.append(entry[1])
                    value.append(entry[2])
                if item.available_from is not None:
                    self.available_ms[number] = to_ms(item.available_from)
            sizes.append(len(attribute) - before)
        count = len(attribute)
        runs = self.runs
        runs["size"][list(numbers)] = 0
        # One entry is always spare: the run of an item without any may begin where the last one ends.
        if self._end + count >= len(self.entries):
            self._grow(count, used)
        new = self.entries[self._end : self._end + count]
        new["attribute"], new["term"], new["number"] = attribute, term, value
        ends = self._end + np.cumsum(sizes, dtype=np.int64)
        runs["start"][list(numbers)] = ends - sizes
        runs["size"][list(numbers)] = sizes
        self._end += count

    def _grow(self, count: int, used: int) -> None:
        """Make room for `count` entries, and leave behind what no run holds."""
        live = int(self.runs["size"][:used].sum())
        entries = np.zeros(max(_FIRST_ENTRIES, 2 * (live + count)), ENTRY)
        self._end = _compact(self.runs, used, self.entries, entries)
        self.entries = entries

    def _entries(self, item: Item) -> Iterator[tuple[int, int, float]]:
        for attribute, text in (
            (CATEGORY, item.category),
            (BRAND, item.brand),
            (PRICE_BAND, item.price_band),
            (PARENT_ID, item.parent_id),
        ):
            if text:
                yield from self._text(attribute, text)
        for label in item.labels:
            yield from self._text(TAGS, label)
        price, cost = item.list_price, item.cost
        if price is not None:
            yield PRICE, -1, price
        if cost is not None:
            yield COST, -1, cost
        if item.stock is not None:
            yield STOCK, -1, float(item.stock)
        if price and cost is not None:
            yield MARGIN, -1, (price - cost) / price
        if item.available_from is not None:
            yield AGE_DAYS, -1, float(to_ms(item.available_from))
        for name, value in item.attributes.items():
            number = self._named(name)
            if number < 0:
                self.left_out += 1
            elif isinstance(value, bool):
                yield from self._text(number, "true" if value else "false")
            elif isinstance(value, int | float):
                yield number, -1, float(value)
            else:
                for text in [value] if isinstance(value, str) else value:
                    yield from self._text(number, text)

    def _text(self, attribute: int, text: str) -> Iterator[tuple[int, int, float]]:
        term = self.term(attribute, text)
        if term < 0:
            self.left_out += 1
        else:
            yield attribute, term, np.nan

    def _named(self, name: str) -> int:
        if name not in self.names:
            if len(self.names) >= len(BUILT_IN) + MAX_NAMED:
                return -1
            self.names[name] = len(self.names)
        return self.names[name]


@kernel
def _compact(runs: NDArray[np.void], used: int, entries: NDArray[np.void], out: NDArray[np.void]) -> int:
    """Copy what runs hold; where it ends."""
    at = 0
    for i in range(used):
        run = runs[i]
        start = run.start
        run.start = at
        for e in range(start, start + run.size):
            out[at].attribute = entries[e].attribute
            out[at].term = entries[e].term
            out[at].number = entries[e].number
            at += 1
    return at
