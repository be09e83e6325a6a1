"""All items one worker knows: its own partitions' rows, copies of others', and mere names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.items.cohort_names import CohortNames
from stream.items.cooccurrence import rescale
from stream.items.due import new_due, new_lists_due, new_wanted
from stream.items.facts import new_facts
from stream.items.facts import rescale as rescale_facts
from stream.items.row import BUCKETS, ITEM
from stream.state.arena import reserve
from stream.state.decay import Decay
from stream.state.hashing import murmur2
from stream.state.interner import Interner, Names, require_room
from stream.state.jit import kernel

DAY_MS = 86_400_000.0

MIN_ITEMS = 8 * BUCKETS
"""Rows that every partition may hold, whatever the cap."""

NAMES_PER_ROW = 4
"""Numbers for each row under the cap: under steady churn of items about two are held by neighbours alone."""


class ItemTable:
    """Rows by number, the interner behind the numbers, and the three half-lives of all sums.

    slow: co-occurrence and popularity, 30 days (every edge keeps a recent sum too, and the learner weighs
    both); fast: trending, 6 hours; demand at a price, 60 days (a price sensitivity lasts seasons).
    """

    def __init__(self, max_items: int, partitions: int) -> None:
        # Rows, windows and histories also name items whose own rows are gone, or another worker's.
        max_items = NAMES_PER_ROW * max(max_items, MIN_ITEMS * partitions)
        self.interner = Interner(max_items)
        self.rows: NDArray[np.void] = reserve(max_items, ITEM)
        self.facts = new_facts(max_items)
        self.cohort_names = CohortNames()
        self.partitions = partitions
        self.slow = Decay(30 * DAY_MS)
        self.fast = Decay(DAY_MS / 4)
        self.demand = Decay(60 * DAY_MS)
        self.clock_ms = -1
        self.lists_due = new_lists_due(max_items)
        self.price_due = new_due(max_items)
        self.wanted = new_wanted(max_items)

    def numbers(self, blob: bytes, count: int) -> NDArray[np.int32]:
        """Numbers of `count` NUL-separated ids (-1 for an empty one), each with its home partition.

        Raises `StreamError` when the table is full: the sweep runs before that can happen.
        """
        numbers = self.interner.intern(blob, count)
        if len(self.interner) >= self.interner.capacity:
            empty = blob.split(b"\0").count(b"") if count else 0
            require_room(-int(np.count_nonzero(numbers < 0) > empty), "item", "max_items")
        _settle(self.rows, self.interner.names, numbers, self.partitions)
        return numbers

    def standing(self, numbers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """By item number (-1: none): the one under which it counts, and the one under which it is sold.

        They differ for a variant, which counts as its product. Nothing where no item stands for another, else
        some 20 ns a number.
        """
        facts = self.facts
        if not facts.stands[0]:
            return numbers, numbers
        known = np.maximum(numbers, 0)
        other, sold = facts.item["stands_for"][known], facts.renamed[known]
        return (
            np.where((numbers >= 0) & (other > 0), other - 1, numbers).astype(np.int32),
            np.where((numbers >= 0) & (sold > 0), sold - 1, numbers).astype(np.int32),
        )

    def advance(self, clock_ms: int) -> None:
        """Let event time pass: landmarks follow, once in 64 half-lives, without changing a value."""
        if clock_ms > self.clock_ms:
            self.clock_ms = clock_ms
            self.reach(clock_ms)

    def reach(self, ts_ms: int) -> None:
        """See that sums can hold what happens at `ts_ms`, which the items have not heard of yet."""
        factors = [decay.advance(ts_ms) for decay in (self.slow, self.fast, self.demand)]
        if any(factor != 1.0 for factor in factors):
            rescale(self.rows, self.interner.used, *factors)
            rescale_facts(self.facts, self.interner.used, factors[0])
            self.lists_due.told[: self.interner.used] *= np.float32(factors[0])

    def drop(self, numbers: NDArray[np.int32]) -> None:
        """Forget the counts of items."""
        kept = {
            name: self.rows[name][numbers] for name in ("home", "bucket", "lists_due", "price_due", "wanted")
        }
        self.rows[numbers] = np.zeros(1, ITEM)[0]
        self.lists_due.told[numbers] = 0.0
        for name, values in kept.items():
            self.rows[name][numbers] = values


@kernel
def _settle(rows: NDArray[np.void], names: Names, numbers: NDArray[np.int32], partitions: int) -> None:
    """Compute home and bucket of items that have none yet."""
    for number in numbers:
        if number >= 0 and rows[number].home == 0:
            entry = names.entries[number]
            row = rows[number]
            row.home = murmur2(names.arena, entry.start, entry.start + entry.length) % partitions + 1
            row.bucket = entry.hash >> np.uint64(58)


assert BUCKETS == 1 << (64 - 58)
