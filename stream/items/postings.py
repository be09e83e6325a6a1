"""Which items have a word: a short list for each word of the catalogue, for a search to begin with.

An inverted index (Zobel and Moffat, 2006) cut to what a list can show: of more items than `EACH` those stay
that are most popular, of equals the latest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.words import TERMS
from stream.state.arena import reserve
from stream.state.jit import kernel

EACH = 32
"""Items of one word."""


class Postings(NamedTuple):
    """By term (`stream.items.words`) item numbers + 1, without gaps."""

    item: NDArray[np.int32]


def new_postings() -> Postings:
    """No item has a word. 8 MB if all words of the language have `EACH`."""
    return Postings(reserve(TERMS * EACH, np.int32).reshape(TERMS, EACH))


@kernel
def offer(postings: Postings, facts: NDArray[np.void], terms: NDArray[np.int32], item: int) -> None:
    """An item (its number) has these words. Some 20 ns a word."""
    for term in terms:
        listed, least = postings.item[term], 0
        for k in range(EACH):
            if listed[k] == item + 1 or listed[k] == 0:
                least = k
                break
            if facts[listed[k] - 1].popular < facts[listed[least] - 1].popular:
                least = k
        held = listed[least]
        if held == 0 or facts[held - 1].popular <= facts[item].popular:
            listed[least] = item + 1


@kernel
def retract(postings: Postings, terms: NDArray[np.int32], item: int) -> None:
    """An item has these words no more."""
    for term in terms:
        listed, kept = postings.item[term], 0
        for k in range(EACH):
            if listed[k] != item + 1:
                listed[kept] = listed[k]
                kept += 1
        listed[kept:] = 0
