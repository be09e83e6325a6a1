"""The best list that anybody could give."""

from __future__ import annotations

import numpy as np

from stream.simulate.browsing import Browsing, Visit
from stream.simulate.scores import OracleScore
from stream.simulate.tastes import Shopper

LIST_LENGTH = 20


class Oracle:
    """Knows tastes, intents and the transition structure; of the next choice only the odds.

    No list has a higher expected hit rate, because it holds the k items of the highest odds.
    """

    def __init__(self, browsing: Browsing) -> None:
        self._browsing = browsing
        self._every = 0
        self._countdown = 0
        self.score = OracleScore()

    def ranked(self, shopper: Shopper, visit: Visit | None, k: int = LIST_LENGTH) -> list[int]:
        """Numbers of the `k` items with the highest odds to be viewed next, best first."""
        if visit is None:
            odds = self._browsing.odds(shopper, None, None, set())
        else:
            odds = self._browsing.odds(shopper, visit.intent, visit.current, visit.seen)
        best = np.argsort(-odds, kind="stable")[:k]
        ranked: list[int] = best[odds[best] > 0.0].tolist()
        return ranked

    def watch(self, every: int) -> None:
        """Score the oracle itself before every `every`-th view from now on; 0 stops it."""
        self._every = self._countdown = every
        self.score = OracleScore()

    def due(self) -> bool:
        """Whether the coming view is one to score."""
        if not self._every:
            return False
        self._countdown -= 1
        if self._countdown:
            return False
        self._countdown = self._every
        return True
