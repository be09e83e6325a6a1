"""From a ranking to the list that a shop's rules allow (`stream.rules`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import Facts
from stream.recommend.candidates import PINNED
from stream.recommend.cold import POPULAR
from stream.recommend.encode import Lists
from stream.recommend.pool import Pool, put
from stream.recommend.popular import CATEGORY_LEADERS, LEADERS, Leaders
from stream.recommend.rank import REACH, Ranking, Scorer, probability
from stream.rules.arrange import arrange
from stream.rules.let_through import would_let
from stream.rules.plan import (
    DIVERSITY,
    INCLUDE_ONLY,
    PIN,
    ROTATE,
    Arranged,
    Plan,
    Work,
    new_arranged,
    new_work,
)
from stream.rules.request import NO_CATEGORY, Asked
from stream.shoppers.row import SHOWN
from stream.state.jit import Row, kernel

BELOW = 1e-6
"""How much lower, in logits, each popular item that only fills up stands than the one before it."""


class Ruled(NamedTuple):
    """The rules in force at `now_ms` (the engine's), the most items of a list, and room to arrange one.

    `item` and `score`: the ranking as `arrange` takes it; `shown`: what this shopper was shown and did not
    take, if a rule asks for it; `category`: of what is asked for (`NO_CATEGORY`: any).
    """

    plan: Plan
    now_ms: int
    length: int
    work: Work
    out: Arranged
    item: NDArray[np.int32]
    score: NDArray[np.float64]
    shown: NDArray[np.int32]
    category: int


def new_ruled(plan: Plan, length: int, max_items: int) -> Ruled:
    """Lists of up to `length` items under `plan`; other plans are put in its place. Some 200 KB."""
    return Ruled(
        plan,
        0,
        length,
        new_work(max_items),
        new_arranged(),
        np.zeros(REACH + CATEGORY_LEADERS + LEADERS, np.int32),
        np.zeros(REACH + CATEGORY_LEADERS + LEADERS),
        np.zeros(SHOWN, np.int32),
        NO_CATEGORY,
    )


@kernel
def may_be_put(ruled: Ruled, item: int) -> bool:
    """Whether an item that is none of the candidates may be put into the list just filled; with -1, whether
    any may: not where rules that hold for it give places (pins, promotions, caps), nor where one had to be
    set aside."""
    plan, work = ruled.plan, ruled.work
    if plan.idle:
        return True
    if item < 0:
        for r in range(plan.first[PIN], plan.first[DIVERSITY]):
            if work.active[r]:
                return False
        return not ruled.out.relaxed[0]
    return would_let(plan, work, item)


@kernel
def fill_by_rules(
    row: Row,
    history: Row,
    ruled: Ruled,
    pool: Pool,
    facts: Facts,
    leaders: Leaders,
    ranking: Ranking,
    scorer: Scorer,
    active: bool,
    lists: Lists,
    n: int,
) -> int:
    """Arrange the first candidates, as many as `ruled` has room for, and the pins into list `n`; its length.
    `arrange` says the cost. Where rules leave less of the candidates than a list holds, what is popular in
    the last item's category and in the shop follows: before a rule `include-only` is set aside, all of that
    has been looked at as well.

    `active`: the model's order is published. The anchor of conditions is the shopper's last item. What a
    rule adds to a score it adds in logits to the model's, as a logarithm to a plain one: the score
    published is that of the item as if its odds or share were `factor` times as high. A pin that was no
    candidate has the last candidate's score. Not even a pin is shown to a shopper who hid it, or looks at
    it now.
    """
    plan, work, out = ruled.plan, ruled.work, ruled.out
    known = min(ranking.size[0 if active else 1], len(ruled.item))
    order = ranking.order if active else ranking.plain_order
    for k in range(known):
        c = order[k]
        ruled.item[k] = pool.item[c]
        ruled.score[k] = ranking.worth[c] if active else np.log(ranking.plain[c])
    pins = plan.first[PIN] < plan.first[PIN + 1]
    asked = Asked(
        row.recent[0] - 1,
        ruled.category,
        pool.banned,
        pool.size[1] if pins else 0,
        ruled.shown,
        _shown(history, ruled) if plan.first[ROTATE] < plan.first[ROTATE + 1] else 0,
        ruled.length,
        ruled.now_ms,
    )
    size = arrange(plan, asked, ruled.item, ruled.score, known, work, out)
    if size < ruled.length or out.relaxed[0]:
        some = _popular_ones(row, ruled, pool, facts, leaders, known)
        if some > known:
            if out.relaxed[0]:
                # It is counted by the second attempt.
                for r in range(plan.first[INCLUDE_ONLY], plan.first[INCLUDE_ONLY + 1]):
                    plan.relaxed[plan.rules[r].slot] -= work.active[r]
            size = arrange(plan, asked, ruled.item, ruled.score, some, work, out)
    for k in range(size):
        at = out.origin[k]
        by = work.by[k] - 1
        lists.item[n, k] = out.item[k]
        lists.score[n, k] = 0.0
        lists.reason[n, k] = PINNED
        if at >= 0 and not plan.first[PIN] <= by < plan.first[PIN + 1]:
            lists.reason[n, k] = pool.reason[order[at]] if at < known else POPULAR
        if known:
            at = at if 0 <= at < known else known - 1
            c = order[at]
            factor = np.exp(out.score[k] - ruled.score[at])
            if active:
                lists.score[n, k] = probability(min(ranking.chance[c] * factor, 1.0), scorer)
            else:
                lists.score[n, k] = ranking.plain[c] * factor
    lists.size[n] = size
    return size


@kernel
def _popular_ones(row: Row, ruled: Ruled, pool: Pool, facts: Facts, leaders: Leaders, known: int) -> int:
    """Write what is popular behind the first `known` items of `ruled.item`, what is banned, withdrawn or a
    candidate already left out, each a little below the one before it; how many there are then. 1 µs."""
    size = known
    category = ruled.category
    if category <= 0 and row.recent[0] > 0:
        category = facts.item[row.recent[0] - 1].category
    of_category = leaders.by_category.shape[1] if category > 0 else 0
    for k in range(of_category + len(leaders.overall)):
        leader = leaders.by_category[category, k] if k < of_category else leaders.overall[k - of_category]
        if leader == 0 or size >= len(ruled.item):
            continue
        before = pool.size[0]
        if put(pool, facts, leader - 1, POPULAR) == before:
            ruled.item[size] = pool.item[before]
            ruled.score[size] = (ruled.score[size - 1] if size else 0.0) - BELOW
            size += 1
    return size


@kernel
def _shown(history: Row, ruled: Ruled) -> int:
    """Write what this shopper was shown and did not take to `ruled.shown`; how much. 60 ns at most."""
    n = 0
    for k in range(min(history.n_shown, SHOWN)):
        if history.shown[k] > 0:
            ruled.shown[n] = history.shown[k] - 1
            n += 1
    return n
