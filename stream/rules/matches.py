"""Which items fulfil which rule's condition: a row of bits an item, brought up to date in the least steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.rules.attributes import AGE_DAYS, BUILT_IN, Attributes
from stream.rules.condition import Condition, tests
from stream.rules.plan import MAX_RULES
from stream.rules.program import NONE, Facts, Programs, holds, mark
from stream.state.arena import reserve

KNOWN = np.uint64(1 << 63)
"""The flag of an item that is in the catalogue. The lower bits: hidden in the scenario of that number."""

HIDDEN = np.uint64((1 << 62) - 1)


class Matches:
    """Conditions by rule, and a bit for each item and rule. `slots`: the bit of a rule.

    `rows`: the flags of an item, then a word for every 64 rules there ever were at once: one line of a cache
    tells all. `default` is the row of an item of which nothing is known. All may be other arrays after
    `refresh`.
    """

    def __init__(self, attributes: Attributes, capacity: int) -> None:
        self.slots: dict[bytes, int] = {}
        self.facts: Facts = Programs(attributes).facts()
        self.rows: NDArray[np.uint64] = reserve(capacity * 2, np.uint64).reshape(capacity, 2)
        self.default = np.zeros((1, 2), np.uint64)
        self._attributes = attributes
        self._capacity = capacity
        self._conditions: dict[bytes, tuple[Condition | None, Condition | None]] = {}
        self._begins: dict[bytes, tuple[int, int]] = {}
        self._stale: set[bytes] = set()
        self._recompile = False

    @property
    def flags(self) -> NDArray[np.uint64]:
        """A view of the first word of all rows."""
        return self.rows[:, 0]

    def put(self, key: bytes, where: Condition | None, context: Condition | None) -> int:
        """Add a rule, which is not among them; its slot."""
        slot = min(set(range(MAX_RULES)).difference(self.slots.values()))
        self.slots[key] = slot
        self._conditions[key] = where, context
        self._stale.add(key)
        self._recompile = True
        return slot

    def drop(self, key: bytes) -> None:
        """Take a rule away."""
        del self.slots[key], self._conditions[key]
        self._stale.discard(key)
        self._recompile = True

    def begin_of_context(self, key: bytes) -> int:
        """Where the program of a rule's context begins in ``facts.steps``."""
        return self._begins[key][1]

    def grow_older(self) -> bool:
        """Look at conditions on age again, all of them; whether there are any."""
        aged = [key for key, (where, _) in self._conditions.items() if where and _asks_age(where)]
        self._stale.update(aged)
        return bool(aged)

    def refresh(self, changed: NDArray[np.int64], used: int, now_ms: int) -> None:
        """Bring all up to date: rules that are new or older over all items known, the others over those
        that `changed`. 4 ms a rule for 200,000 items, in which what one rule costs beside many is 3 ms."""
        if self._recompile:
            self._compile(used)
        elif len(changed):
            self.facts = self.facts._replace(entries=self._attributes.entries)
        if self._stale:
            known = np.flatnonzero(self.rows[:used, 0] & KNOWN)
            self._mark(self._stale, known, now_ms)
            self._mark_default(now_ms)
            self._stale.clear()
        if len(changed):
            self._mark(self.slots, changed, now_ms)

    def _compile(self, used: int) -> None:
        programs = Programs(self._attributes)
        self._begins = {
            key: (programs.add(where), programs.add(context))
            for key, (where, context) in sorted(self._conditions.items())
        }
        self.facts = programs.facts()
        self._recompile = False
        words = self.rows.shape[1] - 1
        while 64 * words <= max(self.slots.values(), default=0):
            words *= 2
        if words > self.rows.shape[1] - 1:
            flags = self.flags[:used]
            self.rows = reserve(self._capacity * (1 + words), np.uint64).reshape(self._capacity, 1 + words)
            self.rows[:used, 0] = flags
            self.default = np.zeros((1, 1 + words), np.uint64)
            self._stale.update(self.slots)

    def _mark(self, keys: Iterable[bytes], numbers: NDArray[np.int64], now_ms: int) -> None:
        begins = {key: self._begins[key][0] for key in keys if self._begins[key][0] != NONE}
        if begins:
            slots = np.array([self.slots[key] for key in begins], np.int64)
            mark(self.facts, np.array(list(begins.values()), np.int64), slots, numbers, now_ms, self.rows)

    def _mark_default(self, now_ms: int) -> None:
        self.default[:] = 0
        for key, slot in self.slots.items():
            begin = self._begins[key][0]
            if begin != NONE and holds(self.facts, begin, 0, 0, now_ms):
                self.default[0, 1 + slot // 64] |= np.uint64(1 << slot % 64)


def conditions_of(rule: Any) -> tuple[Condition | None, Condition | None]:
    """The `where` and the `context` of a rule, None where it has none."""
    return getattr(rule, "where", None), getattr(rule, "context", None)


def _asks_age(condition: Condition) -> bool:
    return any(test.attribute == BUILT_IN[AGE_DAYS] for test in tests(condition))
