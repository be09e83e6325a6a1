"""Published values made again from state, for a Redis that has lost them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.effects import Values
from stream.engine import Engine
from stream.shoppers.describe import shoppers_of

CHUNK = 200
"""Items or shoppers of one step: some milliseconds of work."""

Make = Callable[[int, NDArray[np.int32], int], list[Values]]
"""Values of some numbers of a partition, at a time."""


class Walk(NamedTuple):
    """What is left of a walk over rows, each a partition and a number. At each step `make` makes the values
    of `at_once` of them, of those whose partition `units` holds."""

    places: NDArray[np.void]
    at_once: int
    make: Make
    units: Container[int]

    def step(self, now_ms: int) -> list[Values]:
        """The values whose turn it is."""
        values: list[Values] = []
        for partition, numbers in _parts(self.places[: self.at_once]):
            if partition in self.units:
                values += self.make(partition, numbers, now_ms)
        return values

    def rest(self) -> Walk:
        """What is left after a step."""
        return self._replace(places=self.places[self.at_once :])


def over_items(engine: Engine, make: Make, at_once: int) -> Walk:
    """All items of an engine, those first whose last event is latest."""
    times = engine.table.rows["last_ts_ms"]
    places = _latest_first([(q, unit.members(), times) for q, unit in engine.item_units.items()])
    return Walk(places, at_once, make, engine.item_units)


def over_shoppers(engine: Engine, make: Make, at_once: int, seen_ms: int) -> Walk:
    """The shoppers who were seen in the last `seen_ms` of event time, those first who were seen last."""
    units = engine.shopper_units
    since_ms = max((unit.clock_ms for unit in units.values()), default=0) - seen_ms
    places = _latest_first(
        [(p, shoppers_of(unit), unit.state.rows["last_ts_ms"]) for p, unit in units.items()], since_ms
    )
    return Walk(places, at_once, make, units)


class Refill:
    """Lists of an engine whose units are restored and which was told the catalogue and the model.

    `steps` gives first what is trending, then the neighbours of items, then the lists of shoppers who were
    seen in the last `seen_ms` of event time; within a kind, those first whose last event is latest. Every
    version is that of its unit's last record: no worker has given out a higher one for the same state, and
    every one that is made of a later record is higher. Prices are no function of the state alone: what is in
    force was decided and published once.
    """

    def __init__(self, engine: Engine, seen_ms: int) -> None:
        self._engine = engine
        self._walks = (
            over_items(engine, engine.item_lists_again, CHUNK),
            over_shoppers(engine, engine.lists_again, CHUNK, seen_ms),
        )

    @property
    def total(self) -> int:
        """Items and shoppers to go through."""
        return sum(len(walk.places) for walk in self._walks)

    def steps(self, now_ms: int) -> Iterator[tuple[int, list[Values]]]:
        """(items and shoppers gone through in this step, their values)."""
        # A tick without room for anything else: popularity of all, and what is trending.
        yield 0, self._engine.tick(now_ms, limit=0).values
        for walk in self._walks:
            while len(walk.places):
                yield len(walk.places[: walk.at_once]), walk.step(now_ms)
                walk = walk.rest()


_PLACE = np.dtype([("last_ts_ms", np.int64), ("partition", np.int32), ("number", np.int32)])


def _latest_first(
    units: list[tuple[int, NDArray[Any], NDArray[np.int64]]], since_ms: int | None = None
) -> NDArray[np.void]:
    """Rows of all units (partition, numbers, times by number), by falling time."""
    found = []
    for partition, numbers, times in units:
        places = np.zeros(len(numbers), _PLACE)
        places["partition"], places["number"], places["last_ts_ms"] = partition, numbers, times[numbers]
        found.append(places)
    every = np.concatenate(found) if found else np.zeros(0, _PLACE)
    if since_ms is not None:
        every = every[every["last_ts_ms"] >= since_ms]
    return every[np.argsort(-every["last_ts_ms"], kind="stable")]


def _parts(places: NDArray[np.void]) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Numbers by partition."""
    for partition in np.unique(places["partition"]).tolist():
        yield partition, places["number"][places["partition"] == partition].copy()
