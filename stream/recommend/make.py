"""From a shopper's row to the list that is published: gather, choose, describe, order, cut."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.due import Wanted
from stream.items.table import Facts
from stream.recommend.candidates import Scratch, clear, gather
from stream.recommend.encode import Lists
from stream.recommend.popular import Leaders
from stream.recommend.rank import LENGTH, Ranking, Scorer, choose, describe, order
from stream.state.interner import Names
from stream.state.jit import Row, kernel, long_kernel


class Ranker(NamedTuple):
    """What lists are made from: item rows, popularity, the model, and room to work in."""

    items: NDArray[np.void]
    wanted: Wanted
    facts: Facts
    item_names: Names
    leaders: Leaders
    scorer: Scorer
    scratch: Scratch
    ranking: Ranking


@kernel
def make_list(row: Row, history: Row, ranker: Ranker, lists: Lists, n: int, measured: bool) -> int:
    """Rank for one shopper into list `n`; its length. About 5 µs, most of it the candidates.

    The model's order is worked out when it is published, or `measured` (this list will be labelled).
    """
    scratch, ranking = ranker.scratch, ranker.ranking
    gather(scratch, ranker.items, ranker.wanted, ranker.facts, ranker.leaders, row, history)
    choose(scratch, ranker.item_names, ranking)
    active = ranker.scorer.active[0]
    if active or measured:
        describe(scratch, ranker.facts, ranker.leaders, row, ranking)
        order(ranking, ranker.scorer)
    size = min(ranking.size[0], LENGTH)
    for k in range(size):
        c = ranking.place[ranking.order[k] if active else k]
        lists.item[n, k] = scratch.item[c]
        lists.reason[n, k] = scratch.reason[c]
        if active:
            lists.score[n, k] = 1.0 / (1.0 + np.exp(-ranking.score[ranking.order[k]]))
        else:
            lists.score[n, k] = scratch.score[c]
    lists.size[n] = size
    clear(scratch, row, history)
    return int(size)


@long_kernel
def make_lists(
    rows: NDArray[np.void],
    histories: NDArray[np.void],
    numbers: NDArray[np.int32],
    ranker: Ranker,
    lists: Lists,
    asked: NDArray[np.int32],
) -> None:
    """Rank for shoppers outside of any event; `asked[n]` becomes n, or -1 - n where the list is empty."""
    for n in range(len(numbers)):
        row = rows[numbers[n]]
        size = make_list(row, histories[row.history], ranker, lists, n, False)
        asked[n] = n if size else -1 - n
