"""What rules add to scores, and the order that follows."""

from __future__ import annotations

import numpy as np

from stream.rules.plan import BOOST, FRESHNESS, PIN, ROTATE, Plan, Work
from stream.rules.request import Asked
from stream.state.jit import kernel

TIMES_MAX = 8
"""Times shown that count beyond the first that does: a shopper who sees nothing else sees it some day."""


@kernel
def added(plan: Plan, asked: Asked, work: Work, r: int, c: int) -> float:
    """What rule `r`, which is one that scores, adds to the score of row `c`; ln(factor) or part of it."""
    rule = plan.rules[r]
    item = work.item[c]
    if r < plan.first[FRESHNESS]:
        return rule.number if work.bits[c, rule.word] & rule.bit else 0.0
    if r < plan.first[ROTATE]:
        age_ms = asked.now_ms - plan.available_ms[item]
        fresh = plan.available_ms[item] > 0 and 0 <= age_ms < rule.span
        return rule.number * (1.0 - age_ms / rule.span) if fresh else 0.0
    times = work.mark[item] - rule.span + 1
    return rule.number * min(times, TIMES_MAX) if times > 0 else 0.0


@kernel
def rescore(plan: Plan, asked: Asked, work: Work, n: int) -> None:
    """Add what rules add to the scores of the first `n` rows, and put them in order; equals stay as they
    were.

    Rules are added in the order of the plan, so that sums are the same to the last bit everywhere.
    """
    for r in range(plan.first[BOOST], plan.first[PIN]):
        if work.active[r]:
            for c in range(n):
                work.score[c] += added(plan, asked, work, r, c)
    for k in range(n):
        score = work.score[k]
        at = k
        while at > 0 and work.score[work.order[at - 1]] < score:
            work.order[at] = work.order[at - 1]
            at -= 1
        work.order[at] = np.int32(k)
