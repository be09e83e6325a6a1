"""Items that rules hide, by scenario: one bit each in a word of flags an item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from stream.rules.matches import HIDDEN, Matches
from stream.rules.rule import Hide, Rule, Unhide


def in_force(rule: Rule, now_ms: int) -> bool:
    """Whether a rule holds at `now_ms`."""
    return (rule.from_ms is None or rule.from_ms <= now_ms) and (
        rule.until_ms is None or now_ms < rule.until_ms
    )


def hidden_in(rules: Iterable[Rule], scenarios: Mapping[str, int], now_ms: int) -> int:
    """Bits of the scenarios in which an item is hidden by `rules`, all about it. At equal priority hiding
    wins, so the order of the rules does not matter."""
    strongest: dict[int, tuple[int, bool]] = {}
    for rule in rules:
        if in_force(rule, now_ms):
            strength = (rule.priority, isinstance(rule, Hide))
            for name in scenarios if rule.scenarios is None else rule.scenarios:
                bit = scenarios[name]
                strongest[bit] = max(strength, strongest.get(bit, strength))
    return sum(1 << bit for bit, (_, hides) in strongest.items() if hides)


class Hidden:
    """`hide` and `unhide` by item, and what follows from them."""

    def __init__(self, matches: Matches, scenarios: Mapping[str, int]) -> None:
        self._matches = matches
        self._scenarios = scenarios
        self._rules: dict[int, dict[bytes, Rule]] = {}
        self._timed: set[int] = set()
        self._count = [0] * len(scenarios)

    def any_in(self, scenario: int) -> bool:
        """Whether anything is hidden in a scenario."""
        return self._count[scenario] > 0

    def put(self, key: bytes, item: int, rule: Hide | Unhide, now_ms: int) -> None:
        """Add a rule about `item`, a number; some 2 µs."""
        self._rules.setdefault(item, {})[key] = rule
        self.update(item, now_ms)

    def drop(self, key: bytes, item: int, now_ms: int) -> None:
        """Take a rule away."""
        self._rules.get(item, {}).pop(key, None)
        self.update(item, now_ms)

    def pass_time(self, now_ms: int) -> None:
        """Look again at all items whose rules begin or end."""
        for item in sorted(self._timed):
            self.update(item, now_ms)

    def update(self, item: int, now_ms: int) -> None:
        """Set an item's flags by the rules about it."""
        rules = self._rules.get(item, {})
        if any(rule.from_ms is not None or rule.until_ms is not None for rule in rules.values()):
            self._timed.add(item)
        else:
            self._timed.discard(item)
        flags = self._matches.flags
        before = int(flags[item] & HIDDEN)
        after = hidden_in(rules.values(), self._scenarios, now_ms)
        flags[item] = (flags[item] & ~HIDDEN) | np.uint64(after)
        for bit in range(len(self._count)):
            self._count[bit] += (after >> bit & 1) - (before >> bit & 1)
        if not rules:
            self._rules.pop(item, None)
