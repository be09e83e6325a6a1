"""Conditions compiled to steps that jump, and the kernels that run them over items.

Each step is one test, and says where to go on if it holds and if not; `all`, `any` and `not` are in the
jumps, so that what is decided is not asked further (short circuit).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.rules.attributes import AGE_DAYS, DAY_MS, Attributes
from stream.rules.condition import Condition
from stream.state.jit import kernel, long_kernel

YES, NO, NONE = -1, -2, -3
"""Where a program ends; `NONE` stands for no program at all, which holds for everything."""

_TERMS, _NUMBERS, _BELOW, _AT_LEAST = range(4)

STEP = np.dtype(
    [
        ("test", np.uint8),
        ("attribute", np.int32),
        ("bound", np.float64),
        ("first", np.int32),
        ("last", np.int32),
        ("yes", np.int32),
        ("no", np.int32),
    ]
)
"""One test: of `attribute`, against ``values[first:last]`` or `bound`; the next steps."""


class Facts(NamedTuple):
    """What programs read: steps and values of all programs, runs and entries of all items."""

    steps: NDArray[np.void]
    values: NDArray[np.float64]
    runs: NDArray[np.void]
    entries: NDArray[np.void]


class Programs:
    """Compiles conditions, one after the other, into one array of steps."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._steps: list[tuple[int, int, float, int, int, int, int]] = []
        self._values: list[float] = []

    def add(self, condition: Condition | None) -> int:
        """The step at which the program of `condition` begins."""
        return NONE if condition is None else self._add(condition, YES, NO)

    def facts(self) -> Facts:
        """All that was added, with the attributes as they are now."""
        attributes = self._attributes
        return Facts(
            np.array(self._steps, STEP), np.array(self._values, float), attributes.runs, attributes.entries
        )

    def _add(self, condition: Condition, yes: int, no: int) -> int:
        # From the last part to the first: each needs to know where its successor begins.
        if condition.not_ is not None:
            return self._add(condition.not_, no, yes)
        for part in reversed(condition.all_ or []):
            yes = self._add(part, yes, no)
        for part in reversed(condition.any_ or []):
            no = self._add(part, yes, no)
        if condition.all_:
            return yes
        if condition.any_:
            return no
        return self._test(condition, yes, no)

    def _test(self, condition: Condition, yes: int, no: int) -> int:
        attribute = self._attributes.names[condition.attribute or ""]
        if condition.below is not None or condition.at_least is not None:
            below = condition.below is not None
            bound = condition.below if condition.below is not None else condition.at_least
            return self._step(_BELOW if below else _AT_LEAST, attribute, float(bound or 0.0), [], yes, no)
        texts, numbers = [], []
        for value in condition.values:
            if isinstance(value, bool):
                texts.append(self._attributes.term(attribute, "true" if value else "false"))
            elif isinstance(value, str):
                texts.append(self._attributes.term(attribute, value))
            else:
                numbers.append(float(value))
        # What no item can have any more (-1) would be found in every number.
        found = [float(term) for term in texts if term >= 0]
        if numbers:
            no = self._step(_NUMBERS, attribute, 0.0, numbers, yes, no)
        return self._step(_TERMS, attribute, 0.0, found, yes, no) if texts else no

    def _step(self, test: int, attribute: int, bound: float, values: list[float], yes: int, no: int) -> int:
        first = len(self._values)
        self._values += values
        self._steps.append((test, attribute, bound, first, len(self._values), yes, no))
        return len(self._steps) - 1


@kernel
def holds(facts: Facts, begin: int, start: int, size: int, now_ms: int) -> bool:
    """Whether the program that begins at step `begin` holds for the item with these entries; some 5 ns a
    test."""
    at = begin
    while at >= 0:
        step = facts.steps[at]
        found = False
        for e in range(start, start + size):
            entry = facts.entries[e]
            if entry.attribute > step.attribute:
                break
            if entry.attribute == step.attribute:
                if step.test == _TERMS:
                    for v in range(step.first, step.last):
                        found = found or facts.values[v] == entry.term
                else:
                    number = entry.number
                    if entry.attribute == AGE_DAYS:
                        number = (now_ms - number) / DAY_MS
                    if step.test == _NUMBERS:
                        for v in range(step.first, step.last):
                            found = found or facts.values[v] == number
                    elif step.test == _BELOW:
                        found = found or number < step.bound
                    else:
                        found = found or number >= step.bound
        at = step.yes if found else step.no
    return at != NO


@long_kernel
def mark(
    facts: Facts,
    begins: NDArray[np.int64],
    slots: NDArray[np.int64],
    numbers: NDArray[np.int64],
    now_ms: int,
    rows: NDArray[np.uint64],
) -> None:
    """Set bit ``slots[k]``, from the second word on, of ``rows[numbers]`` to whether program ``begins[k]``
    holds."""
    for i in numbers:
        run = facts.runs[i]
        for k in range(len(begins)):
            word = 1 + slots[k] // 64
            bit = np.uint64(1) << np.uint64(slots[k] % 64)
            if holds(facts, begins[k], run.start, run.size, now_ms):
                rows[i, word] |= bit
            else:
                rows[i, word] &= ~bit
