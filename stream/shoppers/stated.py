"""What shoppers say of themselves: interests in a `profile`, words in a `search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.events import types
from stream.items.words import plain, terms_of, words_of
from stream.shoppers.row import STATED_BYTES, TERMS_ASKED
from stream.state.jit import Row, kernel

KEYS = ("interests", "categories", "category", "brands", "brand")
"""Keys of a profile's context that hold interests: a text or a list of texts each. All others say something
else."""

TEXTS_MOST = 8
"""Interests kept of a shopper: the first ones that fit into `STATED_BYTES`."""

SAID = np.dtype(
    [
        ("at", np.int64),
        ("texts", np.uint8, (STATED_BYTES,)),
        ("words", np.uint64, (2,)),
        ("terms", np.uint16, (TERMS_ASKED,)),
    ],
    align=True,
)
"""What one event of a batch said: its row there, texts separated by NUL, the words of all of them, and the
terms of the first ones (0: none, and one in 65,536)."""


def interests(context: Mapping[str, Any]) -> list[str] | None:
    """The texts that a profile states, in lower case; none if it is empty or states that there are none, and
    None if it does not speak of interests."""
    if context and not any(key in context for key in KEYS):
        return None
    found: dict[str, None] = {}
    for key in KEYS:
        told = context.get(key)
        for text in told if isinstance(told, list) else [told]:
            if isinstance(text, str):
                found[" ".join(text.casefold().split()).replace("\0", "")] = None
    found.pop("", None)
    return list(found)


def packed(texts: Sequence[str]) -> bytes:
    """As many of `texts` as are kept, separated by NUL."""
    out = b""
    for text in texts[:TEXTS_MOST]:
        more = out + (b"\0" if out else b"") + plain(text)
        if len(more) <= STATED_BYTES:
            out = more
    return out


def unpacked(texts: bytes) -> list[str]:
    """The texts in what `packed` gave, with NULs behind it."""
    return [text.decode("utf-8", "replace") for text in texts.split(b"\0") if text]


def said(whole: Sequence[tuple[int, types.Event]]) -> NDArray[np.void]:
    """Rows of `SAID` for the profiles and searches among the (row, event) of a batch."""
    rows = []
    for at, event in whole:
        texts = b""
        if isinstance(event, types.Profile):
            stated = interests(event.context)
            if stated is None:
                continue
            texts = packed(stated)
        elif not isinstance(event, types.Search):
            continue
        query = event.query or "" if isinstance(event, types.Search) else ""
        text = plain(query) if query else texts
        rows.append((at, texts, words_of(text), terms_of(text)[:TERMS_ASKED]))
    out = np.zeros(len(rows), SAID)
    for row, (at, texts, words, terms) in zip(out, rows, strict=True):
        row["at"], row["words"] = at, words
        row["terms"][: len(terms)] = terms
        row["texts"][: len(texts)] = np.frombuffer(texts, np.uint8)
    return out


@kernel
def state(history: Row, told: Row) -> None:
    """What was stated before gives way to what is stated now."""
    for k in range(STATED_BYTES):
        history.stated[k] = told.texts[k]
    history.stated_words[0] = told.words[0]
    history.stated_words[1] = told.words[1]


@kernel
def ask(row: Row, told: Row) -> None:
    """The shopper looks for something else now."""
    row.asked[0] = told.words[0]
    row.asked[1] = told.words[1]
    for k in range(TERMS_ASKED):
        row.terms[k] = told.terms[k]
