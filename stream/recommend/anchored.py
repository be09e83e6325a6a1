"""Lists that begin elsewhere than with what a shopper looks at: with an item's page, a cart, a request."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import BANNED, Facts, stand_in
from stream.recommend.candidates import CATEGORY, TRENDING, gather
from stream.recommend.encode import Lists
from stream.recommend.make import Ranker, fill, follows_model, order
from stream.recommend.pool import COLUMNS, FILL, OWNED, Pool, ban, clear, put
from stream.recommend.popular import Leaders
from stream.recommend.rank import Ranking, order_by_one
from stream.shoppers.session import look_at
from stream.state.jit import Row, kernel, long_kernel


class Way(NamedTuple):
    """How lists of a scenario are made, as kernels see it.

    `lead`: the source that goes before the others, -1 for none; `per_category`: items of one category, at
    most, 0 for any number; `category`: of what is asked for, 0 for any, -1 for one that there is not;
    `enough`: candidates up to which popular items are added, 0 for as many as are usual; `from_cart`: what
    lies in the cart comes before what was looked at; `without_*`: no item of the shopper's window, cart or
    purchases.
    """

    lead: int = -1
    per_category: int = 0
    category: int = 0
    enough: int = 0
    from_cart: bool = False
    without_window: bool = False
    without_cart: bool = False
    without_bought: bool = False


@kernel
def _leave_out(pool: Pool, facts: Facts, row: Row, history: Row, banned: NDArray[np.int32], way: Way) -> None:
    if way.without_window:
        for k in range(len(row.recent)):
            ban(pool, facts, row.recent[k])
    if way.without_cart:
        for k in range(len(history.cart)):
            ban(pool, facts, history.cart[k])
    if way.without_bought:
        for k in range(len(history.bought)):
            ban(pool, facts, history.bought[k])
    for item in banned:
        ban(pool, facts, item + 1)


@kernel
def _again(pool: Pool, facts: Facts, history: Row) -> None:
    """What was bought, by how often and how lately: 1/k for the k-th last purchase, summed."""
    slots = len(history.bought)
    for c in range(pool.size[0]):
        pool.score[OWNED, c] = 0.0
    for k in range(min(history.n_bought, slots)):
        item = history.bought[(history.n_bought - 1 - k) % slots]
        c = int(facts.mark[stand_in(facts, max(item - 1, 0))])
        if item > 0 and c > 0 and c != BANNED:
            pool.score[OWNED, c - 1] += np.float32(1.0 / (k + 1))


@kernel
def _add_popular(pool: Pool, facts: Facts, leaders: Leaders, category: int, enough: int) -> None:
    """Below any share: the leaders of the category, then those of the shop until there are `enough`."""
    if category > 0:
        for k in range(leaders.by_category.shape[1]):
            if leaders.by_category[category, k] == 0:
                break
            c = put(pool, facts, leaders.by_category[category, k] - 1, CATEGORY)
            if c >= 0:
                pool.score[FILL, c] = max(pool.score[FILL, c], np.float32(1e-4 / (k + 1)))
    for k in range(len(leaders.overall)):
        if leaders.overall[k] == 0 or pool.size[0] >= enough:
            break
        c = put(pool, facts, leaders.overall[k] - 1, TRENDING)
        if c >= 0:
            pool.score[FILL, c] = max(pool.score[FILL, c], np.float32(1e-6 / (k + 1)))


@kernel
def _keep_category(pool: Pool, facts: Facts, category: int) -> None:
    """Take candidates of other categories out: the last one takes the place of each."""
    c = 0
    while c < pool.size[0]:
        if facts.item[pool.item[c]].category == category:
            c += 1
            continue
        last = pool.size[0] - 1
        facts.mark[pool.item[c]] = 0
        if c != last:
            pool.item[c], pool.reason[c] = pool.item[last], pool.reason[last]
            pool.by[c] = pool.by[last]
            facts.mark[pool.item[c]] = c + 1
        for s in range(COLUMNS):
            pool.score[s, c] = pool.score[s, last]
            pool.score[s, last] = 0.0
        pool.by[last] = 0
        pool.size[0] = last


@kernel
def _cap(pool: Pool, facts: Facts, places: NDArray[np.int32], size: int, most: int) -> int:
    """Leave out of the order what exceeds `most` of one category; how many are left. Items without a category
    are not counted."""
    kept = 0
    for k in range(size):
        category, same = facts.item[pool.item[places[k]]].category, 0
        for before in range(kept if category > 0 else 0):
            same += facts.item[pool.item[places[before]]].category == category
        if same < most:
            places[kept] = places[k]
            kept += 1
    return kept


@kernel
def _rank(row: Row, history: Row, ranker: Ranker, way: Way) -> None:
    pool, facts, ranking = ranker.pool, ranker.facts, ranker.ranking
    gather(pool, ranker.uses, ranker.items, ranker.wanted, facts, ranker.leaders, row, history)
    if way.lead == OWNED:
        _again(pool, facts, history)
    if way.enough > 0:
        _add_popular(pool, facts, ranker.leaders, way.category, way.enough)
    if way.category != 0:
        _keep_category(pool, facts, way.category)
    most, active = len(ranking.order), follows_model(row, ranker)
    if ranker.ruled.plan.idle and way.per_category == 0:
        most = min(most, ranker.ruled.length)
    if way.lead >= 0:
        order_by_one(pool, ranker.uses, way.lead, ranker.item_names, ranking, most)
    else:
        order(row, history, ranker, most, not active, active)
    if way.per_category > 0:
        _spread(pool, facts, ranking, active, way.per_category)


@kernel
def _spread(pool: Pool, facts: Facts, ranking: Ranking, active: bool, most: int) -> None:
    if active:
        ranking.size[0] = _cap(pool, facts, ranking.order, ranking.size[0], most)
    else:
        ranking.size[1] = _cap(pool, facts, ranking.plain_order, ranking.size[1], most)


@long_kernel
def make_anchored_lists(
    rows: NDArray[np.void],
    histories: NDArray[np.void],
    anchors: NDArray[np.int32],
    banned: NDArray[np.int32],
    ranker: Ranker,
    way: Way,
    lists: Lists,
) -> None:
    """Rank for copies of shoppers' rows, which are changed; 5 to 10 µs a list.

    ``anchors[n]``: item numbers for row n, the latest last, -1 is ignored: as if the shopper had looked at
    them now. Neither they nor `banned` are shown. With a `lead`, the ranker has no model. An empty list is
    one, too.
    """
    pool, facts = ranker.pool, ranker.facts
    for n in range(len(rows)):
        row, history = rows[n], histories[rows[n].history]
        _leave_out(pool, facts, row, history, banned, way)
        if way.lead == OWNED:
            # What is bought again may well be what was bought, and so looked at, just now.
            row.recent[:] = 0
            row.in_session = 0
        if way.from_cart:
            for k in range(len(history.cart)):
                if history.cart[k] > 0:
                    look_at(row, history.cart[k] - 1)
        for k in range(anchors.shape[1]):
            if anchors[n, k] >= 0:
                look_at(row, anchors[n, k])
                ban(pool, facts, anchors[n, k] + 1)
        _rank(row, history, ranker, way)
        fill(row, history, ranker, lists, n)
        clear(pool, facts)
