"""Which candidates and pins may be shown at all: the first half of `stream.rules.arrange`."""

from __future__ import annotations

from stream.rules.matches import KNOWN
from stream.rules.plan import INCLUDE_ONLY, PIN, Plan, Work
from stream.rules.program import NONE, holds
from stream.rules.request import NO_CATEGORY, Asked
from stream.state.jit import kernel

FREE, WITHDRAWN, HIDDEN, UNWANTED, OTHER_CATEGORY, PLACED = 0, -1, -2, -3, -4, -5
"""Causes; a positive one is the rule's place in the plan + 1."""

CAUSES = {
    WITHDRAWN: "withdrawn",
    HIDDEN: "hidden",
    UNWANTED: "not wanted",
    OTHER_CATEGORY: "other category",
}
"""Why an item is not shown if no rule of the plan is to blame, in words."""


@kernel
def activate(plan: Plan, asked: Asked, work: Work) -> None:
    """Which rules hold for this request, and the bits of those that filter."""
    words = plan.rows.shape[1] - 1
    for w in range(words):
        work.masks[0, w] = 0
        work.masks[1, w] = 0
    for r in range(len(plan.rules)):
        rule = plan.rules[r]
        on = rule.context == NONE
        if not on and asked.anchor >= 0:
            run = plan.facts.runs[asked.anchor]
            on = holds(plan.facts, rule.context, run.start, run.size, asked.now_ms)
        work.active[r] = on
        if on and r < plan.first[INCLUDE_ONLY + 1]:
            work.masks[0 if r < plan.first[INCLUDE_ONLY] else 1, rule.word] |= rule.bit


@kernel
def look_up(plan: Plan, work: Work, c: int) -> None:
    """What the row of an item says: all that is far away in memory is read at once, without a decision."""
    item = work.item[c]
    flags = plan.rows[item, 0]
    hidden = flags & plan.hidden != 0
    work.cause[c] = WITHDRAWN if plan.about[item].withdrawn else HIDDEN if hidden else FREE
    known = flags & KNOWN != 0
    for w in range(plan.rows.shape[1] - 1):
        work.bits[c, w] = plan.rows[item, 1 + w] if known else plan.default[0, 1 + w]


@kernel
def add_pins(plan: Plan, work: Work, n: int) -> int:
    """Give pinned items that are no candidates rows of their own; how many rows there are then."""
    rows = n
    for r in range(plan.first[PIN], plan.first[PIN + 1]):
        item = plan.rules[r].item
        if (
            work.active[r]
            and rows < len(work.item)
            and plan.rows[item, 0] & KNOWN != 0
            and row_of(work, rows, item) < 0
        ):
            work.item[rows] = item
            work.score[rows] = work.score[n - 1] if n else 0.0
            look_up(plan, work, rows)
            rows += 1
    return rows


@kernel
def row_of(work: Work, rows: int, item: int) -> int:
    """The row of an item among the first `rows`, -1 if it has none."""
    for c in range(rows):
        if work.item[c] == item:
            return c
    return -1


@kernel
def restrict(plan: Plan, asked: Asked, work: Work, rows: int) -> None:
    """Leave out what the request does not want."""
    if asked.excluded_size:
        for k in range(asked.excluded_size):
            work.mark[asked.excluded[k]] = 1
        for c in range(rows):
            if work.cause[c] == FREE and work.mark[work.item[c]]:
                work.cause[c] = UNWANTED
        for k in range(asked.excluded_size):
            work.mark[asked.excluded[k]] = 0
    if asked.category != NO_CATEGORY:
        for c in range(rows):
            if work.cause[c] == FREE and plan.about[work.item[c]].category != asked.category:
                work.cause[c] = OTHER_CATEGORY


@kernel
def let_through(plan: Plan, work: Work, rows: int, include: bool) -> int:
    """Find what rules let through; how many rows are left."""
    left = 0
    for c in range(rows):
        if work.cause[c] < FREE:
            continue
        fits = True
        for w in range(plan.rows.shape[1] - 1):
            bits = work.bits[c, w]
            fits = fits and not bits & work.masks[0, w]
            fits = fits and (not include or bits & work.masks[1, w] == work.masks[1, w])
        work.cause[c] = FREE if fits else _culprit(plan, work, c, include)
        left += fits
    return left


@kernel
def would_let(plan: Plan, work: Work, item: int) -> bool:
    """Whether the rules of the request last arranged let an item through, be it a candidate or not."""
    flags = plan.rows[item, 0]
    if plan.about[item].withdrawn or flags & plan.hidden != 0:
        return False
    fits, known = True, flags & KNOWN != 0
    for w in range(plan.rows.shape[1] - 1):
        bits = plan.rows[item, 1 + w] if known else plan.default[0, 1 + w]
        fits = fits and not bits & work.masks[0, w] and bits & work.masks[1, w] == work.masks[1, w]
    return fits


@kernel
def _culprit(plan: Plan, work: Work, c: int, include: bool) -> int:
    """The first rule that keeps a row out, + 1."""
    for r in range(plan.first[INCLUDE_ONLY + 1]):
        rule = plan.rules[r]
        found = work.bits[c, rule.word] & rule.bit != 0
        if work.active[r] and (found if r < plan.first[INCLUDE_ONLY] else include and not found):
            return r + 1
    return FREE
