"""From candidates to an order: the model's, and the plain one that needs no model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.recommend.features import HELD, N_CONTEXTS, N_FEATURES, Description
from stream.recommend.pool import BOUGHT, FILL, HOP, LAST, LED_TO, LIMIT, OWNED, RECENT, SHARE, STEP, Pool
from stream.state.interner import Names
from stream.state.jit import kernel, small_kernel

LENGTH = 20
"""Items in a published list."""

KEPT = 40
"""Candidates of a list that are learned from, the best by the model: what is far down teaches little (40, 64
and 96 were alike), and noise from there costs .002 of hit rate."""

REACH = 64
"""Candidates that are ranked at most: so many where rules are to choose among them."""

NOT_PLACED = 255
"""A place that is not among the first `KEPT`."""

_HOP_WORTH = np.float32(1e-3)

_REST_WORTH = np.float32(1e-3)
"""Of all other shares, where one source goes before the others."""


class Scorer(NamedTuple):
    """A linear model as arrays: the worth of a candidate is the sum of its features times the weights of
    every context that holds. `weights`: float32 (contexts, features); `calibration`: reach, bias and slope
    (`stream.learn.model`); `active`: its order is published."""

    weights: NDArray[np.float32]
    calibration: NDArray[np.float64]
    active: NDArray[np.bool_]


def no_scorer() -> Scorer:
    """The model before anything was learned, whose order is not published."""
    weights = np.zeros((N_CONTEXTS, N_FEATURES), np.float32)
    return Scorer(weights, np.array([1.0, 0.0, 1.0]), np.zeros(1, np.bool_))


class Ranking(NamedTuple):
    """Working memory. `plain` and `worth` by candidate; `order` candidates by worth, `plain_order` by plain
    score, `size` how many of each; `plain_place` and `chance` by candidate; `kept` is room to sort in."""

    plain: NDArray[np.float32]
    worth: NDArray[np.float32]
    chance: NDArray[np.float32]
    bits: NDArray[np.int32]
    order: NDArray[np.int32]
    plain_order: NDArray[np.int32]
    plain_place: NDArray[np.uint8]
    kept: NDArray[np.float32]
    size: NDArray[np.int64]


def new_ranking(reach: int = REACH) -> Ranking:
    """Room for one pool, of which up to `reach` candidates are put in order."""
    chance = np.zeros(LIMIT, np.float32)
    return Ranking(
        np.zeros(LIMIT, np.float32),
        np.zeros(LIMIT, np.float32),
        chance,
        chance.view(np.int32),
        np.zeros(reach, np.int32),
        np.zeros(reach, np.int32),
        np.zeros(LIMIT, np.uint8),
        np.zeros(reach, np.float32),
        np.zeros(2, np.int64),
    )


@kernel
def order_plainly(pool: Pool, uses: NDArray[np.bool_], names: Names, ranking: Ranking, most: int) -> None:
    """The first `most` by the sum of the shares, of those that have any or fill up and were not bought."""
    _add_shares(pool, uses, ranking)
    size = _best(ranking.plain, pool, names, pool.size[0], most, ranking.kept, ranking.plain_order)
    ranking.size[1] = _any(ranking, size)


@kernel
def order_by_one(
    pool: Pool, uses: NDArray[np.bool_], lead: int, names: Names, ranking: Ranking, most: int
) -> None:
    """As `order_plainly`, but what source `lead` says goes before all that others say."""
    _add_shares(pool, uses, ranking)
    plain, score = ranking.plain, pool.score
    for c in range(pool.size[0]):
        if lead == OWNED or score[OWNED, c] == 0.0:
            plain[c] = score[lead, c] + _REST_WORTH * plain[c]
    size = _best(plain, pool, names, pool.size[0], most, ranking.kept, ranking.plain_order)
    ranking.size[1] = _any(ranking, size)


@kernel
def _add_shares(pool: Pool, uses: NDArray[np.bool_], ranking: Ranking) -> None:
    plain, score = ranking.plain, pool.score
    by_view = SHARE if uses[SHARE] else RECENT if uses[RECENT] else LAST if uses[LAST] else STEP
    for c in range(pool.size[0]):
        shares = score[by_view, c] + score[BOUGHT, c] + score[LED_TO, c]
        shares += score[FILL, c] + _HOP_WORTH * score[HOP, c]
        plain[c] = np.float32(0.0) if score[OWNED, c] > 0 else shares


@kernel
def _any(ranking: Ranking, size: int) -> int:
    """How many of the first `size` in plain order have any score."""
    while size > 0 and ranking.plain[ranking.plain_order[size - 1]] <= 0.0:
        size -= 1
    return size


@small_kernel
def order_by_model(
    pool: Pool, names: Names, description: Description, scorer: Scorer, ranking: Ranking, most: int
) -> None:
    """The first `most` by worth."""
    n, worth = pool.size[0], ranking.worth
    for c in range(n):
        worth[c] = 0.0
    for f in range(description.used[0]):
        weight = np.float32(0.0)
        for k in range(HELD):
            weight += scorer.weights[description.context[k], f]
        value = description.value[f]
        for c in range(n):
            worth[c] += weight * value[c]
    ranking.size[0] = _best(worth, pool, names, n, most, ranking.kept, ranking.order)


@kernel
def _best(
    score: NDArray[np.float32],
    pool: Pool,
    names: Names,
    n: int,
    most: int,
    kept: NDArray[np.float32],
    out: NDArray[np.int32],
) -> int:
    """Write the first `most` candidates by score to `out`; ties by the id's hash, never by number.

    Insertion above a rising threshold: few are moved once the first are found."""
    size = 0
    for c in range(n):
        mine, at = score[c], size
        if size == most:
            if mine < kept[most - 1] or not goes_before(mine, c, kept[most - 1], out[most - 1], pool, names):
                continue
            at = most - 1
        else:
            size += 1
        while at > 0 and goes_before(mine, c, kept[at - 1], out[at - 1], pool, names):
            kept[at], out[at] = kept[at - 1], out[at - 1]
            at -= 1
        kept[at], out[at] = mine, c
    return size


@small_kernel
def goes_before(mine: float, c: int, other: float, d: int, pool: Pool, names: Names) -> bool:
    """Whether candidate c, of score `mine`, goes before d: of equals that of the lower hash."""
    if mine != other:
        return mine > other
    return names.entries[pool.item[c]]["hash"] < names.entries[pool.item[d]]["hash"]  # type: ignore[no-any-return]


@kernel
def place_plainly(pool: Pool, ranking: Ranking) -> None:
    """Write where each candidate stands in the plain order, if it is among the first `KEPT`."""
    for c in range(pool.size[0]):
        ranking.plain_place[c] = NOT_PLACED
    for k in range(min(ranking.size[1], KEPT)):
        ranking.plain_place[ranking.plain_order[k]] = k


@small_kernel
def probability(chance: float, scorer: Scorer) -> float:
    """The calibrated probability that a candidate of this chance is taken."""
    odds = max(chance, 1e-6) / max(1.0 - chance, 1e-6)
    logit = scorer.calibration[1] + scorer.calibration[2] * np.log(odds)
    return scorer.calibration[0] / (1.0 + np.exp(-logit))  # type: ignore[no-any-return]


@small_kernel
def chances(n: int, ranking: Ranking) -> None:
    """The softmax of the worths, which are in order: the model's probability that a candidate comes next, if
    one of them does.

    exp by the exponent's bits and a parabola: within .2 %; summed as integers: both so that it is vectorised.
    """
    if n == 0:
        return
    worth, chance, bits = ranking.worth, ranking.chance, ranking.bits
    best, total = worth[ranking.order[0]], 0
    for c in range(n):
        y = max((worth[c] - best) * np.float32(1.4426950), np.float32(-60.0)) + np.float32(64.0)
        whole = np.int32(y)
        part = y - np.float32(whole)
        curve = (part - np.float32(1.0)) * part * np.float32(0.33977) + part
        bits[c] = np.int32((whole + np.int32(63)) << np.int32(23)) + np.int32(curve * np.float32(8388608.0))
    for c in range(n):
        total += int(chance[c] * np.float32(1 << 22))
    by = np.float32((1 << 22) / total)
    for c in range(n):
        chance[c] *= by
