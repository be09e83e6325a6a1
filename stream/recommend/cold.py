"""Candidates where nothing was looked at: new items like the last one, what shoppers say they want, and what
others take who come as they do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import Facts
from stream.items.meanings import understand
from stream.items.newcomers import is_new
from stream.items.postings import EACH, has_word
from stream.items.words import ones
from stream.recommend.in_cohort import start_in_cohort
from stream.recommend.pool import Pool, fill
from stream.recommend.popular import Leaders
from stream.recommend.sources import COHORT, CONTENT, POPULARITY, SEARCHED, STATED
from stream.state.jit import Row, kernel, small_kernel

ALIKE, INTEREST, NEW, POPULAR = 8, 9, 10, 11
"""Reasons, behind those of `stream.recommend.candidates`; POPULAR: of what only fills up, for it may be
little that is known of the shop."""

ALIKE_MOST, ALIKE_LEAST = 4, 0.4
"""Newcomers like the last item that are candidates, and the share of its words that each must have, beyond
those that any two items have by chance."""

ALIKE_WORTH = 2e-3
"""Score of a newcomer with the very words of the last item, in the plain order: above what is only popular,
below what shoppers have been seen to take."""

OF_INTEREST, OF_INTEREST_FIRST = 10, 40
"""Leaders of each category of interest that are candidates for a shopper who has looked at something, and
for one who has not."""

INTEREST_WORTH, ASKED_WORTH = 1e-3, 3e-3
"""Scores of the first leader of a category of interest, and of the most popular item with all words of a
search, in the plain order."""


@small_kernel
def start_cold(
    pool: Pool,
    uses: NDArray[np.bool_],
    facts: Facts,
    leaders: Leaders,
    shopper: Row,
    history: Row,
) -> None:
    """Put in all of them, of the sources that are used; some ns where there is no catalogue."""
    if uses[CONTENT] and shopper.recent[0] > 0:
        _alike(pool, facts, shopper.recent[0] - 1)
    facts.meanings.found[0] = 0
    if uses[STATED]:
        understand(facts.meanings, history.stated)
        _of_interest(pool, facts, leaders, OF_INTEREST if shopper.recent[0] > 0 else OF_INTEREST_FIRST)
    if uses[SEARCHED] and (shopper.asked[0] | shopper.asked[1]) != np.uint64(0):
        _asked_for(pool, facts, shopper)
    if uses[COHORT] and shopper.recent[0] == 0:
        start_in_cohort(pool, facts, leaders, shopper, POPULAR if uses[POPULARITY] else 0)


@kernel
def _alike(pool: Pool, facts: Facts, last: int) -> None:
    """Newcomers of the last item's category that are like it, the most alike first; .1 µs, nothing without a
    catalogue."""
    first, second = facts.words[last, 0], facts.words[last, 1]
    mine = ones(first) + ones(second)
    if mine == 0:
        return
    new, category = facts.new, facts.item[last].category
    for k in range(len(new.like)):
        one, other = new.words[category, k, 0], new.words[category, k, 1]
        by_chance = np.float32(mine * (ones(one) + ones(other))) * np.float32(1.0 / 128.0)
        same = np.float32(ones(first & one) + ones(second & other))
        # One word in common is often that of the category.
        new.like[k] = (same - by_chance) * np.float32(1.0 / mine) if same > 1.5 else np.float32(0.0)
    many = 0
    for k in range(len(new.like)):
        many += new.like[k] >= ALIKE_LEAST
    for _ in range(min(many, ALIKE_MOST)):
        best = 0
        for k in range(1, len(new.like)):
            best = k if new.like[k] > new.like[best] else best
        like, item = new.like[best], new.item[category, best] - 1
        new.like[best] = 0.0
        if item >= 0 and is_new(facts.item[item], category):
            fill(pool, facts, item, ALIKE_WORTH * like, ALIKE)


@kernel
def _of_interest(pool: Pool, facts: Facts, leaders: Leaders, most: int) -> None:
    """What is popular in each of the categories last found, in turn."""
    found = facts.meanings.found
    for k in range(min(most, leaders.by_category.shape[1])):
        for each in range(found[0]):
            item = leaders.by_category[found[1 + each], k]
            if item > 0:
                fill(pool, facts, item - 1, INTEREST_WORTH / (k + 1), INTEREST)


@kernel
def _asked_for(pool: Pool, facts: Facts, shopper: Row) -> None:
    """Items that have half of the words of the last search at least, those first that have most of them, then
    those that are more popular; .5 µs a word. What no item has is no word."""
    listed, words, most = facts.postings.item, 0, np.float32(1e-20)
    for term in shopper.terms:
        words += term > 0 and listed[term, 0] > 0
        for k in range(EACH if term > 0 else 0):
            if listed[term, k] == 0:
                break
            most = max(most, facts.item[listed[term, k] - 1].popular)
    for term in shopper.terms:
        for k in range(EACH if term > 0 else 0):
            item = listed[term, k] - 1
            if item < 0:
                break
            has = 0
            for other in shopper.terms:
                has += other > 0 and has_word(facts.postings, item, int(other))
            if 2 * has >= words:
                share = (has - 0.5 + 0.5 * facts.item[item].popular / most) / words
                fill(pool, facts, item, ASKED_WORTH * share, INTEREST)
