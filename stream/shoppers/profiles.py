"""What shoppers said of themselves and may correct, published so that a page can show it to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.effects import Values, version
from stream.events.codes import DISLIKE, HIDE, INHERIT, LIKE, PROFILE, RATING
from stream.shoppers.state import APPLIED, OPENED, Events, Shoppers
from stream.shoppers.stated import unpacked
from stream.values import Profile

if TYPE_CHECKING:
    from stream.shoppers.unit import ShopperUnit

_TELLS = np.zeros(256, np.bool_)
_TELLS[[PROFILE, HIDE, LIKE, RATING, DISLIKE, INHERIT]] = True


def concerned(events: Events, state: Shoppers) -> NDArray[np.int64]:
    """Events of a batch after which a profile is published: those that change it, and the first of a session
    of a shopper who has one, so that it does not expire. 5 µs where there is none."""
    at = np.flatnonzero((events.did & APPLIED > 0) & (_TELLS[events.code] | (events.did & OPENED > 0)))
    if len(at):
        at = at[_TELLS[events.code[at]] | has_any(state, events.shopper[at])]
    return at


def has_any(state: Shoppers, shoppers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of these shoppers, by number, stated an interest or hid an item."""
    history = state.rows["history"][shoppers]
    hidden = (state.histories["hidden"][history] > 0).any(axis=1)
    found: NDArray[np.bool_] = (history > 0) & (hidden | (state.histories["stated"][history, 0] > 0))
    return found


def profiles(
    unit: ShopperUnit, shoppers: NDArray[np.int32], offsets: NDArray[np.int64], lineage_ms: int, now_ms: int
) -> Values:
    """Profiles of shoppers of a unit, by number, as of the events at these offsets: of several of one shopper
    the last. Some 10 µs each."""
    latest = dict(zip(shoppers.tolist(), offsets.tolist(), strict=True))
    item_name = unit.table.interner.name
    ids, values = [], []
    for number, offset in latest.items():
        history = unit.state.histories[int(unit.state.rows["history"][number])]
        told = Profile(
            version=version(lineage_ms, offset).decode(),
            generated_at=now_ms,
            interests=unpacked(history["stated"].tobytes()),
            hidden=[item_name(item - 1).decode() for item in history["hidden"].tolist() if item],
        )
        ids.append(unit.interner.name(number))
        values.append(msgspec.json.encode(told))
    return Values.of("profile", ids, values)._replace(topic=False)
