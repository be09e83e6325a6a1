"""The rules of one scenario and segment as arrays, and the memory that arranging lists needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.rules.attributes import DAY_MS, MAX_TERMS, Attributes
from stream.rules.program import NONE, Facts
from stream.rules.rule import (
    DIVERSITY_ATTRIBUTES,
    LENGTH_MAX,
    Boost,
    Bury,
    Cap,
    Diversity,
    Exclude,
    Freshness,
    IncludeOnly,
    Pin,
    Promote,
    Rotate,
    Rule,
    Targeted,
)
from stream.state.arena import reserve

MAX_RULES = 512
"""Rules beside `hide` and `unhide`: one bit each in a row of 64 bytes an item, one line of a cache."""

CANDIDATES_MAX = 512
"""Candidates that are looked at; a caller's pool is 40."""

WORDS_MAX = MAX_RULES // 64

EXCLUDE, INCLUDE_ONLY, BOOST, FRESHNESS, ROTATE, PIN, PROMOTE, CAP, DIVERSITY, _END = range(10)

_CODES: dict[type[Rule], int] = {
    Exclude: EXCLUDE,
    IncludeOnly: INCLUDE_ONLY,
    Boost: BOOST,
    Bury: BOOST,
    Freshness: FRESHNESS,
    Rotate: ROTATE,
    Pin: PIN,
    Promote: PROMOTE,
    Cap: CAP,
    Diversity: DIVERSITY,
}

RULE = np.dtype(
    [
        ("slot", np.int32),
        ("word", np.int32),
        ("bit", np.uint64),
        ("context", np.int64),
        ("number", np.float64),
        ("span", np.float64),
        ("item", np.int32),
        ("attributes", np.int32),
        ("attribute", np.int32, (DIVERSITY_ATTRIBUTES,)),
    ]
)
"""One rule. `word` and `bit`: where an item's row says whether its condition holds; `context`: its program;
`number`: ln(factor), share, most or lambda; `span`: ms, or times shown; `item` and `number` - 1: a pin."""


class Compiled(NamedTuple):
    """A rule with what the book knows of it: key, slot, program of its context, number of its item."""

    key: bytes
    rule: Targeted
    slot: int
    context: int = NONE
    item: int = -1


class Plan(NamedTuple):
    """All that `arrange` reads, by item number where there is no other word. Plans share the arrays of their
    book.

    `rules` lie by kind, `first[kind]` on, the one that wins first; `rows` and `default` as in
    `stream.rules.matches`; `hidden`: this scenario's flag; `about`: what ranking knows of items
    (`stream.items.facts`); `relaxed`: by slot, how often a rule was set aside. `idle`: there is nothing to
    do.
    """

    idle: bool
    hidden: np.uint64
    rules: NDArray[np.void]
    first: NDArray[np.int64]
    facts: Facts
    rows: NDArray[np.uint64]
    default: NDArray[np.uint64]
    about: NDArray[np.void]
    available_ms: NDArray[np.int64]
    relaxed: NDArray[np.int64]


def ordered(rules: Sequence[Compiled]) -> list[Compiled]:
    """By kind, then as they win: higher priority first, then by key; so the order they came in is nothing."""
    return sorted(rules, key=lambda each: (_CODES[type(each.rule)], -each.rule.priority, each.key))


def compiled(rules: Sequence[Compiled], attributes: Attributes) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """`rules` and `first` of a plan; some 10 µs a rule. `rules` come as `ordered` gives them."""
    out = np.zeros(len(rules), RULE)
    for row, each in zip(out, rules, strict=True):
        rule = each.rule
        row["slot"], row["word"], row["bit"] = each.slot, each.slot // 64, np.uint64(1 << each.slot % 64)
        row["context"], row["item"] = each.context, each.item
        names: list[str] = []
        if isinstance(rule, Boost | Bury):
            row["number"] = math.log(rule.factor)
        elif isinstance(rule, Freshness):
            row["number"], row["span"] = math.log(rule.factor), rule.days * DAY_MS
        elif isinstance(rule, Rotate):
            row["number"], row["span"] = math.log(rule.factor), rule.after
        elif isinstance(rule, Pin):
            row["number"] = rule.position
        elif isinstance(rule, Promote):
            row["number"] = rule.share
        elif isinstance(rule, Cap):
            row["number"], names = rule.at_most, [rule.attribute]
        elif isinstance(rule, Diversity):
            row["number"], names = rule.lambda_, rule.attributes
        row["attributes"] = len(names)
        row["attribute"][: len(names)] = [attributes.names[name] for name in names]
    codes = [_CODES[type(each.rule)] for each in rules]
    return out, np.searchsorted(np.array(codes, np.int64), np.arange(_END + 1))


class Work(NamedTuple):
    """Working memory of `arrange`. Row c belongs to candidate c; pins that are none have rows after them.

    `cause`: why it is not free to be placed (codes in `stream.rules.let_through`); `order`: rows by score;
    `slot`: by place, the row of the pin there + 1; `by`: by place, the rule that put it there + 1. `mark` (by
    item) and `tally` (by term) are zero between two lists.
    """

    item: NDArray[np.int32]
    score: NDArray[np.float64]
    bits: NDArray[np.uint64]
    cause: NDArray[np.int32]
    order: NDArray[np.int32]
    rel: NDArray[np.float64]
    similar: NDArray[np.int32]
    same: NDArray[np.int32]
    terms: NDArray[np.int32]
    active: NDArray[np.bool_]
    masks: NDArray[np.uint64]
    first: NDArray[np.int32]
    slot: NDArray[np.int32]
    by: NDArray[np.int32]
    have: NDArray[np.int32]
    front: NDArray[np.int32]
    quota: NDArray[np.int32]
    mark: NDArray[np.int32]
    tally: NDArray[np.int32]


def new_work(max_items: int) -> Work:
    """Memory for one list at a time, of items numbered below `max_items`; some 200 KB, and a page of `mark`
    for each page of it that is used."""
    rows = CANDIDATES_MAX + LENGTH_MAX
    return Work(
        item=np.zeros(rows, np.int32),
        score=np.zeros(rows),
        bits=np.zeros((rows, WORDS_MAX), np.uint64),
        cause=np.zeros(rows, np.int32),
        order=np.zeros(rows, np.int32),
        rel=np.zeros(rows),
        similar=np.zeros(rows, np.int32),
        same=np.zeros(rows, np.int32),
        terms=np.zeros((DIVERSITY_ATTRIBUTES, rows), np.int32),
        active=np.zeros(MAX_RULES, np.bool_),
        masks=np.zeros((2, WORDS_MAX), np.uint64),
        first=np.zeros(1, np.int32),
        slot=np.zeros(LENGTH_MAX, np.int32),
        by=np.zeros(LENGTH_MAX, np.int32),
        have=np.zeros(MAX_RULES, np.int32),
        front=np.zeros(MAX_RULES, np.int32),
        quota=np.zeros(MAX_RULES, np.int32),
        mark=reserve(max_items, np.int32),
        tally=reserve(MAX_TERMS, np.int32),
    )


class Arranged(NamedTuple):
    """A list: items (numbers), scores, the place among the candidates (-1: a pin that was none), and
    ``relaxed[0]``: whether `include-only` was set aside because nothing would have been left."""

    item: NDArray[np.int32]
    score: NDArray[np.float64]
    origin: NDArray[np.int32]
    relaxed: NDArray[np.bool_]


def new_arranged() -> Arranged:
    """Room for one list."""
    return Arranged(
        np.zeros(LENGTH_MAX, np.int32),
        np.zeros(LENGTH_MAX),
        np.zeros(LENGTH_MAX, np.int32),
        np.zeros(1, np.bool_),
    )
