"""What a list holds already, as caps, promotions and diversity count it."""

from __future__ import annotations

import numpy as np

from stream.rules.let_through import FREE, PLACED
from stream.rules.plan import CAP, DIVERSITY, PROMOTE, Plan, Work
from stream.state.jit import kernel


@kernel
def fetch(plan: Plan, work: Work, rows: int) -> None:
    """Read one value of each row, which are far apart in memory: without a decision between two of them many
    are on their way at once, and what follows finds them near. Takes a third off a list with a cap."""
    total = 0
    for c in range(rows):
        total += plan.facts.entries[plan.facts.runs[work.item[c]].start].term
    work.first[0] = total


@kernel
def describe(plan: Plan, work: Work, rows: int) -> None:
    """For diversity: the first value of each attribute of the rows, and their share of the best score."""
    d = diversity(plan, work)
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
def diversity(plan: Plan, work: Work) -> int:
    """The rule of diversity that holds, the first; -1 for none."""
    for r in range(plan.first[DIVERSITY], plan.first[DIVERSITY + 1]):
        if work.active[r]:
            return r
    return -1


@kernel
def over_cap(plan: Plan, work: Work, c: int) -> int:
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
def put(plan: Plan, work: Work, c: int, rows: int, d: int) -> None:
    """Row `c` gets a place: it counts for caps and promotions, and what is like it becomes less wanted."""
    work.cause[c] = PLACED
    if plan.first[CAP] < plan.first[CAP + 1]:
        count_terms(plan, work, work.item[c], 1)
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
def count_terms(plan: Plan, work: Work, item: int, by: int) -> None:
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
