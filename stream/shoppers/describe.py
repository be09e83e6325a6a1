"""One shopper's state in ids and plain values: for people, backups' checks and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.cohorts import FIELDS
from stream.shoppers.row import BASKET
from stream.shoppers.stated import unpacked

if TYPE_CHECKING:
    from stream.shoppers.unit import ShopperUnit


class ShopperState(msgspec.Struct, frozen=True):
    """What a unit holds of one shopper. `recent` is latest first, `window` the part of it in this session."""

    user_id: str
    partition: int
    events: int
    last_ts_ms: int
    crowd: bool
    recent: list[str]
    window: list[str]
    basket: list[str]
    bought: dict[str, int]
    """Units still held, by item."""
    hidden: list[str]
    cart: list[str]
    shown: dict[str, int]
    """Times that an item was shown and not taken."""
    interests: list[str]
    """As the shopper's last `profile` stated them."""
    cohorts: dict[str, str]
    """Hashes of their names by field (`stream.cohorts.FIELDS`): nothing else is kept of them."""


def shoppers_of(unit: ShopperUnit) -> NDArray[np.int32]:
    """Numbers of all shoppers that have a row in the unit."""
    return np.flatnonzero(unit.state.rows["events"][: unit.interner.used]).astype(np.int32)


def describe(unit: ShopperUnit, number: int) -> ShopperState:
    """The shopper behind a number of the unit. Some 50 µs."""
    row = unit.state.rows[number]
    history = unit.state.histories[int(row["history"])]
    name = unit.table.interner.name

    def ids(numbers: NDArray[np.int32]) -> list[str]:
        return [name(number - 1).decode() for number in numbers.tolist() if number]

    held: dict[str, int] = {}
    for item, quantity in zip(history["bought"].tolist(), history["quantity"].tolist(), strict=True):
        if item:
            bought = name(item - 1).decode()
            held[bought] = held.get(bought, 0) + quantity
    recent = ids(row["recent"])
    shown = ids(history["shown"])
    return ShopperState(
        user_id=unit.interner.name(number).decode(),
        partition=unit.partition,
        events=int(row["events"]),
        last_ts_ms=int(row["last_ts_ms"]),
        crowd=bool(row["crowd"]),
        recent=recent,
        window=recent[: int(row["in_session"])],
        basket=ids(row["basket"][: min(int(row["in_basket"]), BASKET)]),
        bought=held,
        hidden=ids(history["hidden"]),
        cart=ids(history["cart"]),
        shown={item: shown.count(item) for item in sorted(set(shown))},
        interests=unpacked(history["stated"].tobytes()),
        cohorts={
            field: f"{key:08x}" for field, key in zip(FIELDS, row["cohorts"].tolist(), strict=True) if key
        },
    )
