"""Ranked lists of several origins as one list, by weights that are learned from what was taken of it.

The worth of a candidate is a sum over the members that propose it, and the likelihood of a choice the softmax
of the worths, climbed by AdaGrad, means of late weights ranking, as in `stream.learn.listwise`; contexts add
up as there, here by the number of items in the session. Of each member a candidate has::

    near      log((REACH + 1) / (place + 1)), places from 0
    score     log(score / the member's best), or where scores may be negative their distance from the best,
              the whole list being 1
    proposed  1

and beside these how many further members propose it. Weights of `near` and `score` are never negative: what
all members place above another stays above it, and one member alone keeps its order.

At the start the leading member's order holds, and what it does not propose follows. Where nobody leads,
`near` counts alike for all: reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009) with a steeper top.
Every member is judged on every list beside what was learned (as in `stream.learn.experts`, but that the last
2,000 or so decide): while one of them ranks better, its order is served, and filled up from the learned one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.learn.listwise import MEMORY, RATE
from stream.learn.quality import FADE

REACH = 40
"""Places of a member's list that are looked at."""

CUTOFF = 20
"""Places of a list that are judged."""

KEEP_MARGIN = 0.99
"""Share of a member's reciprocal rank below which that of the learned order has to fall before the member is
served: smaller differences are noise."""

FOLLOWS = 1e-3
"""Weight of a place with a member that does not lead: orders what the leading one does not propose."""

SCORE_FLOOR = 3e-4
"""Share of the best score below which all are alike: the engine tells scores to five decimals."""

NEAR, SCORE, PROPOSED = range(3)
PER_MEMBER = 3

_LENGTHS = (1, 2, 4, 8)
"""Items in a session from which a further context holds."""

_FIRST_SQUARES = 1e-2
_NEAR = np.log((REACH + 1.0) / np.arange(1.0, REACH + 1.0))
_RECIPROCAL = np.append(1.0 / np.arange(1.0, CUTOFF + 1.0), 0.0)


class Ranked(NamedTuple):
    """A member's list, best first; scores fall."""

    items: Sequence[str]
    scores: Sequence[float]


class Fused(NamedTuple):
    """One list of all that was proposed, and what it takes to learn from it."""

    items: list[str]
    """As served, best first."""
    number: dict[str, int]
    """Of each item: its row of `value`."""
    value: NDArray[np.float64]
    """(candidates, features)"""
    place: NDArray[np.int64]
    """(1 + members, candidates): in the learned order and in each member's; `CUTOFF` where it is beyond."""
    contexts: tuple[int, int]


class Fusion:
    """Joins lists, and learns from what was taken: 55 µs and 28 µs for two members, 15 more for each further
    one, most of it numpy's calls."""

    def __init__(self, members: Sequence[str], lead: str | None = None) -> None:
        """`lead`: the member whose order holds at the start."""
        self.members = tuple(members)
        features = PER_MEMBER * len(members) + 1
        self._weight = np.zeros((1 + len(_LENGTHS), features))
        for k, name in enumerate(members):
            self._weight[0, PER_MEMBER * k + NEAR] = 1.0 if lead in (None, name) else FOLLOWS
        self._least = np.full(features, -np.inf)
        for feature in (NEAR, SCORE):
            self._least[feature:-1:PER_MEMBER] = 0.0
        self._squares = np.full(self._weight.shape, _FIRST_SQUARES)
        self._mean = self._weight.copy()
        self._seen = np.zeros(len(self._weight), np.int64)
        self._gain = np.zeros(1 + len(members))

    @property
    def served(self) -> str | None:
        """The member whose order is served; None for the learned one."""
        best = int(self._gain[1:].argmax())
        worse = self._gain[0] < KEEP_MARGIN * self._gain[1 + best]
        return self.members[best] if worse else None

    def join(self, lists: Sequence[Ranked], in_session: int) -> Fused:
        """One list of those of all members, in their order, for a shopper with so many items in this
        session."""
        lists = [Ranked(each.items[:REACH], each.scores[:REACH]) for each in lists]
        number: dict[str, int] = {}
        for each in lists:
            for item in each.items:
                number.setdefault(item, len(number))
        count = len(number)
        value = np.zeros((count, self._weight.shape[1]))
        place = np.full((1 + len(lists), count), CUTOFF)
        rows = [np.array([number[item] for item in each.items], np.int64) for each in lists]
        for k, (each, row) in enumerate(zip(lists, rows, strict=True)):
            at = PER_MEMBER * k
            value[row, at + NEAR] = _NEAR[: len(row)]
            value[row, at + SCORE] = relative(np.array(each.scores))
            value[row, at + PROPOSED] = 1.0
            place[1 + k, row[:CUTOFF]] = np.arange(min(len(row), CUTOFF))
        value[:, -1] = value[:, PROPOSED:-1:PER_MEMBER].sum(1) - 1.0
        contexts = 0, max(1, sum(in_session >= least for least in _LENGTHS))
        # Of equals what an earlier member proposed, or placed higher, comes first.
        order = np.argsort(-(value @ self._mean[contexts, :].sum(0)), kind="stable")
        place[0, order[:CUTOFF]] = np.arange(min(count, CUTOFF))
        names = list(number)
        learned = [names[c] for c in order.tolist()]
        if (served := self.served) is not None:
            first = lists[self.members.index(served)].items
            learned = list(dict.fromkeys([*first, *learned]))
        return Fused(learned, number, value, place, contexts)

    def learn(self, fused: Fused, taken: str) -> None:
        """Take in which item came after a list."""
        c = fused.number.get(taken)
        self._gain *= FADE
        if c is None:
            return
        self._gain += _RECIPROCAL[fused.place[:, c]]
        contexts, value = fused.contexts, fused.value
        worth = value @ self._weight[contexts, :].sum(0)
        chance = np.exp(worth - worth.max())
        gradient = value[c] - (chance / chance.sum()) @ value
        for k in contexts:
            self._squares[k] += gradient * gradient
            self._weight[k] += RATE * gradient / np.sqrt(self._squares[k])
            np.maximum(self._weight[k], self._least, out=self._weight[k])
            self._seen[k] += 1
            share = 1.0 / min(MEMORY, max(1.0, 0.1 * self._seen[k]))
            self._mean[k] += share * (self._weight[k] - self._mean[k])


def relative(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores against the best of them, which is 0 then and all others are less: `score` above."""
    if not len(scores):
        return scores
    best, last = scores[0], scores[-1]
    if best > 0.0 and last >= 0.0:
        return np.log(np.maximum(scores / best, SCORE_FLOOR))  # type: ignore[no-any-return]
    return (scores - best) / max(best - last, 1e-9)  # type: ignore[no-any-return]
