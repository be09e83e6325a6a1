"""What the ranking model sees of a candidate: numbers near 1, all of them ratios, logarithms or flags.

Scores are given both as a ratio to the list's best and as its logarithm, so that a linear model can tell a
clear winner from the first of many equals. Columns lie one after the other, so a feature is worked out for
all candidates in one vectorised pass; logarithms are to base 2, divided by 4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.cooccurrence import SHRINK, STEP_SHRINK
from stream.items.facts import EVENTS, POPULAR, TRENDING, Facts
from stream.items.meanings import means
from stream.items.words import ones
from stream.recommend.pool import (
    BOUGHT,
    HOP,
    LAST,
    LED_TO,
    LIMIT,
    OWNED,
    RECENT,
    SEEN,
    SHARE,
    STEP,
    VISITED,
    Pool,
)
from stream.recommend.sources import CATEGORY, CONTENT, POPULARITY, SEARCHED, STATED, TREND
from stream.state.jit import Row, kernel, small_kernel

FEATURES = (
    "share_of_best",
    "log_share_of_best",
    "recent_of_best",
    "log_recent_of_best",
    "last_of_best",
    "log_last_of_best",
    "step_of_best",
    "log_step_of_best",
    "hop_of_best",
    "log_hop_of_best",
    "bought_of_best",
    "led_to_of_best",
    "log_popular",
    "log_trending",
    "log_since_last",
    "log_since_first",
    "in_window",
    "place_in_window",
    "seen_before",
    "same_category",
    "log_markov",
    "step",
    "owned",
    "place_among_owned",
    "log_interpolated",
    "like_last",
    "of_interest",
    "like_interests",
    "like_search",
)
"""Names by column. A snapshot carries them, and one with other names is not used."""

N_FEATURES = len(FEATURES)

_RATIOS = ((SHARE, 0), (RECENT, 2), (LAST, 4), (STEP, 6), (HOP, 8))
(_BOUGHT, _LED_TO, _POPULAR, _TRENDING, _SINCE_LAST, _SINCE_FIRST, _IN_WINDOW, _PLACE, _SEEN, _CATEGORY) = (
    range(10, 20)
)
_MARKOV, _STEP, BOUGHT_BEFORE, _OWNED_PLACE, _MIX = range(20, 25)
_LIKE_LAST, OF_INTEREST, _LIKE_INTERESTS, _LIKE_SEARCH = range(25, 29)

OF_WORDS = _LIKE_LAST
"""From here on, features that come of words: where none are known, nothing is spent on them."""

_SOURCE = np.array([
    SHARE, SHARE, RECENT, RECENT, LAST, LAST, STEP, STEP, HOP, HOP, BOUGHT, LED_TO, POPULARITY, TREND,
    POPULARITY, POPULARITY, VISITED, VISITED, SEEN, CATEGORY, STEP, STEP, OWNED, OWNED, STEP,
    CONTENT, STATED, STATED, SEARCHED,
])  # fmt: skip
"""By feature, the source it comes with."""

LENGTHS, TOTALS, BESTS = (2, 3, 4, 6), (3.0, 10.0, 30.0, 100.0), (0.05, 0.12, 0.25)
"""Bounds of contexts: items in the session, events behind the last item's row, its best neighbour's share."""

N_CONTEXTS = 1 + (len(LENGTHS) + 1) + (len(TOTALS) + 1) + (len(BESTS) + 1)
"""Weights are sums of those of the contexts that hold: the first holds always, and one of each kind. What is
a good sign in a long session, or where a thousand saw an item, is none in the second minute of a shop."""

HELD = 4
"""Contexts that hold for one list."""


class Description(NamedTuple):
    """`value[f, c]` is feature f of candidate c, `context` the contexts that hold; `used[0]` how
    many features may differ from 0; the rest is room to work. `bits` is `work` seen as integers."""

    value: NDArray[np.float32]
    context: NDArray[np.uint8]
    used: NDArray[np.int64]
    work: NDArray[np.float32]
    bits: NDArray[np.int32]


def new_description() -> Description:
    """Room for one pool: 62 KB."""
    work = np.zeros(LIMIT, np.float32)
    return Description(
        np.zeros((N_FEATURES, LIMIT), np.float32),
        np.zeros(HELD, np.uint8),
        np.array([N_FEATURES]),
        work,
        work.view(np.int32),
    )


@small_kernel
def describe(
    pool: Pool, uses: NDArray[np.bool_], facts: Facts, shopper: Row, history: Row, last: Row, out: Description
) -> None:
    """Features of all candidates, and the contexts of the list; 0 for those of sources that are not used.
    `last`: the row of the item looked at now.

    9 ns a candidate.
    """
    n, value, score = pool.size[0], out.value, pool.score
    for source, at in _RATIOS:
        _ratio(pool, source, n, out, value[at])
        _log2(value[at], n, np.float32(1.0), np.float32(0.01), out, value[at + 1])
    _ratio(pool, BOUGHT, n, out, value[_BOUGHT])
    _ratio(pool, LED_TO, n, out, value[_LED_TO])
    _look_up(pool, facts, shopper, out)
    known = shopper.recent[0] > 0 and last.viewed.gain > 0.0
    events = last.viewed.total / last.viewed.gain if known else 0.0
    steps = last.viewed.step_total / last.viewed.gain if known else 0.0
    _markov(pool, facts, events, steps, out)
    by_popular = np.float32(1e3 / max(facts.heard[POPULAR], 1e-9))
    by_trending = np.float32(1e3 / max(facts.heard[TRENDING], 1e-9))
    _log2(value[_POPULAR], n, by_popular, np.float32(0.01), out, value[_POPULAR])
    _log2(value[_TRENDING], n, by_trending, np.float32(0.01), out, value[_TRENDING])
    _log2(value[_SINCE_LAST], n, np.float32(1.0), np.float32(1.0), out, value[_SINCE_LAST])
    _log2(value[_SINCE_FIRST], n, np.float32(1.0), np.float32(1.0), out, value[_SINCE_FIRST])
    _flag(score[VISITED], n, value[_IN_WINDOW])
    _copy(score[VISITED], n, value[_PLACE])
    _copy(score[SEEN], n, value[_SEEN])
    _copy(score[STEP], n, value[_STEP])
    _flag(score[OWNED], n, value[BOUGHT_BEFORE])
    _copy(score[OWNED], n, value[_OWNED_PLACE])
    _compare_words(pool, facts, shopper, history, out)
    for f in range(out.used[0]):
        if not uses[_SOURCE[f]]:
            value[f, :n] = 0.0
    _contexts(shopper.in_session, events, float(_best(pool, LAST, n, out)), out)


@small_kernel
def _look_up(pool: Pool, facts: Facts, shopper: Row, out: Description) -> None:
    """The facts of each candidate, side by side."""
    n, value = pool.size[0], out.value
    now = np.uint32(np.int64(facts.heard[EVENTS]) & 0xFFFFFFFF)
    # 0: of no category. Nothing has category -1.
    first = facts.item[shopper.recent[0] - 1].category if shopper.recent[0] > 0 else 0
    second = facts.item[shopper.recent[1] - 1].category if shopper.recent[1] > 0 else 0
    first, second = first if first > 0 else -1, second if second > 0 else -1
    for c in range(n):
        fact = facts.item[pool.item[c]]
        value[_POPULAR, c] = fact.popular
        value[_TRENDING, c] = fact.trending
        value[_SINCE_LAST, c] = np.float32(np.uint32(now - fact.last_at))
        value[_SINCE_FIRST, c] = np.float32(np.uint32(now - fact.first_at))
        same = np.float32(fact.category == first) + np.float32(0.5) * np.float32(fact.category == second)
        value[_CATEGORY, c] = same


@small_kernel
def _compare_words(pool: Pool, facts: Facts, shopper: Row, history: Row, out: Description) -> None:
    """What each candidate has of the words of the last item, of interests and of the search; 1 ns each."""
    n, value, found = pool.size[0], out.value, facts.meanings.found[0]
    last = facts.words[max(shopper.recent[0] - 1, 0)]
    viewed = shopper.recent[0] > 0 and (last[0] | last[1]) != np.uint64(0)
    stated = (history.stated_words[0] | history.stated_words[1]) != np.uint64(0)
    asked = (shopper.asked[0] | shopper.asked[1]) != np.uint64(0)
    known = viewed or stated or asked or found > 0
    if known or out.used[0] > OF_WORDS:
        for f in range(OF_WORDS, N_FEATURES):
            for c in range(LIMIT):
                value[f, c] = 0.0
    out.used[0] = N_FEATURES if known else OF_WORDS
    if viewed:
        _share_words(pool, facts, last, n, value[_LIKE_LAST])
    if stated:
        _share_words(pool, facts, history.stated_words, n, value[_LIKE_INTERESTS])
    if asked:
        _share_words(pool, facts, shopper.asked, n, value[_LIKE_SEARCH])
    if found > 0:
        for c in range(n):
            value[OF_INTEREST, c] = np.float32(means(facts.meanings, facts.item[pool.item[c]].category))


@kernel
def _share_words(
    pool: Pool, facts: Facts, wanted: NDArray[np.uint64], n: int, out: NDArray[np.float32]
) -> None:
    first, second = wanted[0], wanted[1]
    by = np.float32(1.0 / (ones(first) + ones(second)))
    for c in range(n):
        words = facts.words[pool.item[c]]
        out[c] = by * np.float32(ones(first & words[0]) + ones(second & words[1]))


@small_kernel
def _markov(pool: Pool, facts: Facts, events: float, steps: float, out: Description) -> None:
    """P(next | last) backed off to the last item's row, and that to popularity (Katz, 1987)."""
    n, value = pool.size[0], out.value
    doubt = np.float32(STEP_SHRINK / (steps + STEP_SHRINK))
    by = np.float32(SHRINK / (events + SHRINK) / max(facts.heard[POPULAR], 1e-9))
    step, last = pool.score[STEP], pool.score[LAST]
    for c in range(n):
        value[_STEP, c] = step[c] + doubt * (last[c] + by * value[_POPULAR, c])
    _log2(value[_STEP], n, np.float32(1.0), np.float32(1e-5), out, value[_MARKOV])
    share = np.float32(0.1 / max(facts.heard[POPULAR], 1e-9))
    for c in range(n):
        value[_STEP, c] = np.float32(0.8) * step[c] + np.float32(0.1) * last[c] + share * value[_POPULAR, c]
    _log2(value[_STEP], n, np.float32(1.0), np.float32(1e-6), out, value[_MIX])


@small_kernel
def _contexts(length: int, events: float, best: float, out: Description) -> None:
    at = 1
    out.context[0] = 0
    out.context[1] = at
    for bound in LENGTHS:
        out.context[1] += length >= bound
    at += len(LENGTHS) + 1
    out.context[2] = at
    for total in TOTALS:
        out.context[2] += events >= total
    at += len(TOTALS) + 1
    out.context[3] = at
    for share in BESTS:
        out.context[3] += best >= share


@kernel
def _best(pool: Pool, source: int, n: int, room: Description) -> np.float32:
    """The highest score, found among the bits: the highest of floats is not vectorised."""
    bits, best = pool.bits[source], np.int32(0)
    for c in range(n):
        best = max(best, bits[c])
    room.bits[0] = best
    return room.work[0]  # type: ignore[no-any-return]


@kernel
def _ratio(pool: Pool, source: int, n: int, room: Description, out: NDArray[np.float32]) -> None:
    by = np.float32(1.0) / max(_best(pool, source, n, room), np.float32(1e-20))
    score = pool.score[source]
    for c in range(n):
        out[c] = score[c] * by


@kernel
def _copy(score: NDArray[np.float32], n: int, out: NDArray[np.float32]) -> None:
    for c in range(n):
        out[c] = score[c]


@kernel
def _flag(score: NDArray[np.float32], n: int, out: NDArray[np.float32]) -> None:
    for c in range(n):
        out[c] = np.float32(1.0) if score[c] > np.float32(0.0) else np.float32(0.0)


@kernel
def _log2(
    x: NDArray[np.float32],
    n: int,
    scale: np.float32,
    least: np.float32,
    room: Description,
    out: NDArray[np.float32],
) -> None:
    """out = log2(x * scale + least) / 4 within .0025: the exponent, and a parabola through the mantissa.

    What is written is never what is being read, or nothing is vectorised.
    """
    work, bits = room.work, room.bits
    for c in range(n):
        work[c] = x[c] * scale + least
    for c in range(n):
        b = bits[c]
        m = np.float32(np.int32(b & np.int32(0x7FFFFF))) * np.float32(1.0 / 8388608.0) + np.float32(1.0)
        whole = np.float32(np.int32(b >> np.int32(23))) - np.float32(127.0 + 5.0 / 3.0)
        out[c] = ((np.float32(2.0) - m * np.float32(1.0 / 3.0)) * m + whole) * np.float32(0.25)
