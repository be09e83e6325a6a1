"""Segments of shoppers: River's online k-means over their interests and how they spend."""

from __future__ import annotations

from typing import Any

from river import cluster, stats
from river.__version__ import __version__ as RIVER

from stream.errors import LayoutError

SEGMENTS = 8
"""Segments told apart; 0 beside them is for who was not here often enough."""
INTEREST_PLACES = 16
"""Interests are many: each counts for a place of so many, by its number."""
RFM = ("recency", "frequency", "monetary")
FIFTHS = (0.2, 0.4, 0.6, 0.8)
_HALF_LIFE = 0.02
"""What a shopper moves their segment's centre by: it stands for its last fifty or so."""


class Segments:
    """Centres of segments, and quantiles of recency, frequency and money by River's P²."""

    def __init__(self) -> None:
        self._means: Any = cluster.KMeans(
            n_clusters=SEGMENTS, halflife=_HALF_LIFE, mu=0.15, sigma=0.15, seed=1
        )
        self._quantiles = {name: [stats.Quantile(q) for q in FIFTHS] for name in RFM}
        # River draws a coordinate when it is first asked for: all now, in one order.
        for centre in self._means.centers.values():
            for place in range(INTEREST_PLACES + len(RFM)):
                centre[place]

    def fifths(self, values: dict[str, float]) -> tuple[int, ...]:
        """The RFM score: for each value the fifth of all shoppers that it lies in, 1 to 5."""
        return tuple(
            1 + sum(bound is not None and values[name] > bound for bound in (q.get() for q in found))
            for name, found in self._quantiles.items()
        )

    def place(self, interests: dict[int, float], values: dict[str, float]) -> int:
        """Take in a shopper as they are now; their segment, from 1. About 35 µs.

        `interests` are shares by group.
        """
        for name, found in self._quantiles.items():
            for quantile in found:
                quantile.update(values[name])
        x = dict.fromkeys(range(INTEREST_PLACES + len(RFM)), 0.0)
        for group, share in interests.items():
            x[group % INTEREST_PLACES] += share
        for at, fifth in enumerate(self.fifths(values)):
            x[INTEREST_PLACES + at] = (fifth - 1) / (len(FIFTHS) * len(RFM))
        self._means.learn_one(x)
        return 1 + int(self._means.predict_one(x))

    def save(self) -> dict[str, Any]:
        """As plain data. A quantile is the five markers of P² as River packs them."""
        return {
            "river": RIVER,
            "centres": [[c[place] for place in sorted(c)] for _, c in sorted(self._means.centers.items())],
            "quantiles": {
                name: [(bytes(q._quantile.__getstate__()), q._is_updated) for q in found]
                for name, found in self._quantiles.items()
            },
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Become what was saved. Raises `LayoutError` where another River packed it."""
        if saved["river"] != RIVER:
            raise LayoutError(
                f"segments were saved with River {saved['river']} and this is {RIVER}: install the former, "
                "or let them be learned anew"
            )
        for centre, row in zip(self._means.centers.values(), saved["centres"], strict=True):
            centre.update(enumerate(row))
        for name, found in saved["quantiles"].items():
            for quantile, (packed, updated) in zip(self._quantiles[name], found, strict=True):
                quantile._quantile.__setstate__(packed)
                quantile._is_updated = updated
