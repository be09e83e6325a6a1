"""From a shopper's row to the list that is published: gather, describe, order, cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.due import Wanted
from stream.items.facts import Facts
from stream.recommend.behind import tell
from stream.recommend.candidates import gather, row_read
from stream.recommend.encode import Lists
from stream.recommend.explore import Explorer
from stream.recommend.features import Description, describe
from stream.recommend.network import Network, refine
from stream.recommend.pool import Pool, clear
from stream.recommend.popular import Leaders
from stream.recommend.rank import (
    KEPT,
    LENGTH,
    REACH,
    Ranking,
    Scorer,
    chances,
    order_by_model,
    order_plainly,
    place_plainly,
    probability,
)
from stream.recommend.ruled import Ruled, fill_by_rules
from stream.state.interner import Names
from stream.state.jit import Row, kernel, long_kernel, small_kernel


class Ranker(NamedTuple):
    """What lists are made from: item rows, popularity, the model, and room to work in."""

    items: NDArray[np.void]
    wanted: Wanted
    facts: Facts
    item_names: Names
    leaders: Leaders
    scorer: Scorer
    network: Network
    pool: Pool
    uses: NDArray[np.bool_]
    description: Description
    ranking: Ranking
    ruled: Ruled
    explorer: Explorer


@small_kernel
def make_list(row: Row, history: Row, ranker: Ranker, lists: Lists, n: int, measured: bool) -> bool:
    """Rank for one shopper into list `n`; whether there is anything to publish: an empty list is, if rules of
    the shop leave nothing of it. About 8 µs. Leaves the pool: `clear` it.

    `measured`: it will be labelled, so that both orders are made, as far as they are learned from.
    """
    most, active = REACH, follows_model(row, ranker)
    if ranker.ruled.plan.idle:
        most = KEPT if measured else LENGTH
    rank(row, history, ranker, most, measured or not active, measured or active)
    return fill(row, history, ranker, lists, n)


@small_kernel
def rank(row: Row, history: Row, ranker: Ranker, most: int, plain: bool, by_model: bool) -> None:
    """The first `most` candidates of one shopper, in plain order, in the model's, or both."""
    gather(ranker.pool, ranker.uses, ranker.items, ranker.wanted, ranker.facts, ranker.leaders, row, history)
    order(row, history, ranker, most, plain, by_model)


@small_kernel
def order(row: Row, history: Row, ranker: Ranker, most: int, plain: bool, by_model: bool) -> None:
    """Put the first `most` candidates of the pool in order."""
    pool, names, ranking = ranker.pool, ranker.item_names, ranker.ranking
    if plain:
        order_plainly(pool, ranker.uses, names, ranking, most)
        if by_model:
            place_plainly(pool, ranking)
    if by_model:
        last = row_read(pool, ranker.items, ranker.facts, max(row.recent[0] - 1, 0), 0)
        describe(pool, ranker.uses, ranker.facts, row, history, last, ranker.description)
        refined = ranker.network.active[0]
        reach = max(most, KEPT) if refined else most
        order_by_model(pool, names, ranker.description, ranker.scorer, ranking, reach)
        if refined:
            refine(pool, names, ranker.network, ranker.description, ranking, most)


@small_kernel
def fill(row: Row, history: Row, ranker: Ranker, lists: Lists, n: int) -> bool:
    """Write what was ranked into list `n`, in the order that is to be published, and what stands behind it;
    whether it is to be."""
    pool, ranking, active = ranker.pool, ranker.ranking, follows_model(row, ranker)
    lists.plain[n] = not active
    if active:
        chances(pool.size[0], ranking)
    if not ranker.ruled.plan.idle:
        size = fill_by_rules(
            row, history, ranker.ruled, pool, ranker.facts, ranker.leaders, ranking, ranker.scorer, active,
            lists, n,
        )  # fmt: skip
        tell(row, ranker.items, ranker.facts, pool, lists, n)
        return size > 0 or ranked(row, ranker)
    size = min(ranking.size[0 if active else 1], ranker.ruled.length)
    for k in range(size):
        c = ranking.order[k] if active else ranking.plain_order[k]
        lists.item[n, k] = pool.item[c]
        lists.reason[n, k] = pool.reason[c]
        if active:
            lists.score[n, k] = probability(ranking.chance[c], ranker.scorer)
        else:
            lists.score[n, k] = ranking.plain[c]
    lists.size[n] = size
    tell(row, ranker.items, ranker.facts, pool, lists, n)
    return size > 0  # type: ignore[no-any-return]


@kernel
def follows_model(row: Row, ranker: Ranker) -> bool:
    """Whether the model's order is published. Not to who has looked at nothing yet: it learns what follows a
    look, and before any the plain order has twice as much of what is taken (`benchmarks.cohorts`)."""
    return ranker.scorer.active[0] and row.recent[0] > 0  # type: ignore[no-any-return]


@kernel
def ranked(row: Row, ranker: Ranker) -> bool:
    """Whether the ranking that is published holds any candidate, whatever rules made of it."""
    return ranker.ranking.size[0 if follows_model(row, ranker) else 1] > 0  # type: ignore[no-any-return]


@long_kernel
def make_lists(
    rows: NDArray[np.void],
    histories: NDArray[np.void],
    numbers: NDArray[np.int32],
    ranker: Ranker,
    lists: Lists,
    asked: NDArray[np.int32],
) -> None:
    """Rank for shoppers outside of any event; `asked[n]` becomes n, or -1 - n where nothing is known."""
    for n in range(len(numbers)):
        row = rows[numbers[n]]
        lists.explored[n] = 0.0
        made = make_list(row, histories[row.history], ranker, lists, n, False)
        clear(ranker.pool, ranker.facts)
        asked[n] = n if made else -1 - n
