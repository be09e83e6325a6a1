"""How a challenger stands: its ranks and the champion's on the same lists, so far."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

MEASURES = ("hr@20", "mrr@20", "ndcg@20")
CUTOFF = 20

_Z = 1.96
"""Of a 95 % interval."""

_NONE = (0.0, 0.0, 0.0)


class Standing(msgspec.Struct, frozen=True):
    """Sums over `lists` labelled lists, by `MEASURES`: the challenger's, the champion's, and the squares of
    their differences. `at_ms` is when the challenge was written: another one begins anew."""

    at_ms: int
    lists: int = 0
    challenger: tuple[float, ...] = _NONE
    champion: tuple[float, ...] = _NONE
    squares: tuple[float, ...] = _NONE

    def after(self, lists: int, challenger: NDArray[np.int64], champion: NDArray[np.int64]) -> Standing:
        """The standing after `lists` more, of which these are the places (from 0) of what was taken; of those
        without a place it was no candidate, and neither ranked it."""
        mine, theirs = gains(challenger), gains(champion)
        return Standing(
            self.at_ms,
            self.lists + lists,
            _plus(self.challenger, mine.sum(axis=0)),
            _plus(self.champion, theirs.sum(axis=0)),
            _plus(self.squares, ((mine - theirs) ** 2).sum(axis=0)),
        )

    def means(self) -> dict[str, dict[str, float]]:
        """By measure: the `challenger`'s mean, the `champion`'s, and the ends of a 95 % interval of their
        difference over the same lists, `lead_from` and `lead_to`."""
        n = max(self.lists, 1)
        found = {}
        for k, name in enumerate(MEASURES):
            mine, theirs = self.challenger[k] / n, self.champion[k] / n
            lead = mine - theirs
            wide = _Z * math.sqrt(max(self.squares[k] / n - lead * lead, 0.0) / n)
            found[name] = {
                "challenger": round(mine, 4),
                "champion": round(theirs, 4),
                "lead_from": round(lead - wide, 4),
                "lead_to": round(lead + wide, 4),
            }
        return found


def gains(place: NDArray[np.int64]) -> NDArray[np.float64]:
    """By list and measure, what a place from 0 is worth; nothing from `CUTOFF` on."""
    within = place < CUTOFF
    worth = np.stack([np.ones(len(place)), 1.0 / (place + 1.0), 1.0 / np.log2(place + 2.0)], axis=1)
    return np.where(within[:, None], worth, 0.0)


def _plus(before: tuple[float, ...], more: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{a + b:.9g}") for a, b in zip(before, more.tolist(), strict=True))
