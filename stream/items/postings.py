"""Which items have a word: a short list for each word of the catalogue, for a search to begin with.

An inverted index (Zobel and Moffat, 2006) cut to what a list can show: of more items than `EACH` those stay
that are most popular, of equals the latest. A variant counts as its product.
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

WORDS = 24
"""Words kept of an item, its first ones: a search asks whether an item has all of its words."""


class Postings(NamedTuple):
    """`item`: by term (`stream.items.words`) item numbers + 1, without gaps; `terms`: by item number the
    terms of its words (0: none)."""

    item: NDArray[np.int32]
    terms: NDArray[np.uint16]


def new_postings(max_items: int) -> Postings:
    """No item has a word. 8 MB if all words of the language have `EACH`, and 48 bytes an item with words."""
    return Postings(
        reserve(TERMS * EACH, np.int32).reshape(TERMS, EACH),
        reserve(max_items * WORDS, np.uint16).reshape(max_items, WORDS),
    )


@kernel
def _counts_as(facts: NDArray[np.void], item: int) -> int:
    """The item that stands for this one."""
    return facts[item].stands_for - 1 if facts[item].stands_for > 0 else item


@kernel
def offer(postings: Postings, facts: NDArray[np.void], terms: NDArray[np.int32], item: int) -> None:
    """An item (its number; `facts` of all of them) has these words. Some 20 ns a word."""
    item = _counts_as(facts, item)
    for k in range(WORDS):
        postings.terms[item, k] = terms[k] if k < len(terms) else 0
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
def retract(postings: Postings, facts: NDArray[np.void], terms: NDArray[np.int32], item: int) -> None:
    """An item has these words no more. Others that count as the same are to be offered again."""
    item = _counts_as(facts, item)
    for k in range(WORDS):
        postings.terms[item, k] = 0
    for term in terms:
        _leave_out(postings.item[term], item)


@kernel
def _leave_out(listed: NDArray[np.int32], item: int) -> None:
    kept = 0
    for k in range(EACH):
        if listed[k] != item + 1:
            listed[kept] = listed[k]
            kept += 1
    listed[kept:] = 0


@kernel
def has_word(postings: Postings, item: int, term: int) -> bool:
    """Whether an item has a word. 3 ns."""
    terms, found = postings.terms[item], False
    for k in range(WORDS):
        found |= terms[k] == term
    return found


def forget(postings: Postings, numbers: NDArray[np.int32]) -> None:
    """These numbers will be those of other items. Some ms: all lists are looked through."""
    postings.terms[numbers] = 0
    if len(numbers):
        gone = np.zeros(int(numbers.max()) + 2, np.bool_)
        gone[numbers + 1] = True
        _forget(postings, gone)


@kernel
def _forget(postings: Postings, gone: NDArray[np.bool_]) -> None:
    for term in range(TERMS):
        listed = postings.item[term]
        for k in range(EACH):
            # What moves up to this place is looked at as well.
            while listed[k] > 0 and listed[k] < len(gone) and gone[listed[k]]:
                _leave_out(listed, listed[k] - 1)
            if listed[k] == 0:
                break
