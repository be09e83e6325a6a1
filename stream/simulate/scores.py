"""How the simulated shop was served: lists against views, prices against optima."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class RankScore:
    """Hits and reciprocal ranks of lists of 20 made before the view that they are scored by."""

    scored: int = 0
    hits: int = 0
    reciprocal_ranks: float = 0.0

    def add(self, ranked: list[int], item: int) -> None:
        self.scored += 1
        if item in ranked:
            self.hits += 1
            self.reciprocal_ranks += 1.0 / (1 + ranked.index(item))

    @property
    def hit_rate(self) -> float:
        return self.hits / self.scored if self.scored else 0.0

    @property
    def mrr(self) -> float:
        return self.reciprocal_ranks / self.scored if self.scored else 0.0


@dataclass(slots=True)
class OracleScore:
    """How the oracle's lists fared, apart for views that open a visit and for those that follow."""

    opening: RankScore = field(default_factory=RankScore)
    following: RankScore = field(default_factory=RankScore)


@dataclass(frozen=True, slots=True)
class PriceProgress:
    """Of `items` that were seen often enough, `towards` have a price nearer their optimum than listed."""

    items: int
    towards: int
