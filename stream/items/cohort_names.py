"""What the cohorts are called of which this worker has heard."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stream.cohorts import FIELDS, cohorts
from stream.events import types
from stream.items.cohorts import COHORTS

NAMES_MOST = 2 * COHORTS
"""Names kept; that which came first is forgotten first."""


def hashes(found: Mapping[int, str]) -> NDArray[np.uint32]:
    """Of cohorts by field, as `stream.cohorts.cohorts` finds them, what they are counted by; 0 for none."""
    out = np.zeros(len(FIELDS), np.uint32)
    for k, name in found.items():
        out[k] = zlib.crc32(name.encode()) or 1
    return out


class CohortNames:
    """Names by hash, and what was counted already."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.recalled: set[tuple[int, int]] = set()
        """Partition and bucket of shoppers whose cohorts were counted when they were restored."""

    def told(self, placed: Sequence[tuple[int, types.AnyEvent]], n: int) -> NDArray[np.uint32]:
        """Hashes by row and field of a batch of `n` events, of which `placed` have a context; no rows if none
        has. Some 4 µs for each."""
        out = np.zeros((n if placed else 0, len(FIELDS)), np.uint32)
        for e, event in placed:
            found = cohorts(event.context or {}, isinstance(event, types.Profile))
            out[e] = hashes(found)
            for k, name in found.items():
                self._learn(int(out[e, k]), name)
        return out

    def _learn(self, key: int, name: str) -> None:
        if key not in self.names:
            if len(self.names) >= NAMES_MOST:
                del self.names[next(iter(self.names))]
            self.names[key] = name
