"""The sources of a blended list by name, and what each brings: candidates, and features to rank them by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.errors import SettingsError
from stream.recommend.pool import (
    BOUGHT,
    HOP,
    LAST,
    LED_TO,
    OWNED,
    RECENT,
    SEEN,
    SHARE,
    STEP,
    VISITED,
)

TREND, POPULARITY, CATEGORY, CONTENT, STATED, SEARCHED, COHORT = range(OWNED + 1, OWNED + 8)
"""Numbers of sources that have no column of scores; the others' are their columns'."""

SOURCES = {
    "co-occurrence": SHARE,
    "recent": RECENT,
    "last-item": LAST,
    "markov": STEP,
    "two-hop": HOP,
    "bought-together": BOUGHT,
    "viewed-then-bought": LED_TO,
    "window": VISITED,
    "seen": SEEN,
    "bought-before": OWNED,
    "trending": TREND,
    "popular": POPULARITY,
    "category": CATEGORY,
    "content": CONTENT,
    "stated": STATED,
    "searched": SEARCHED,
    "cohort": COHORT,
}
"""Numbers by name. Those from `co-occurrence` to `markov` have their candidates in common."""


def used(names: Sequence[str] = ()) -> NDArray[np.bool_]:
    """By number, whether a source is used: those named, or all.

    Raises SettingsError for a name that there is not.
    """
    if not names:
        return np.ones(len(SOURCES), np.bool_)
    out = np.zeros(len(SOURCES), np.bool_)
    for name in names:
        if name not in SOURCES:
            raise SettingsError(
                f"there is no source {name!r} of blended lists: choose of {', '.join(SOURCES)}"
            )
        out[SOURCES[name]] = True
    return out
