"""A session model made by hand, and a log that a model can be trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.evaluation.log import Step, in_order
from stream.events.types import View
from stream.sources.deep_model import LAYOUT, About
from stream.sources.source import RECENT

DIMENSIONS = 16
CYCLE = 12
"""Items a, b, c, ... of which each is followed by the next."""


def arrays(names: Sequence[str], alike: int = 2, seed: int = 1) -> dict[str, NDArray[Any]]:
    """A model that finds `alike` items in a row near one another, and nothing else."""
    rng = np.random.default_rng(seed)
    d = DIMENSIONS
    groups = rng.normal(size=(len(names) // alike + 1, d))
    vectors = np.repeat(groups, alike, axis=0)[: len(names)] + 0.05 * rng.normal(size=(len(names), d))
    about = About(1_600_000_000_000, 1_600_000_500_000, 50, 40, 3, seed, 0.5)
    return {
        "layout": np.array(LAYOUT),
        "about": np.frombuffer(msgspec.json.encode(about), np.uint8),
        "names": np.frombuffer("".join(names).encode(), np.uint8),
        "ends": np.cumsum([len(name.encode()) for name in names]),
        "vectors": vectors.astype(np.float32),
        "places": np.zeros((RECENT, d), np.float32),
        "recency": np.zeros(RECENT, np.float32),
        "query": np.eye(d, dtype=np.float32),
        "value": np.zeros((d, d), np.float32),
    }


def names(count: int) -> list[str]:
    return [f"item-{k}" for k in range(count)]


def views(sessions: Iterable[Sequence[str]], first: int = 0) -> list[View]:
    """A shopper and a session each, an hour apart."""
    return [
        View(
            event_id=f"{number}-{place}",
            ts=1_600_000_000_000 + 3_600_000 * number + 1000 * place,
            user_id=f"s{number}",
            item_id=item,
        )
        for number, session in enumerate(sessions, first)
        for place, item in enumerate(session)
    ]


def cycle(sessions: int = 300) -> list[View]:
    """Sessions of four items, each the next one of the cycle."""
    return views([[f"item-{(start + k) % CYCLE}" for k in range(4)] for start in range(sessions)])


def steps(events: Iterable[View]) -> list[Step]:
    return in_order(events).steps
