"""What a text that a shopper states may mean: categories by name, by a part of their name, and by brand."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.words import plain
from stream.state.arena import reserve
from stream.state.hashing import hash64
from stream.state.jit import kernel

SLOTS = 1 << 17
"""Places for texts that mean anything; when three quarters are taken, further ones mean nothing."""

EACH = 4
"""Categories that one text may mean: the first that were so called."""

FOUND_MOST = 32

_PARTS = re.compile(r"[./>|:]")


class Meanings(NamedTuple):
    """A table by hash with open addressing: `key` (0: free) and categories (0: none); `taken[0]` taken.
    `found`: the categories last asked for, after their number."""

    key: NDArray[np.uint64]
    category: NDArray[np.int32]
    taken: NDArray[np.int64]
    found: NDArray[np.int32]


def new_meanings() -> Meanings:
    """Nothing means anything. 3 MB if full."""
    return Meanings(
        reserve(SLOTS, np.uint64),
        reserve(SLOTS * EACH, np.int32).reshape(SLOTS, EACH),
        np.zeros(1, np.int64),
        np.zeros(1 + FOUND_MOST, np.int32),
    )


def learn_name(meanings: Meanings, name: str, category: int) -> None:
    """A category has this name: it is also meant by each part of it, as in `shoes.running`."""
    for text in dict.fromkeys([name, *(part.strip() for part in _PARTS.split(name))]):
        learn(meanings, text, category)


def learn(meanings: Meanings, text: str, category: int) -> None:
    """A text means a category, too; some µs."""
    known = plain(text)
    if known and category > 0:
        _learn(meanings, np.frombuffer(known, np.uint8), category)


@kernel
def _slot(meanings: Meanings, h: np.uint64) -> int:
    at = np.int64(h % np.uint64(SLOTS))
    while meanings.key[at] != h and meanings.key[at] != np.uint64(0):
        at = (at + 1) % SLOTS
    return at  # type: ignore[return-value]


@kernel
def _learn(meanings: Meanings, text: NDArray[np.uint8], category: int) -> None:
    h = hash64(text, 0, len(text))
    at = _slot(meanings, h)
    if meanings.key[at] == np.uint64(0):
        if meanings.taken[0] * 4 > SLOTS * 3:
            return
        meanings.key[at] = h
        meanings.taken[0] += 1
    for k in range(EACH):
        known = meanings.category[at, k]
        if known == 0 or known == category:
            meanings.category[at, k] = category
            return


@kernel
def understand(meanings: Meanings, texts: NDArray[np.uint8]) -> None:
    """Put into `found` the categories that any of `texts` (separated by NUL, the rest NUL) means. 30 ns a
    text."""
    found, start = meanings.found, 0
    found[0] = 0
    for k in range(len(texts) + 1):
        if k < len(texts) and texts[k] != 0:
            continue
        if k == start:
            return
        at = _slot(meanings, hash64(texts, start, k))
        start = k + 1
        for each in range(EACH):
            category = meanings.category[at, each]
            if category > 0 and found[0] < FOUND_MOST and not means(meanings, category):
                found[0] += 1
                found[found[0]] = category


@kernel
def means(meanings: Meanings, category: int) -> bool:
    """Whether a category is among those last found."""
    for k in range(meanings.found[0]):
        if meanings.found[1 + k] == category:
            return True
    return False
