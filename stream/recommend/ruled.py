"""From a ranking to the list that a shop's rules allow (`stream.rules`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.recommend.candidates import PINNED
from stream.recommend.encode import Lists
from stream.recommend.pool import Pool
from stream.recommend.rank import REACH, Ranking, Scorer, probability
from stream.rules.arrange import arrange
from stream.rules.let_through import would_let
from stream.rules.plan import DIVERSITY, PIN, ROTATE, Arranged, Plan, Work, new_arranged, new_work
from stream.rules.request import NO_CATEGORY, Asked
from stream.shoppers.row import SHOWN
from stream.state.jit import Row, kernel


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
        np.zeros(REACH, np.int32),
        np.zeros(REACH),
        np.zeros(SHOWN, np.int32),
        NO_CATEGORY,
    )


@kernel
def may_be_put(ruled: Ruled, item: int) -> bool:
    """Whether an item that is none of the candidates may be put into the list just filled; with -1, whether
    any may: not where rules give places (pins, promotions, caps), nor where one had to be set aside."""
    plan, work = ruled.plan, ruled.work
    if plan.idle:
        return True
    if item < 0:
        return plan.first[PIN] == plan.first[DIVERSITY] and not ruled.out.relaxed[0]
    return would_let(plan, work, item)


@kernel
def fill_by_rules(
    row: Row, history: Row, ruled: Ruled, pool: Pool, ranking: Ranking, scorer: Scorer, lists: Lists, n: int
) -> int:
    """Arrange the first candidates, as many as `ruled` has room for, and the pins into list `n`; its length.
    `arrange` says the cost.

    The anchor of conditions is the shopper's last item. What a rule adds to a score it adds in logits to the
    model's, as a logarithm to a plain one: the score published is that of the item as if its odds or share
    were `factor` times as high. A pin that was no candidate has the last candidate's score. Not even a pin is
    shown to a shopper who hid it, or looks at it now.
    """
    plan, out, active = ruled.plan, ruled.out, scorer.active[0]
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
    size = arrange(plan, asked, ruled.item, ruled.score, known, ruled.work, out)
    for k in range(size):
        at = out.origin[k]
        by = ruled.work.by[k] - 1
        lists.item[n, k] = out.item[k]
        lists.score[n, k] = 0.0
        lists.reason[n, k] = PINNED
        if at >= 0 and not plan.first[PIN] <= by < plan.first[PIN + 1]:
            lists.reason[n, k] = pool.reason[order[at]]
        if known:
            at = at if at >= 0 else known - 1
            c = order[at]
            factor = np.exp(out.score[k] - ruled.score[at])
            if active:
                lists.score[n, k] = probability(min(ranking.chance[c] * factor, 1.0), scorer)
            else:
                lists.score[n, k] = ranking.plain[c] * factor
    lists.size[n] = size
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
