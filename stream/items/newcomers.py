"""Items of the catalogue of which little was heard so far, by category: how they get into lists before
anybody has found them.

A ring of fixed size a category, so that a list looks at few of them: those that the catalogue told of last,
and others as soon as one of these is well known. Soft state of the worker.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.state.arena import reserve
from stream.state.jit import Row, kernel

MAX_CATEGORIES = 1 << 14
"""Categories told apart; items of further ones count as having none."""

HELD_EACH = 32
"""Newcomers at hand, a category."""

FEW = 20
"""Events after which an item is no newcomer any more: it has neighbours by then."""

LOOKED_AT = 256
"""Items that one tick looks at for newcomers that may take a place."""


class Newcomers(NamedTuple):
    """By category: item numbers + 1 (0: free) and their words, in rings of which `oldest` is written next.
    `looked_at`: the next item that a tick looks at; `like` is room to compare."""

    item: NDArray[np.int32]
    words: NDArray[np.uint64]
    oldest: NDArray[np.uint8]
    looked_at: NDArray[np.int64]
    like: NDArray[np.float32]


def new_newcomers() -> Newcomers:
    """None known. 10 MB if all categories have any."""
    return Newcomers(
        reserve(MAX_CATEGORIES * HELD_EACH, np.int32).reshape(MAX_CATEGORIES, HELD_EACH),
        reserve(MAX_CATEGORIES * HELD_EACH * 2, np.uint64).reshape(MAX_CATEGORIES, HELD_EACH, 2),
        reserve(MAX_CATEGORIES, np.uint8),
        np.zeros(1, np.int64),
        np.zeros(HELD_EACH, np.float32),
    )


@kernel
def is_new(fact: Row, category: int) -> bool:
    """Whether an item is of this category, for sale and hardly heard of, and stands for itself."""
    known = fact.heard >= FEW or fact.stands_for > 0
    return fact.listed and fact.category == category and not known and not fact.withdrawn


@kernel
def arrive(
    newcomers: Newcomers, items: NDArray[np.void], words: NDArray[np.uint64], item: int, displaces: bool
) -> None:
    """Give an item a place, if it is new; with none free only if it `displaces` the one that came first."""
    category = items[item].category
    if not is_new(items[item], category):
        return
    ring, free = newcomers.item[category], -1
    for k in range(HELD_EACH):
        if ring[k] == item + 1:
            free = k
            break
        if free < 0 and (ring[k] == 0 or not is_new(items[ring[k] - 1], category)):
            free = k
    if free < 0:
        if not displaces:
            return
        free = int(newcomers.oldest[category])
        newcomers.oldest[category] = (free + 1) % HELD_EACH
    ring[free] = item + 1
    newcomers.words[category, free, 0] = words[item, 0]
    newcomers.words[category, free, 1] = words[item, 1]


@kernel
def look_on(newcomers: Newcomers, items: NDArray[np.void], words: NDArray[np.uint64], used: int) -> None:
    """Offer free places to the next `LOOKED_AT` of the `used` items. Some µs."""
    at = newcomers.looked_at[0]
    for _ in range(min(LOOKED_AT, used)):
        at = at + 1 if at + 1 < used else 0
        if items[at].heard < FEW:
            arrive(newcomers, items, words, at, False)
    newcomers.looked_at[0] = at


def read_again(newcomers: Newcomers, words: NDArray[np.uint64]) -> None:
    """The items' words have changed."""
    held = np.nonzero(newcomers.item)
    newcomers.words[held] = words[newcomers.item[held] - 1]


def forget(newcomers: Newcomers, numbers: NDArray[np.int32]) -> None:
    """These numbers will be those of other items."""
    newcomers.item[np.isin(newcomers.item, numbers + 1)] = 0
