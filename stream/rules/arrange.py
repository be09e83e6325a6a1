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

from stream.rules.let_through import FREE, PLACED, activate, add_pins, let_through, look_up, restrict, row_of
from stream.rules.mix import count_terms, describe, diversity, fetch, over_cap, put
from stream.rules.plan import CANDIDATES_MAX, CAP, INCLUDE_ONLY, PIN, PROMOTE, Arranged, Plan, Work
from stream.rules.request import NO_CATEGORY, Asked
from stream.rules.score import rescore
from stream.state.jit import kernel

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

    A list of 20 from 64 candidates takes .08 µs without rules, 2 to 3 µs with one rule, 3 with a cap, a
    promotion and a pin, 5 with diversity besides; where candidates come from all over 200,000 items, most of
    which are in no cache, 3 to 7, 7 and 10 µs (`python -m benchmarks.rules`).
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
    activate(plan, asked, work)
    for c in range(n):
        work.item[c] = items[c]
        work.score[c] = scores[c]
        look_up(plan, work, c)
    rows = add_pins(plan, work, n)
    restrict(plan, asked, work, rows)
    if not let_through(plan, work, rows, True):
        for r in range(plan.first[INCLUDE_ONLY], plan.first[INCLUDE_ONLY + 1]):
            if work.active[r]:
                out.relaxed[0] = True
                plan.relaxed[plan.rules[r].slot] += 1
        if out.relaxed[0]:
            let_through(plan, work, rows, False)
    for k in range(asked.shown_size):
        work.mark[asked.shown[k]] += 1
    rescore(plan, asked, work, n)
    for k in range(asked.shown_size):
        work.mark[asked.shown[k]] = 0
    if plan.first[CAP] < len(plan.rules):
        fetch(plan, work, rows)
    describe(plan, work, rows)
    _place_pins(plan, asked, work, n, rows)
    return _fill(plan, asked, work, n, rows, out)


@kernel
def _place_pins(plan: Plan, asked: Asked, work: Work, n: int, rows: int) -> None:
    """Give pins their places, and count what is owed to promotions."""
    d = diversity(plan, work)
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
        c = row_of(work, rows, plan.rules[r].item) if work.active[r] else -1
        if c < 0 or work.cause[c] != FREE:
            continue
        k = int(plan.rules[r].number) - 1
        while k < asked.length and work.slot[k]:
            k += 1
        if k >= asked.length:
            continue
        over = over_cap(plan, work, c)
        if over:
            work.cause[c] = over
        else:
            work.slot[k] = c + 1
            work.by[k] = r + 1
            put(plan, work, c, rows, d)
    # What has no place by its pin has none at all, unless it is a candidate.
    for c in range(n, rows):
        if work.cause[c] == FREE:
            work.cause[c] = PLACED


@kernel
def _fill(plan: Plan, asked: Asked, work: Work, n: int, rows: int, out: Arranged) -> int:
    """Fill the places that no pin has. Pins beyond the last candidate move up."""
    d = diversity(plan, work)
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
                put(plan, work, c, rows, d)
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
            count_terms(plan, work, out.item[k], 0)
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
            work.cause[c] = over_cap(plan, work, c)
            if work.cause[c] != FREE:
                continue
        if found < 0:
            work.first[0] = c
        found, most = c, worth
        if d < 0:
            break
    return found
