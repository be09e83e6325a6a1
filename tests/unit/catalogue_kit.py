"""Catalogue messages for tests, and what an engine knows after a log in which they come."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from stream.engine import Engine
from tests.unit.core_helpers import Worker


def tell(engine: Engine, item: str, entry: dict[str, Any] | None = None, **fields: Any) -> str | None:
    """One message of the topic `items`: the fields of the item, or `entry` as it is; why it was refused."""
    value = msgspec.json.encode({"item_id": item, **fields} if entry is None else entry)
    return engine.control("items", item.encode(), value)


def remove(engine: Engine, item: str) -> str | None:
    """The tombstone of an item."""
    return engine.control("items", item.encode(), None)


def withdrawn(engine: Engine, item: str) -> bool:
    """Whether the item may not be shown."""
    return bool(engine.table.facts.item["withdrawn"][engine.table.interner.find(item.encode())])


def stands_for(engine: Engine, item: str) -> str:
    """The item that stands for this one, as kernels know it."""
    number = engine.table.interner.find(item.encode())
    other = int(engine.table.facts.item["stands_for"][number]) if number >= 0 else 0
    return engine.table.interner.name(other - 1).decode() if other else item


def published(worker: Worker, kind: str = "similar") -> dict[str, dict[str, float]]:
    """All item lists of a worker as they are now: score by item."""
    out = {}
    for partition, unit in worker.engine.item_units.items():
        numbers = np.flatnonzero(worker.engine.table.rows["home"] == partition + 1).astype(np.int32)
        for values in worker.engine.publisher.lists_of(unit, numbers, 0):
            if values.kind == kind:
                for name, value in zip(values.ids, values.values, strict=True):
                    read = msgspec.json.decode(value)
                    out[name.decode()] = dict(zip(read["items"], read["scores"], strict=True))
    return out


def last_list(worker: Worker, user: str) -> list[str]:
    """A list made for a shopper now."""
    unit = worker.engine.shopper_units[0]
    number = np.array([unit.interner.find(user.encode())], np.int32)
    made = [values for values in worker.engine.lists_again(0, number, 0) if values.kind == "recs"]
    return [
        item for values in made for value in values.values for item in msgspec.json.decode(value)["items"]
    ]
