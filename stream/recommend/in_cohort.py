"""What the cohorts of a shopper take (`stream.items.cohorts`): candidates for one who has looked at nothing.

Whoever has looked at something says more by that: how much more each candidate is taken in the shopper's
cohorts, told to the model as a feature, brought nothing on two logs. Cohorts are mixed: an item's share is
the mean of its shares in each, of which every one is shrunk towards that in the shop. Multiplying what they
say, as if they knew nothing of one another, cost a quarter of the hit rate.
"""

from __future__ import annotations

import numpy as np

from stream.items.cohorts import HELD, SHRINK, find
from stream.items.facts import ELSEWHERE, POPULAR, Facts, stand_in
from stream.recommend.pool import FILL, Pool, put
from stream.recommend.popular import Leaders
from stream.state.jit import Row, kernel, small_kernel

COHORT = 12
"""Reason, behind those of `stream.recommend.candidates`."""

HEAVIEST = 64
"""Items of each cohort that are candidates."""

_BISECTIONS = 12

POPULAR_FIRST = 40
"""Leaders of the shop that are looked at beside the cohorts' own items."""

WORTH = np.float32(5e-4)
"""Score of a share of one, in the plain order: below what was asked for, above what is only popular."""


@small_kernel
def start_in_cohort(pool: Pool, facts: Facts, leaders: Leaders, shopper: Row, popular: int) -> None:
    """Put in what the shopper's cohorts take, and what is popular in the shop with the reason `popular` (0:
    do not), all with the share that is expected. 1 µs a cohort, some ns without any."""
    many, rest = 0, 0.0
    for f in range(len(shopper.cohorts)):
        at = find(facts.cohorts, int(shopper.cohorts[f]))
        if at >= 0:
            many += 1
            rest += _rest(facts, at)
    if many == 0:
        return
    for f in range(len(shopper.cohorts)):
        at = find(facts.cohorts, int(shopper.cohorts[f]))
        if at >= 0:
            _put_heaviest(pool, facts, at)
    for k in range(POPULAR_FIRST if popular > 0 else 0):
        if leaders.overall[k] == 0:
            break
        put(pool, facts, leaders.overall[k] - 1, popular)
    by = WORTH / np.float32(many)
    for f in range(len(shopper.cohorts)):
        at = find(facts.cohorts, int(shopper.cohorts[f]))
        for k in range(HELD if at >= 0 else 0):
            item = facts.cohorts.item[at, k]
            c = int(facts.mark[stand_in(facts, item - 1)]) if item > 0 else 0
            if 0 < c < ELSEWHERE:
                pool.score[FILL, c - 1] += by * np.float32(facts.cohorts.weight[at, k] / _known(facts, at))
    every = by * np.float32(rest / max(facts.heard[POPULAR], 1e-9))
    for c in range(pool.size[0]):
        pool.score[FILL, c] += every * facts.item[pool.item[c]].popular


@kernel
def _put_heaviest(pool: Pool, facts: Facts, at: int) -> None:
    """Put in the `HEAVIEST` items of a cohort: those above a weight that is found by bisection, then some of
    those that are about as heavy."""
    weights = facts.cohorts.weight[at]
    below, above = np.float32(0.0), np.float32(0.0)
    for k in range(HELD):
        above = max(above, weights[k])
    for _ in range(_BISECTIONS):
        middle, many = np.float32(0.5) * (below + above), 0
        for k in range(HELD):
            many += weights[k] > middle
        if many > HEAVIEST:
            below = middle
        else:
            above = middle
    left = HEAVIEST
    for k in range(HELD):
        if weights[k] > above:
            put(pool, facts, facts.cohorts.item[at, k] - 1, COHORT)
            left -= 1
    for k in range(HELD):
        if below < weights[k] <= above and left > 0:
            put(pool, facts, facts.cohorts.item[at, k] - 1, COHORT)
            left -= 1


@kernel
def _known(facts: Facts, at: int) -> float:
    """What a cohort's weights are divided by: those of its events, and `SHRINK` views of the shop."""
    return facts.cohorts.total[at] + SHRINK * facts.cohorts.one[0]  # type: ignore[no-any-return]


@kernel
def _rest(facts: Facts, at: int) -> float:
    """What is left of a cohort to what all take."""
    return SHRINK * facts.cohorts.one[0] / _known(facts, at)  # type: ignore[no-any-return]
