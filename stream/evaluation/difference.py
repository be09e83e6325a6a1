"""How two sides' lists of the same log differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from stream.effects import Effects
from stream.evaluation.prequential import Feed
from stream.events.types import AnyEvent, Item

DEPTHS = (5, 10, 20)

PERSISTENCE = 0.9
"""Of rank-biased overlap: the first ten places have 86 % of its weight."""

MOVED = 10
"""Items told that gain most, and as many that lose most."""

EXAMPLES = 3


class _List(msgspec.Struct):
    items: list[str]


_list = msgspec.json.Decoder(_List).decode


class Through:
    """A feed behind which another does all the work: for those that look at what it publishes."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def item(self, item: Item) -> None:
        """See `Feed`."""
        self._feed.item(item)

    def event(self, event: AnyEvent) -> int:
        """See `Feed`."""
        return self._feed.event(event)

    def freeze(self) -> None:
        """See `Feed`."""
        self._feed.freeze()

    def flush(self) -> Effects:
        """See `Feed`."""
        return self._feed.flush()


class Watched(Through):
    """A feed, and what it publishes; some 5 µs a list."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.last: dict[str, tuple[str, ...]] = {}
        """By shopper, the list last published."""
        self.shown: Counter[str] = Counter()
        """By item, how many published lists it was in."""

    def flush(self) -> Effects:
        """See `Feed`."""
        effects = super().flush()
        for values in effects.values:
            if values.kind == "recs":
                for shopper, value in zip(values.ids, values.values, strict=True):
                    items = tuple(_list(value).items)
                    self.shown.update(items)
                    self.last[shopper.decode()] = items
        return effects


class Example(NamedTuple):
    """A shopper's last lists."""

    shopper: str
    now: tuple[str, ...]
    other: tuple[str, ...]


class Difference(NamedTuple):
    """What becomes of everybody's last list, and of all that was published."""

    shoppers: int
    differ: float
    """Share of shoppers whose last lists are not the same."""
    overlap: dict[str, float]
    """By depth, the mean share that the first places have in common."""
    rbo: float
    """Mean rank-biased overlap."""
    gain: dict[str, float]
    lose: dict[str, float]
    """By item, by how much its share of all places changes."""
    examples: list[Example]
    """Shoppers whose lists have least in common."""


def difference(now: Watched, other: Watched) -> Difference:
    """Compare what two sides published; some 50 µs a shopper."""
    shoppers = sorted(now.last.keys() | other.last.keys())
    pairs = [Example(shopper, now.last.get(shopper, ()), other.last.get(shopper, ())) for shopper in shoppers]
    alike = [rbo(each.now, each.other) for each in pairs]
    n = max(len(pairs), 1)
    farthest = sorted(range(len(pairs)), key=lambda k: alike[k])[:EXAMPLES]
    moved = _moved(now.shown, other.shown)
    return Difference(
        shoppers=len(pairs),
        differ=sum(each.now != each.other for each in pairs) / n,
        overlap={f"@{k}": sum(overlap(each.now, each.other, k) for each in pairs) / n for k in DEPTHS},
        rbo=sum(alike) / n,
        gain=dict([(item, by) for item, by in moved if by > 0][:MOVED]),
        lose=dict([(item, by) for item, by in moved[::-1] if by < 0][:MOVED]),
        examples=[pairs[k] for k in farthest if pairs[k].now != pairs[k].other],
    )


def _moved(now: Mapping[str, int], other: Mapping[str, int]) -> list[tuple[str, float]]:
    """Changes of items' shares, those that gain most first."""
    places, others = max(sum(now.values()), 1), max(sum(other.values()), 1)
    by = {item: other.get(item, 0) / others - now.get(item, 0) / places for item in now.keys() | other.keys()}
    return sorted(by.items(), key=lambda each: (-each[1], each[0]))


def overlap(one: Sequence[str], two: Sequence[str], depth: int) -> float:
    """Share of the first `depth` places, or of as many as the longer list has, that both have in common."""
    first, second = one[:depth], two[:depth]
    longer = max(len(first), len(second))
    return len(set(first) & set(second)) / longer if longer else 1.0


def rbo(one: Sequence[str], two: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """Rank-biased overlap, extrapolated, of lists that may be of different lengths (Webber, Moffat and
    Zobel, 2010, equation 32): 1 for equal lists, 0 for such that have nothing in common."""
    short, long = sorted((one, two), key=len)
    s, n, p = len(short), len(long), persistence
    if not s:
        return 1.0 if not n else 0.0
    seen, in_short, in_long = 0, set[str](), set[str]()
    total, at_s = 0.0, 0
    for d in range(1, n + 1):
        in_long.add(long[d - 1])
        seen += long[d - 1] in in_short
        if d <= s:
            in_short.add(short[d - 1])
            seen += short[d - 1] in in_long
            at_s = seen
        total += seen / d * p**d
        if d > s:
            total += at_s * (d - s) / (s * d) * p**d
    return (1 - p) / p * total + ((seen - at_s) / n + at_s / s) * p**n
