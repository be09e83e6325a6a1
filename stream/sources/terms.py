"""Words of items and queries as hashed terms (feature hashing; Weinberger et al., 2009)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item

TERMS = 1 << 15
"""Terms told apart. A catalogue's usual ten thousand words share one in six, mostly rare with rare."""
TERMS_PER_ITEM = 24
"""Distinct terms of an item; the first ones count: category, brand, labels, then the title."""

_WORD = re.compile(r"[^\W_]+")
_WORD_MAX = 64
_WORDS_READ = 256


def words(text: str) -> list[str]:
    """Runs of letters and digits in lower case, at most some hundred."""
    return [
        found[0][:_WORD_MAX]
        for _, found in zip(range(_WORDS_READ), _WORD.finditer(text.lower()), strict=False)
    ]


def term_of(word: str) -> int:
    """A word's term, below `TERMS`."""
    return crc32(word.encode()) % TERMS


def terms_of(item: Item) -> NDArray[np.int32]:
    """Distinct terms of an item's facts.

    Category, brand and labels count as wholes ("category:shoes.running"), so that they weigh as one thing,
    and with their words, so that a query finds them.
    """
    found: dict[int, None] = {}
    for word in _words_of(item):
        found[term_of(word)] = None
        if len(found) == TERMS_PER_ITEM:
            break
    return np.array(list(found), np.int32)


def _words_of(item: Item) -> Iterator[str]:
    wholes = [
        ("category", item.category),
        ("brand", item.brand),
        *(("label", label) for label in item.labels),
    ]
    for kind, text in wholes:
        if text:
            yield f"{kind}:{text}"
    for _, text in [*wholes, ("title", item.title)]:
        yield from words(text or "")
