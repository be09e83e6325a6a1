"""The kernel that makes ranked candidates into the list that is shown.

In this order, and of two that disagree the later wins:

1. scores: `boost`, `bury`, `freshness` and `rotate` add ln(factor); equals stay as they were;
2. `diversity`: at each place the candidate with the most of lambda x rel - (1 - lambda) x similar, `rel` its
   share of the best score, `similar` the largest share of attributes in which it equals an item that has its
   place (maximal marginal relevance; Carbonell and Goldstein, 1998);
3. `promote`: whenever places 1 to k hold fewer than share x k such items, the next is one, and at the
   latest when the places left are as many as are owed;
4. `pin`: takes its place before all others, or the next one if a pin that wins over it is there;
5. `cap`: what would exceed it is left out, and pins count first;
6. what must not be shown: withdrawn, hidden, not wanted by the request, `exclude`, `include-only`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.rules.matches import KNOWN
from stream.rules.plan import (
    CANDIDATES_MAX,
    CAP,
    DIVERSITY,
    INCLUDE_ONLY,
    PIN,
    PROMOTE,
    Arranged,
    Plan,
    Work,
)
from stream.rules.program import NONE, holds
from stream.rules.request import NO_CATEGORY, Asked
from stream.rules.score import rescore
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

_ROUNDING = 1e-9


@kernel
def arrange(
    plan: Plan,
    asked: Asked,
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    n: int,
    work: Work,
    out: Arranged,
) -> int:
    """Put up to ``asked.length`` of the first `n` candidates, and of the pins, into `out`; how many.

    Candidates are different items in falling score, none of them withdrawn (without rules nobody looks).
    Scores are on a scale on which a factor on the odds, or on the share, adds its logarithm: logits, or
    logarithms of shares; so are those given out. A pin that was no candidate gets the last candidate's. At
    most `CANDIDATES_MAX` are looked at.
    """
    out.relaxed[0] = False
    if plan.idle and asked.excluded_size == 0 and asked.category == NO_CATEGORY:
        size = min(n, asked.length)
        for k in range(size):
            out.item[k] = items[k]
            out.score[k] = scores[k]
            out.origin[k] = k
        return size
    n = min(n, CANDIDATES_MAX)
    _activate(plan, asked, work)
    for c in range(n):
        work.item[c] = items[c]
        work.score[c] = scores[c]
        _look_up(plan, work, c)
    rows = _add_pins(plan, work, n)
    _restrict(plan, asked, work, rows)
    if not _filter(plan, work, rows, True):
        for r in range(plan.first[INCLUDE_ONLY], plan.first[INCLUDE_ONLY + 1]):
            if work.active[r]:
                out.relaxed[0] = True
                plan.relaxed[plan.rules[r].slot] += 1
        if out.relaxed[0]:
            _filter(plan, work, rows, False)
    for k in range(asked.shown_size):
        work.mark[asked.shown[k]] += 1
    rescore(plan, asked, work, n)
    for k in range(asked.shown_size):
        work.mark[asked.shown[k]] = 0
    if plan.first[CAP] < len(plan.rules):
        _fetch(plan, work, rows)
    _describe(plan, work, rows)
    _place_pins(plan, asked, work, n, rows)
    return _fill(plan, asked, work, n, rows, out)


@kernel
def _activate(plan: Plan, asked: Asked, work: Work) -> None:
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
def _look_up(plan: Plan, work: Work, c: int) -> None:
    """What the row of an item says: all that is far away in memory is read at once, without a decision."""
    item = work.item[c]
    flags = plan.rows[item, 0]
    hidden = flags & plan.hidden != 0
    work.cause[c] = WITHDRAWN if plan.withdrawn[item] else HIDDEN if hidden else FREE
    known = flags & KNOWN != 0
    for w in range(plan.rows.shape[1] - 1):
        work.bits[c, w] = plan.rows[item, 1 + w] if known else plan.default[0, 1 + w]


@kernel
def _add_pins(plan: Plan, work: Work, n: int) -> int:
    """Give pinned items that are no candidates rows of their own; how many rows there are then."""
    rows = n
    for r in range(plan.first[PIN], plan.first[PIN + 1]):
        item = plan.rules[r].item
        if (
            work.active[r]
            and rows < len(work.item)
            and plan.rows[item, 0] & KNOWN != 0
            and _row(work, rows, item) < 0
        ):
            work.item[rows] = item
            work.score[rows] = work.score[n - 1] if n else 0.0
            _look_up(plan, work, rows)
            rows += 1
    return rows


@kernel
def _row(work: Work, rows: int, item: int) -> int:
    for c in range(rows):
        if work.item[c] == item:
            return c
    return -1


@kernel
def _restrict(plan: Plan, asked: Asked, work: Work, rows: int) -> None:
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
            if work.cause[c] == FREE and plan.category[work.item[c]] != asked.category:
                work.cause[c] = OTHER_CATEGORY


@kernel
def _filter(plan: Plan, work: Work, rows: int, include: bool) -> int:
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
def _culprit(plan: Plan, work: Work, c: int, include: bool) -> int:
    """The first rule that keeps a row out, + 1."""
    for r in range(plan.first[INCLUDE_ONLY + 1]):
        rule = plan.rules[r]
        found = work.bits[c, rule.word] & rule.bit != 0
        if work.active[r] and (found if r < plan.first[INCLUDE_ONLY] else include and not found):
            return r + 1
    return FREE


@kernel
def _fetch(plan: Plan, work: Work, rows: int) -> None:
    """Read one value of each row, which are far apart in memory: without a decision between two of them many
    are on their way at once, and what follows finds them near. Takes a third off a list with a cap."""
    total = 0
    for c in range(rows):
        total += plan.facts.entries[plan.facts.runs[work.item[c]].start].term
    work.first[0] = total


@kernel
def _describe(plan: Plan, work: Work, rows: int) -> None:
    """For diversity: the first value of each attribute of the rows, and their share of the best score."""
    d = _diversity(plan, work)
    if d < 0:
        return
    rule = plan.rules[d]
    best = -np.inf
    for c in range(rows):
        work.similar[c] = 0
        if work.cause[c] == FREE:
            best = max(best, work.score[c])
    for c in range(rows):
        if work.cause[c] != FREE:
            continue
        work.rel[c] = np.exp(work.score[c] - best)
        run = plan.facts.runs[work.item[c]]
        for a in range(rule.attributes):
            work.terms[a, c] = -1
            for e in range(run.start, run.start + run.size):
                entry = plan.facts.entries[e]
                if entry.attribute >= rule.attribute[a]:
                    if entry.attribute == rule.attribute[a]:
                        work.terms[a, c] = entry.term
                    break


@kernel
def _diversity(plan: Plan, work: Work) -> int:
    """The rule of diversity that holds, the first; -1 for none."""
    for r in range(plan.first[DIVERSITY], plan.first[DIVERSITY + 1]):
        if work.active[r]:
            return r
    return -1


@kernel
def _over(plan: Plan, work: Work, c: int) -> int:
    """The cap that row `c` would exceed, + 1; 0 for none."""
    run = plan.facts.runs[work.item[c]]
    for r in range(plan.first[CAP], plan.first[CAP + 1]):
        if work.active[r]:
            rule = plan.rules[r]
            for e in range(run.start, run.start + run.size):
                entry = plan.facts.entries[e]
                if entry.attribute > rule.attribute[0]:
                    break
                counts = entry.attribute == rule.attribute[0] and entry.term >= 0
                if counts and work.tally[entry.term] >= rule.number:
                    return r + 1
    return 0


@kernel
def _put(plan: Plan, work: Work, c: int, rows: int, d: int) -> None:
    """Row `c` gets a place: it counts for caps and promotions, and what is like it becomes less wanted."""
    work.cause[c] = PLACED
    if plan.first[CAP] < plan.first[CAP + 1]:
        _count(plan, work, work.item[c], 1)
    for r in range(plan.first[PROMOTE], plan.first[PROMOTE + 1]):
        work.have[r] += work.bits[c, plan.rules[r].word] & plan.rules[r].bit != 0
    if d >= 0:
        # Plain loops over neighbouring numbers, of all rows, which run eight at a time.
        for o in range(rows):
            work.same[o] = 0
        for a in range(plan.rules[d].attributes):
            term = work.terms[a, c]
            if term >= 0:
                for o in range(rows):
                    work.same[o] += work.terms[a, o] == term
        for o in range(rows):
            work.similar[o] = max(work.similar[o], work.same[o])


@kernel
def _count(plan: Plan, work: Work, item: int, by: int) -> None:
    """Add one to the tallies of the capped terms of an item that has its place; `by` 0: they become zero
    again."""
    run = plan.facts.runs[item]
    for r in range(plan.first[CAP], plan.first[CAP + 1]):
        attribute = plan.rules[r].attribute[0]
        # Two caps of one attribute share its tallies.
        again = False
        for other in range(plan.first[CAP], r):
            again = again or plan.rules[other].attribute[0] == attribute
        if again:
            continue
        for e in range(run.start, run.start + run.size):
            entry = plan.facts.entries[e]
            if entry.attribute > attribute:
                break
            if entry.attribute == attribute and entry.term >= 0:
                work.tally[entry.term] = work.tally[entry.term] + 1 if by else 0


@kernel
def _place_pins(plan: Plan, asked: Asked, work: Work, n: int, rows: int) -> None:
    """Give pins their places, and count what is owed to promotions."""
    d = _diversity(plan, work)
    for k in range(asked.length):
        work.slot[k] = 0
    for r in range(plan.first[PROMOTE], plan.first[PROMOTE + 1]):
        rule = plan.rules[r]
        work.have[r] = 0
        work.front[r] = 0
        enough = 0
        for c in range(rows):
            enough += work.cause[c] == FREE and work.bits[c, rule.word] & rule.bit != 0
        work.quota[r] = min(enough, int(np.ceil(rule.number * asked.length - _ROUNDING)))
    for r in range(plan.first[PIN], plan.first[PIN + 1]):
        c = _row(work, rows, plan.rules[r].item) if work.active[r] else -1
        if c < 0 or work.cause[c] != FREE:
            continue
        k = int(plan.rules[r].number) - 1
        while k < asked.length and work.slot[k]:
            k += 1
        if k >= asked.length:
            continue
        over = _over(plan, work, c)
        if over:
            work.cause[c] = over
        else:
            work.slot[k] = c + 1
            work.by[k] = r + 1
            _put(plan, work, c, rows, d)
    # What has no place by its pin has none at all, unless it is a candidate.
    for c in range(n, rows):
        if work.cause[c] == FREE:
            work.cause[c] = PLACED


@kernel
def _fill(plan: Plan, asked: Asked, work: Work, n: int, rows: int, out: Arranged) -> int:
    """Fill the places that no pin has. Pins beyond the last candidate move up."""
    d = _diversity(plan, work)
    free = 0
    for k in range(asked.length):
        free += work.slot[k] == 0
    size = 0
    more = True
    for k in range(asked.length):
        c = work.slot[k] - 1
        by = work.by[k]
        if c < 0 and more:
            due = _due(plan, work, size, free)
            c, by = -1, 0
            while c < 0 and due >= 0:
                c = _best(plan, work, n, due, d)
                by = due + 1
                if c < 0:
                    # None is left of what is owed.
                    work.quota[due] = work.have[due]
                    due = _due(plan, work, size, free)
            if c < 0:
                c = _best(plan, work, n, -1, d)
                by = d + 1 if c != work.first[0] else 0
            free -= 1
            more = c >= 0
            if c >= 0:
                _put(plan, work, c, rows, d)
        if c >= 0:
            out.item[size] = work.item[c]
            out.score[size] = work.score[c]
            out.origin[size] = c if c < n else -1
            work.by[size] = by
            for r in range(plan.first[PROMOTE], plan.first[PROMOTE + 1]):
                work.front[r] += work.bits[c, plan.rules[r].word] & plan.rules[r].bit != 0
            size += 1
    if plan.first[CAP] < plan.first[CAP + 1]:
        for k in range(size):
            _count(plan, work, out.item[k], 0)
    return size


@kernel
def _due(plan: Plan, work: Work, placed: int, free: int) -> int:
    """The promotion whose item must come next, -1 for none; `free` places are left, this one among them."""
    owed = 0
    for r in range(plan.first[PROMOTE], plan.first[PROMOTE + 1]):
        if work.active[r]:
            owed += max(0, work.quota[r] - work.have[r])
    if owed == 0:
        return -1
    for r in range(plan.first[PROMOTE], plan.first[PROMOTE + 1]):
        if work.active[r] and work.have[r] < work.quota[r]:
            by_now = int(plan.rules[r].number * (placed + 1) + _ROUNDING)
            if owed >= free or work.front[r] < by_now:
                return r
    return -1


@kernel
def _best(plan: Plan, work: Work, n: int, promotion: int, d: int) -> int:
    """The row that comes next, -1 if there is none: of `promotion` (-1: of all), with diversity by rule `d`
    (-1: none). What caps keep out is noted on the way, and in `first` what would come without diversity."""
    found, most = -1, -np.inf
    work.first[0] = -1
    capped = plan.first[CAP] < plan.first[CAP + 1]
    weight = plan.rules[d].number if d >= 0 else 1.0
    like = (1.0 - weight) / plan.rules[d].attributes if d >= 0 else 0.0
    for k in range(n):
        c = work.order[k]
        if work.cause[c] != FREE:
            continue
        if promotion >= 0 and not work.bits[c, plan.rules[promotion].word] & plan.rules[promotion].bit:
            continue
        worth = 0.0
        if d >= 0:
            # Those that follow rank lower, and may at best be like nothing that has its place.
            if weight * work.rel[c] <= most:
                break
            worth = weight * work.rel[c] - like * work.similar[c]
        if worth <= most:
            continue
        if capped:
            work.cause[c] = _over(plan, work, c)
            if work.cause[c] != FREE:
                continue
        if found < 0:
            work.first[0] = c
        found, most = c, worth
        if d < 0:
            break
    return found
