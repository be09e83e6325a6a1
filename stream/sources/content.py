"""Content: items whose words are those of what a shopper looked at and searched for.

TF-IDF with cosine (Salton and Buckley, 1988). Words of items are short and rarely repeat, so an item is the
set of its terms, each weighing ``idf = ln(1 + N / df)`` and the whole scaled to length 1. A shopper's profile
is a decayed sum of the items they had events with and the queries they searched for. It serves an item as
soon as the catalogue has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item
from stream.sources.base import Base, mask_of, strike, unwanted, within
from stream.sources.pool import LIMIT, Pool, best, new_pool, put
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.sources.terms import TERMS, TERMS_PER_ITEM, term_of, terms_of, words
from stream.state.arena import reserve
from stream.state.jit import kernel

POSTINGS = 256
"""Items listed a term: those described or seen last. A term of more items says little about each."""
PROFILE = 32
"""Terms of a shopper."""
KEEP = 0.8
"""What an event leaves of the profile before it: five events make up two thirds."""
SAID = 2.0
"""What a query weighs, an item being 1: a shopper who searches says what they want."""
REFRESH = 1.02
"""All idf are worked out anew whenever the items have become so many times as many: they change slowly."""


class ContentState(NamedTuple):
    """Terms by item and by shopper, items by term."""

    terms: NDArray[np.int32]
    """(items, TERMS_PER_ITEM): term + 1, 0 ends them."""
    df: NDArray[np.int32]
    """(TERMS): items that have it."""
    idf: NDArray[np.float32]
    postings: NDArray[np.int32]
    """(TERMS, POSTINGS): a ring of item + 1."""
    posted: NDArray[np.int32]
    """(TERMS): where the ring goes on."""
    profile_term: NDArray[np.int32]
    """(shoppers, PROFILE): term + 1."""
    profile_weight: NDArray[np.float32]
    counts: NDArray[np.float64]
    """Items described; how many they were when idf was last worked out."""


@kernel
def learn(state: ContentState, events: Interactions) -> None:
    """Take in events: about 1 µs each."""
    for k in range(len(events.item)):
        shopper, item = events.shopper[k], events.item[k]
        if item < 0 or item >= len(state.terms) or unwanted(events.code[k]):
            continue
        row = state.terms[item]
        for t in range(TERMS_PER_ITEM):
            if row[t] == 0:
                break
            _post(state, row[t] - 1, item)
        if 0 <= shopper < len(state.profile_term) and row[0] != 0:
            _profile(state, shopper, row, TERMS_PER_ITEM, 1.0)


@kernel
def _post(state: ContentState, term: int, item: int) -> None:
    """List an item under a term, unless it is there."""
    row = state.postings[term]
    for k in range(POSTINGS):
        if row[k] == item + 1:
            return
    row[state.posted[term]] = item + 1
    state.posted[term] = (state.posted[term] + 1) % POSTINGS


@kernel
def _profile(state: ContentState, shopper: int, terms: NDArray[np.int32], most: int, weight: float) -> None:
    """Let a shopper's profile fade by one event, and add a set of terms scaled to length 1."""
    squares = 0.0
    for t in range(most):
        if terms[t] == 0:
            break
        squares += state.idf[terms[t] - 1] ** 2
    if squares == 0.0:
        return
    scale = weight / math.sqrt(squares)
    held, weights = state.profile_term[shopper], state.profile_weight[shopper]
    for p in range(PROFILE):
        weights[p] *= np.float32(KEEP)
    for t in range(most):
        if terms[t] == 0:
            break
        least = 0
        for p in range(PROFILE):
            if held[p] == terms[t]:
                least = p
                break
            if weights[p] < weights[least]:
                least = p
        if held[least] != terms[t]:
            held[least] = terms[t]
            weights[least] = 0.0
        weights[least] += np.float32(scale * state.idf[terms[t] - 1])


@kernel
def propose(
    state: ContentState,
    ties: NDArray[np.uint64],
    query: NDArray[np.float32],
    pool: Pool,
    visit: Visit,
    out: Proposals,
) -> int:
    """Proposals for a visit: about 70 µs. `query` (TERMS) is zeros, and is left so."""
    if visit.shopper < 0 or visit.shopper >= len(state.profile_term):
        return 0
    held, weights = state.profile_term[visit.shopper], state.profile_weight[visit.shopper]
    squares = 0.0
    for p in range(PROFILE):
        if held[p] != 0:
            query[held[p] - 1] = weights[p]
            squares += weights[p] ** 2
    _gather(state, held, weights, pool)
    for c in range(pool.size[0]):
        row = state.terms[pool.item[c]]
        dot, length = 0.0, 0.0
        for t in range(TERMS_PER_ITEM):
            if row[t] == 0:
                break
            idf = state.idf[row[t] - 1]
            dot += idf * query[row[t] - 1]
            length += idf * idf
        pool.score[c] = np.float32(dot / math.sqrt(max(length * squares, 1e-30)))
        pool.evidence[c] = -1
    for p in range(PROFILE):
        if held[p] != 0:
            query[held[p] - 1] = 0.0
    last = visit.recent[0] if len(visit.recent) else -1
    return best(pool, ties, last, visit.length, out)


@kernel
def _gather(state: ContentState, held: NDArray[np.int32], weights: NDArray[np.float32], pool: Pool) -> None:
    """Items listed under the profile's terms, under the weightiest first, until the pool is full."""
    done = np.float32(np.inf)
    at = -1
    for _ in range(PROFILE):
        following = -1
        for p in range(PROFILE):
            # In falling order of weight, of equal ones by place.
            later = weights[p] < done or (weights[p] == done and p > at)
            if held[p] != 0 and later and (following < 0 or weights[p] > weights[following]):
                following = p
        if following < 0 or pool.size[0] == LIMIT:
            break
        done, at = weights[following], following
        row = state.postings[held[following] - 1]
        for k in range(POSTINGS):
            if row[k] != 0:
                put(pool, row[k] - 1)


@kernel
def describe(state: ContentState, item: int, terms: NDArray[np.int32]) -> None:
    """The item has these terms from now on, none if there are none."""
    row = state.terms[item]
    for t in range(TERMS_PER_ITEM):
        if row[t] == 0:
            break
        state.df[row[t] - 1] -= 1
        _weigh(state, row[t] - 1)
        ring = state.postings[row[t] - 1]
        for k in range(POSTINGS):
            if ring[k] == item + 1:
                ring[k] = 0
    state.counts[0] += (len(terms) > 0) - (row[0] != 0)
    for t in range(TERMS_PER_ITEM):
        row[t] = 0
    for t in range(len(terms)):
        row[t] = terms[t] + 1
        state.df[terms[t]] += 1
        _weigh(state, terms[t])
        _post(state, terms[t], item)
    if state.counts[0] > state.counts[1] * REFRESH or state.counts[0] * REFRESH < state.counts[1]:
        state.counts[1] = state.counts[0]
        for term in range(TERMS):
            _weigh(state, term)


@kernel
def _weigh(state: ContentState, term: int) -> None:
    df = state.df[term]
    state.idf[term] = np.float32(math.log(1.0 + state.counts[1] / df)) if df > 0 else np.float32(0.0)


class Content(Base[ContentState]):
    """`Source` by words. 96 bytes an item, 256 a shopper, 34 MB for the terms.

    Describing an item costs some 20 µs.
    """

    name = "content"

    def __init__(self, room: Room) -> None:
        state = ContentState(
            reserve(room.items * TERMS_PER_ITEM, np.int32).reshape(room.items, TERMS_PER_ITEM),
            reserve(TERMS, np.int32),
            reserve(TERMS, np.float32),
            reserve(TERMS * POSTINGS, np.int32).reshape(TERMS, POSTINGS),
            reserve(TERMS, np.int32),
            reserve(room.shoppers * PROFILE, np.int32).reshape(room.shoppers, PROFILE),
            reserve(room.shoppers * PROFILE, np.float32).reshape(room.shoppers, PROFILE),
            np.zeros(2, np.float64),
        )
        self._pool, self._query = new_pool(), np.zeros(TERMS, np.float32)
        super().__init__(room, state, (self._pool,))

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        learn(self.state, events)

    def describe_items(self, numbers: NDArray[np.int32], facts: Sequence[Item]) -> None:
        """See `Source.describe_items`: title, brand, category and labels count."""
        for number, item in zip(numbers.tolist(), facts, strict=True):
            if 0 <= number < self.room.items:
                describe(self.state, number, terms_of(item))

    def hear(self, shopper: int, code: int, words_said: str) -> None:
        """See `Source.hear`: words that no item has say nothing."""
        terms = np.zeros(PROFILE, np.int32)
        said = list(dict.fromkeys(term_of(word) + 1 for word in words(words_said)))[:PROFILE]
        terms[: len(said)] = said
        if 0 <= shopper < self.room.shoppers and said:
            _profile(self.state, shopper, terms, PROFILE, SAID)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        return propose(self.state, self.room.ties, self._query, self._pool, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        items, shoppers = within(items, self.room.items), within(shoppers, self.room.shoppers)
        for item in items.tolist():
            describe(self.state, item, np.zeros(0, np.int32))
        if len(items):
            strike(self.state.postings.reshape(-1), mask_of(items, self.room.items))
        self.state.profile_term[shoppers] = 0
        self.state.profile_weight[shoppers] = 0.0
