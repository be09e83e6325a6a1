"""One item's state in ids and plain values: for people, backups' checks and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from stream.items.unit import ItemUnit

KINDS = ("viewed", "bought", "led_to")


class ItemState(msgspec.Struct, frozen=True):
    """What a unit holds of one item. Weights are decayed to the table's clock, heaviest first by kind."""

    item_id: str
    partition: int
    last_ts_ms: int
    views: int
    carts: int
    purchases: int
    units_sold: int
    units_returned: int
    neighbours: dict[str, dict[str, float]]
    """Weight by kind (`KINDS`) and item."""
    demand: dict[float, tuple[float, float]]
    """(exposures, conversions) by price in the currency's main unit, decayed."""


def describe(unit: ItemUnit, number: int) -> ItemState:
    """The item behind a number of the table, which the unit owns. Some 100 µs."""
    table = unit.table
    row = table.rows[number]
    name = table.interner.name
    slow, demand = table.slow.gain(table.clock_ms), table.demand.gain(table.clock_ms)
    neighbours = {}
    for kind in KINDS:
        known = np.flatnonzero(row[kind]["item"])
        order = known[np.argsort(-row[kind]["weight"][known], kind="stable")]
        neighbours[kind] = {
            name(int(row[kind]["item"][k]) - 1).decode(): float(row[kind]["weight"][k]) / slow
            for k in order.tolist()
        }
    return ItemState(
        item_id=name(number).decode(),
        partition=unit.partition,
        last_ts_ms=int(row["last_ts_ms"]),
        views=int(row["views"]),
        carts=int(row["carts"]),
        purchases=int(row["purchases"]),
        units_sold=int(row["units_sold"]),
        units_returned=int(row["units_returned"]),
        neighbours=neighbours,
        demand={
            int(row["price_minor"][k]) / 100: (
                float(row["exposures"][k]) / demand,
                float(row["conversions"][k]) / demand,
            )
            for k in np.flatnonzero(row["price_minor"]).tolist()
        },
    )
