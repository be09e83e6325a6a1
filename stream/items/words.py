"""What texts are about, as 128 bits that cost two nanoseconds to compare: their rarest words, hashed.

A word is one of `TERMS` terms (feature hashing; Weinberger et al., 2009), a term one bit of a signature (a
filter after Bloom, 1970, with one hash). Words that half of all items have say nothing and are left out,
so a bit that two items share mostly is a word that few others have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item
from stream.state.hashing import mix64
from stream.state.jit import kernel

TERMS = 1 << 16
"""Terms told apart: a catalogue's usual ten thousand words share one in seven, mostly rare with rare."""

WORDS_READ = 64
"""Distinct words of a text; the first ones count: category, brand, labels, title, then other attributes."""

WORDS_KEPT = 12
"""Words of a signature: with more, every two items have many bits in common by chance."""

TEXT_MAX_BYTES = 4096
"""Of a longer text the rest is not read."""

COMMON, COMMON_FROM = 2, 16
"""Words of one item in `COMMON` are left out, once there are `COMMON_FROM` items to tell by."""


class Vocabulary(NamedTuple):
    """`documents[term]` is the number of items that have the term, `items[0]` that of all items; `found` and
    `bits` are room to read one text."""

    documents: NDArray[np.int32]
    items: NDArray[np.int64]
    found: NDArray[np.int32]
    bits: NDArray[np.uint64]


def new_vocabulary() -> Vocabulary:
    """One that has read nothing: 256 KB."""
    return Vocabulary(
        np.zeros(TERMS, np.int32), np.zeros(1, np.int64), np.zeros(WORDS_READ, np.int32), bits_room()
    )


def bits_room() -> NDArray[np.uint64]:
    """An empty signature."""
    return np.zeros(2, np.uint64)


def text_of(item: Item) -> bytes:
    """All words of an item's facts, in lower case."""
    texts = [item.category or "", item.brand or "", *item.labels, item.title or ""]
    for value in item.attributes.values():
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            texts += value
    return plain(" ".join(texts))


def plain(text: str) -> bytes:
    """A text as it is read: in lower case, of bounded length."""
    return text.casefold().encode("utf-8", "replace")[:TEXT_MAX_BYTES]


def drop(vocabulary: Vocabulary, text: bytes) -> None:
    """There is no item with this text any more. About 5 µs."""
    _count(vocabulary, np.frombuffer(text, np.uint8), -1)


def add(vocabulary: Vocabulary, text: bytes) -> NDArray[np.uint64]:
    """There is an item with this text; its signature, valid until the next call. About 6 µs."""
    _add(vocabulary, np.frombuffer(text, np.uint8))
    return vocabulary.bits


def sign(vocabulary: Vocabulary, text: bytes) -> NDArray[np.uint64]:
    """The signature of an item's text, valid until the next call. About 5 µs."""
    _sign(vocabulary, np.frombuffer(text, np.uint8))
    return vocabulary.bits


def terms_of(text: bytes) -> NDArray[np.int32]:
    """The distinct terms of a text's words, as they come."""
    found = np.zeros(WORDS_READ, np.int32)
    return found[: read_words(np.frombuffer(text, np.uint8), found)]


def words_of(text: bytes) -> NDArray[np.uint64]:
    """The signature of what a shopper says: of its first words, however common. A function of the text."""
    return sign(new_vocabulary(), text)


@kernel
def read_words(text: NDArray[np.uint8], found: NDArray[np.int32]) -> int:
    """Write the distinct terms of a text's words, runs of letters and digits; how many. What is not ASCII
    counts as a letter."""
    n, h = 0, np.uint64(0)
    inside: bool | np.bool = False
    for k in range(len(text) + 1):
        byte = text[k] if k < len(text) else np.uint8(0x20)
        letter = byte >= 0x80 or 0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39
        if letter:
            if not inside:
                h = np.uint64(0xCBF29CE484222325)
            h = (h ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        elif inside:
            term = np.int32(mix64(h) % np.uint64(TERMS))
            known = False
            for o in range(n):
                known = known or found[o] == term
            if not known:
                found[n] = term
                n += 1
                if n == len(found):
                    break
        inside = letter
    return n


@kernel
def _count(vocabulary: Vocabulary, text: NDArray[np.uint8], by: int) -> None:
    for k in range(read_words(text, vocabulary.found)):
        vocabulary.documents[vocabulary.found[k]] += by
    vocabulary.items[0] += by


@kernel
def _add(vocabulary: Vocabulary, text: NDArray[np.uint8]) -> None:
    _count(vocabulary, text, 1)
    _sign(vocabulary, text)


@kernel
def _sign(vocabulary: Vocabulary, text: NDArray[np.uint8]) -> None:
    """Set the bits of the rarest words that are not an item's alone, then of those that are."""
    found, documents, bits = vocabulary.found, vocabulary.documents, vocabulary.bits
    n, items = read_words(text, found), vocabulary.items[0]
    bits[0] = bits[1] = np.uint64(0)
    for _ in range(WORDS_KEPT):
        best, least = -1, np.int64(1) << 40
        for k in range(n):
            if found[k] < 0:
                continue
            times = np.int64(documents[found[k]])
            if items >= COMMON_FROM and times * COMMON > items:
                continue
            if times <= 1:
                times = np.int64(1) << 39
            if times < least:
                best, least = k, times
        if best < 0:
            break
        _set(bits, found[best])
        found[best] = -1


@kernel
def _set(bits: NDArray[np.uint64], term: int) -> None:
    bits[term >> 6 & 1] |= np.uint64(1) << np.uint64(term & 63)


@kernel
def ones(bits: np.uint64) -> int:
    """How many bits are set: in a form that the compiler knows for one instruction."""
    x = bits
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))  # type: ignore[return-value]
