"""Buckets of the item stage, to bytes and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.items.cooccurrence import rescale
from stream.items.due import evidence, push
from stream.items.facts import know
from stream.items.row import ITEM
from stream.state import bucket as saved
from stream.state.bucket import Bucket

if TYPE_CHECKING:
    from stream.items.unit import ItemUnit

DTYPES = {"items": ITEM}
REFERENCES = ("items.viewed.item", "items.bought.item", "items.led_to.item")
ALMOST = 0.9
"""Share of a saved row's evidence that counts as told where its lists waited to be published."""

_HERE_ONLY = ("foreign", "wanted")
"""Columns that say something of this worker, not of the item."""


def save(unit: ItemUnit, number: int) -> bytes:
    """Bucket `number` of the unit as it is now."""
    table = unit.table
    members = unit.members_of(number)
    rows = table.rows[members]
    for name in _HERE_ONLY:
        rows[name] = False
    return saved.save(
        unit,
        number,
        table.interner.blob(members),
        {"items": rows},
        REFERENCES,
        table.interner,
        ends=unit.watermark,
        landmarks_ms=[decay.landmark_ms for decay in (table.slow, table.fast, table.demand)],
    )


def load(unit: ItemUnit, bucket: Bucket) -> None:
    """Put a saved bucket into a unit that has nothing in it yet.

    What waited to be published waits again. Raises `ValueError` for a bucket that is damaged, `StreamError`
    when there is no room for it.
    """
    table = unit.table
    names = table.numbers(bucket.names, bucket.n_names)
    rows = saved.unpack(bucket, DTYPES, REFERENCES, names)["items"]
    numbers = table.numbers(bucket.ids, len(rows))
    table.advance(bucket.clock_ms)
    decays = (table.slow, table.fast, table.demand)
    if len(rows):
        factors = [
            np.exp2(min(0.0, landmark_ms - decay.landmark_ms) / decay.half_life_ms)
            for landmark_ms, decay in zip(bucket.landmarks_ms, decays, strict=True)
        ]
        rescale(rows, len(rows), *factors)
    for name in ("home", "bucket"):
        rows[name] = table.rows[name][numbers]
    table.rows[numbers] = rows
    events = rows["views"] + rows["carts"] + rows["purchases"]
    know(table.facts, numbers, events.astype(np.float32))
    # What waited was told in part: it waits behind what is new, unless it grows.
    waited = np.where(rows["lists_due"], np.float32(ALMOST), np.float32(1.0))
    table.lists_due.told[numbers] = evidence(table.rows, numbers) * waited
    for due, name in ((table.lists_due.later, "lists_due"), (table.price_due, "price_due")):
        for item in numbers[rows[name]].tolist():
            push(due, item)
    unit.taken(bucket.bucket, len(rows), bucket.position)
