"""Who is to be given lists of which scenarios, beside the one of `home`, after the events of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.effects import Values
from stream.recommend.scenarios import AT_ONCE, Now, Place, Scenarios
from stream.shoppers.state import EMPTY, Events

if TYPE_CHECKING:
    from stream.shoppers.unit import ShopperUnit


class Due:
    """The shoppers of one batch, and for each scenario the last of their events after which it is due."""

    def __init__(self, unit: ShopperUnit, scenarios: Scenarios) -> None:
        self._unit = unit
        self._scenarios = scenarios
        self._found: list[tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int64]]] = []

    def note(self, events: Events) -> None:
        """Events of the batch that were applied; 8 µs, however many there are that nothing is due after."""
        if not self._scenarios.of_shoppers:
            return
        bits = self._scenarios.due(events.did, events.code)
        at = np.flatnonzero(bits)
        if len(at):
            self._found.append((bits[at], events.shopper[at], events.offset[at]))

    def values(self, now: Now) -> list[Values]:
        """The lists, as after the whole batch; their version is that of the event after which they were
        due."""
        if not self._found:
            return []
        bits, shoppers, offsets = (np.concatenate(columns) for columns in zip(*self._found, strict=True))
        out = []
        for bit, name in enumerate(self._scenarios.of_shoppers):
            mine = np.flatnonzero(bits & np.uint64(1 << bit))[::-1]
            numbers, last = np.unique(shoppers[mine], return_index=True)
            # Who was evicted since is not known any more.
            known = self._unit.state.rows["events"][numbers] > 0
            offset = offsets[mine][last][known]
            out += lists_of(self._unit, self._scenarios, name, numbers[known], offset, now)
        return out


def lists_of(
    unit: ShopperUnit,
    scenarios: Scenarios,
    name: str,
    numbers: NDArray[np.int32],
    offsets: NDArray[np.int64],
    now: Now,
    lineage_ms: int | None = None,
) -> list[Values]:
    """Lists of one scenario for shoppers of a unit by number, made at these offsets; about 10 µs each."""
    state, out = unit.state, []
    for at in range(0, len(numbers), AT_ONCE):
        some = numbers[at : at + AT_ONCE]
        place = Place(unit.lineage_ms if lineage_ms is None else lineage_ms, offsets[at : at + AT_ONCE])
        none = np.zeros((len(some), 0), np.int32)
        ids, rows = unit.interner.texts(some), state.rows[some]
        values, empty = scenarios.values(name, ids, rows, state.histories, none, place, now)
        state.counts[EMPTY] += empty
        out.append(values)
    return out
