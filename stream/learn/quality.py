"""Live quality of the lists: prequential hit rate and reciprocal rank at 20.

Every labelled list was published before the event that labels it, so these are honest test figures
on live traffic (Gama, Sebastião and Rodrigues, 2013).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream.recommend.exposures import MODEL, PLAIN, POPULAR, PUBLISHED

CONTENDERS = {"published": PUBLISHED, "plain": PLAIN, "model": MODEL, "popular": POPULAR}
"""What is compared, by name: the list that went out, the order without the model, the model's order
(also while it is not published), and the most popular items."""

FADE = 0.9995
"""Weight of the past per labelled list: the last 2,000 lists or so decide."""


class Quality:
    """Hits and reciprocal ranks of every contender: since the start, and of late."""

    def __init__(self, lists: int = 0, known: Mapping[str, Mapping[str, float]] | None = None) -> None:
        """`known`: what `as_dict` said after that many lists."""
        self.lists = lists
        rates = np.zeros((len(CONTENDERS), 2))
        for name, k in CONTENDERS.items():
            told = (known or {}).get(name, {})
            rates[k] = told.get("hr@20", 0.0), told.get("mrr@20", 0.0)
        self._total = rates * lists
        self._weight = min(float(lists), 1.0 / (1.0 - FADE))
        self._recent = rates * self._weight

    def update(self, places: NDArray[np.int16]) -> None:
        """Take in the places of some labelled lists, int16 (lists, contenders), -1 = not within 20."""
        hit = places >= 0
        gain = np.stack([hit, hit / (np.maximum(places, 0) + 1.0)], axis=2)
        age = FADE ** np.arange(len(places) - 1, -1, -1.0)
        self.lists += len(places)
        self._total += gain.sum(axis=0)
        self._recent = self._recent * FADE ** len(places) + np.tensordot(age, gain, axes=1)
        self._weight = self._weight * FADE ** len(places) + age.sum()

    def recent_mrr(self, contender: str) -> float:
        """Faded mean reciprocal rank at 20 of one contender."""
        return float(self._recent[CONTENDERS[contender], 1] / max(self._weight, 1e-9))

    def as_dict(self) -> dict[str, dict[str, float]]:
        """``{contender: {"hr@20": ..., "mrr@20": ...}}`` over all labelled lists so far."""
        n = max(self.lists, 1)
        return {
            name: {
                "hr@20": round(float(self._total[k, 0]) / n, 4),
                "mrr@20": round(float(self._total[k, 1]) / n, 4),
            }
            for name, k in CONTENDERS.items()
        }
