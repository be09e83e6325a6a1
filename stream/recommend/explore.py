"""One place of some lists for an item of which little is known, so that it becomes known what it is worth.

Thompson sampling (Thompson, 1933; Chapelle and Li, 2011) among the newcomers of the last item's category:
each is put there with the probability that it is the one taken most often, by a Beta posterior whose prior is
the category's. That probability is worked out by quadrature, without a draw, whenever enough has happened;
which item it is follows from the event's hash. So the probability of every choice is known exactly, and is
published with it: other ways to choose can be judged by what was shown (inverse propensities). Soft state of
the worker.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import BANNED, Facts
from stream.items.newcomers import FEW, HELD_EACH, MAX_CATEGORIES, is_new
from stream.recommend.cold import NEW
from stream.recommend.encode import EXPLORED, Lists
from stream.recommend.pool import OWNED, SEEN, VISITED, Pool
from stream.recommend.ruled import Ruled, may_be_put
from stream.state.arena import reserve
from stream.state.hashing import mix64
from stream.state.jit import Row, kernel

TRIALS_MAX = 300
"""Lists that an item stands in; then it has had its chance, and others take its place."""

RATE, RATE_TRIALS, STRENGTH = 0.02, 50.0, 10.0
"""Share of trials that are expected to succeed, and for how many trials that counts beside a category's own;
for how many the category's share counts beside an item's."""

EVEN = 0.1
"""Part of the choices that is spread evenly: so no probability is too small to judge by."""

STALE, SUCCESS = 32, 8
"""Trials of a category after which its probabilities are worked out anew; and what a success counts as."""

_STEPS = 96
_LEAST = 1e-8
_SALT = np.uint64(0x9E3779B97F4A7C15)

TRIED = np.dtype([("shown", np.uint32), ("taken", np.uint32)])
"""How often an item, or those of a category, stood in the place, and was taken next."""


class Explorer(NamedTuple):
    """`below[0]`: events with a smaller hash explore, `share[0]` of all. By item and by category what was
    `TRIED`; by category the newcomers last judged, their chances, and the trials since. The rest is a grid of
    rates (their logarithms, and those of 1 - rate) and room to work."""

    below: NDArray[np.uint64]
    share: NDArray[np.float64]
    item: NDArray[np.void]
    category: NDArray[np.void]
    judged: NDArray[np.int32]
    chance: NDArray[np.float32]
    stale: NDArray[np.int32]
    log_rate: NDArray[np.float64]
    log_rest: NDArray[np.float64]
    width: NDArray[np.float64]
    density: NDArray[np.float64]
    below_rate: NDArray[np.float64]
    product: NDArray[np.float64]


def new_explorer(max_items: int, share: float) -> Explorer:
    """Nothing tried; `share` of lists are to explore."""
    # Finer where rates are small.
    root = (np.arange(_STEPS) + 0.5) / _STEPS
    return Explorer(
        np.array([np.uint64(min(share, 1.0) * (2.0**64 - 2048))]),
        np.array([share]),
        reserve(max_items, TRIED),
        reserve(MAX_CATEGORIES, TRIED),
        reserve(MAX_CATEGORIES * HELD_EACH, np.int32).reshape(MAX_CATEGORIES, HELD_EACH),
        reserve(MAX_CATEGORIES * HELD_EACH, np.float32).reshape(MAX_CATEGORIES, HELD_EACH),
        reserve(MAX_CATEGORIES, np.int32),
        np.log(root**2),
        np.log1p(-(root**2)),
        2.0 * root / _STEPS,
        np.zeros((HELD_EACH, _STEPS)),
        np.zeros((HELD_EACH, _STEPS)),
        np.zeros(_STEPS),
    )


@kernel
def explore(
    explorer: Explorer,
    facts: Facts,
    ruled: Ruled,
    pool: Pool,
    row: Row,
    event: np.uint64,
    lists: Lists,
    n: int,
) -> bool:
    """Put a newcomer into list `n` that the event with this hash has led to, if it is one of those that
    explore and there is any that the shop's rules and the shopper let through. The pool is still that of the
    list.

    Where rules give places to items (pins, promotions, caps), nothing is put between them. Working out the
    probabilities takes 25 µs, once in `STALE` lists that explore: .04 µs a list where one in twenty does.
    """
    row.explored = 0
    lists.explored[n] = 0.0
    if (
        mix64(event ^ _SALT) > explorer.below[0]
        or lists.size[n] <= EXPLORED
        or row.recent[0] == 0
        or row.crowd
    ):
        return False
    category = facts.item[row.recent[0] - 1].category
    ring = facts.new.item[category]
    if ring[0] == 0 or not may_be_put(ruled, -1):
        return False
    stale = explorer.stale[category] >= STALE
    for k in range(HELD_EACH):
        stale = stale or ring[k] != explorer.judged[category, k]
    if stale:
        _judge(explorer, facts, category)
    chance = explorer.chance[category]
    total = 0.0
    for k in range(HELD_EACH):
        if ring[k] > 0 and _fits(facts, ruled, pool, ring[k] - 1, category, lists, n):
            total += chance[k]
    if total <= 0.0:
        return False
    rest = np.float64(mix64(event + _SALT) >> np.uint64(11)) * 2.0**-53 * total
    found = -1
    for k in range(HELD_EACH):
        if ring[k] > 0 and _fits(facts, ruled, pool, ring[k] - 1, category, lists, n):
            found = k
            rest -= chance[k]
            if rest < 0.0:
                break
    _put(lists, n, ring[found] - 1, ruled.length)
    lists.explored[n] = explorer.share[0] * chance[found] / total
    row.explored = ring[found]
    tried = explorer.item[ring[found] - 1]
    tried.shown += 1
    if tried.shown >= TRIALS_MAX:
        facts.item[ring[found] - 1].heard = max(facts.item[ring[found] - 1].heard, FEW)
    explorer.category[category].shown += 1
    explorer.stale[category] += 1
    return True


@kernel
def reward(explorer: Explorer, facts: Facts, item: int) -> None:
    """What stood in the place was taken next."""
    explorer.item[item].taken += 1
    category = facts.item[item].category
    explorer.category[category].taken += 1
    explorer.stale[category] += SUCCESS


@kernel
def _fits(facts: Facts, ruled: Ruled, pool: Pool, item: int, category: int, lists: Lists, n: int) -> bool:
    """Whether an item may stand in list `n` and does not yet."""
    fact = facts.item[item]
    mark = int(facts.mark[item])
    if mark == BANNED or not is_new(fact, category) or not may_be_put(ruled, item):
        return False
    if mark == 0:
        return True
    c = mark - 1
    if pool.score[OWNED, c] > 0.0 or pool.score[VISITED, c] > 0.0 or pool.score[SEEN, c] > 0.0:
        return False
    for k in range(lists.size[n]):
        if lists.item[n, k] == item:
            return False
    return True


@kernel
def _put(lists: Lists, n: int, item: int, length: int) -> None:
    """Insert at its place; of a full list the last one goes."""
    size = min(lists.size[n] + 1, length)
    for k in range(size - 1, EXPLORED, -1):
        lists.item[n, k] = lists.item[n, k - 1]
        lists.score[n, k] = lists.score[n, k - 1]
        lists.reason[n, k] = lists.reason[n, k - 1]
        lists.because[n, k] = lists.because[n, k - 1]
        lists.shoppers[n, k] = lists.shoppers[n, k - 1]
    lists.item[n, EXPLORED] = item
    lists.reason[n, EXPLORED] = NEW
    lists.because[n, EXPLORED] = -1
    lists.shoppers[n, EXPLORED] = 0
    lists.size[n] = size


@kernel
def _judge(explorer: Explorer, facts: Facts, category: int) -> None:
    """Work out how likely each newcomer of a category is the best of them: the integral over all rates of its
    density times the probability that every other one's rate is lower."""
    ring, total = facts.new.item[category], explorer.category[category]
    density, below, product = explorer.density, explorer.below_rate, explorer.product
    rate = (total.taken + RATE * RATE_TRIALS) / (total.shown + RATE_TRIALS)
    many = 0
    for g in range(_STEPS):
        product[g] = 1.0
    for k in range(HELD_EACH):
        explorer.judged[category, k] = ring[k]
        explorer.chance[category, k] = 0.0
        if ring[k] == 0:
            continue
        many += 1
        tried = explorer.item[ring[k] - 1]
        a = STRENGTH * rate + tried.taken - 1.0
        b = STRENGTH * (1.0 - rate) + max(np.int64(tried.shown) - np.int64(tried.taken), 0) - 1.0
        whole = 0.0
        for g in range(_STEPS):
            density[k, g] = np.exp(a * explorer.log_rate[g] + b * explorer.log_rest[g]) * explorer.width[g]
            whole += density[k, g]
        so_far = 0.0
        for g in range(_STEPS):
            density[k, g] /= whole
            below[k, g] = max(so_far + 0.5 * density[k, g], _LEAST)
            so_far += density[k, g]
            product[g] *= below[k, g]
    whole = 0.0
    for k in range(HELD_EACH):
        if ring[k] > 0:
            best = 0.0
            for g in range(_STEPS):
                best += density[k, g] * product[g] / below[k, g]
            explorer.chance[category, k] = best
            whole += best
    for k in range(HELD_EACH):
        if ring[k] > 0:
            best = explorer.chance[category, k] / whole
            explorer.chance[category, k] = (1.0 - EVEN) * best + EVEN / many
    explorer.stale[category] = 0
