"""Measures of ranked lists, by the names of the literature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.evaluation.prequential import CUTOFF, MISSED, Scores

AT = (5, 10, CUTOFF)
RESAMPLES = 400
"""Of the bootstrap: an interval's ends are then right to a tenth of its width or so."""
_SEED = 1
_AT_ONCE = 50

Interval = tuple[float, float]


def gains(rank: NDArray[np.int16], at: int) -> dict[str, NDArray[np.float64]]:
    """By measure, what each event adds to the mean.

    One item is right, so the hit rate is also the recall. hr: it is among the first `at`; mrr: the reciprocal
    of its place; ndcg: 1 / log2(place + 1) (Järvelin and Kekäläinen, 2002), of which 1 is the best.
    """
    hit = (rank != MISSED) & (rank < at)
    place = np.where(hit, rank, 0) + 1.0
    return {f"hr@{at}": hit * 1.0, f"mrr@{at}": hit / place, f"ndcg@{at}": hit / np.log2(place + 1.0)}


def means(rank: NDArray[np.int16]) -> dict[str, float]:
    """Every measure at every length of `AT`."""
    return {
        name: round(float(gain.mean()), 5) for at in AT for name, gain in gains(rank, at).items() if len(rank)
    }


def intervals(scores: Scores) -> dict[str, Interval]:
    """95 % intervals of the measures at `CUTOFF`."""
    return bootstrap(scores.shopper, gains(scores.rank, CUTOFF))


def leads(scores: Scores, other: Scores) -> dict[str, Interval]:
    """95 % intervals of how far these are above others of the same events, by each measure at `CUTOFF`.

    Events are paired, so what makes an event hard for both does not widen them.
    """
    theirs = gains(other.rank, CUTOFF)
    return bootstrap(scores.shopper, {n: gain - theirs[n] for n, gain in gains(scores.rank, CUTOFF).items()})


def bootstrap(shopper: NDArray[np.int32], found: Mapping[str, NDArray[np.float64]]) -> dict[str, Interval]:
    """95 % intervals of means, by a Poisson bootstrap over shoppers (Chamandy et al., 2012): events of one
    are not independent."""
    sums = np.stack([np.bincount(shopper), *(np.bincount(shopper, gain) for gain in found.values())])
    rng = np.random.default_rng(_SEED)
    ratios = []
    for _ in range(RESAMPLES // _AT_ONCE):
        total = rng.poisson(1.0, (_AT_ONCE, sums.shape[1])) @ sums.T
        ratios.append(total[:, 1:] / np.maximum(total[:, :1], 1))
    ends = np.quantile(np.concatenate(ratios), (0.025, 0.975), axis=0).T.round(5).tolist()
    return {name: (low, high) for name, (low, high) in zip(found, ends, strict=True)}


def segments(scores: Scores) -> dict[str, dict[str, float]]:
    """Hit rate and reciprocal rank at `CUTOFF` of parts of the events, and how many those are."""
    parts = {
        "new shoppers": ~scores.known,
        "known shoppers": scores.known,
        "head items": scores.head,
        "tail items": ~scores.head,
    }
    names = (f"hr@{CUTOFF}", f"mrr@{CUTOFF}")
    return {
        part: {"scored": int(mask.sum())} | {name: means(scores.rank[mask])[name] for name in names}
        for part, mask in parts.items()
        if mask.any()
    }


def report(scores: Scores) -> dict[str, Any]:
    """All of it, as `stream evaluate recs` prints it."""
    shown = scores.shown.total()
    return {
        **means(scores.rank),
        "intervals": intervals(scores),
        "segments": segments(scores),
        "coverage": round(len(scores.shown) / scores.items, 5),
        "head_share": round(scores.shown_head / shown, 5) if shown else None,
        "diversity": round(float(scores.diversity.mean()), 5) if len(scores.diversity) else None,
        "scored": len(scores.rank),
        "events": scores.events,
        "events_per_s": round(scores.events / scores.seconds, 1),
    }
