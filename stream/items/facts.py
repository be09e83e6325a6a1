"""What ranking asks of every candidate, 32 bytes an item: facts of the catalogue, and what this worker has
heard of the item lately.

Apart from the rows, and small, because ranking looks up hundreds of items at random: reading them from rows
of 2 KB made a list three times as expensive.

How popular an item is and how long nobody has come to it are counted here from the events of the worker's
own shoppers, as they come. That is a sample of the shop, the larger the fewer workers there are, and at most
as old as the last event; what the item partitions tell of popularity is exact, and seconds old.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import CART, DISLIKE, HIDE, LIKE, PURCHASE, RATING, VIEW
from stream.items.cohorts import Cohorts, new_cohorts
from stream.items.cohorts import forget as forget_in_cohorts
from stream.items.cohorts import rescale as rescale_cohorts
from stream.items.meanings import Meanings, new_meanings
from stream.items.newcomers import FEW, Newcomers, new_newcomers
from stream.items.newcomers import forget as forget_newcomers
from stream.items.postings import Postings, new_postings
from stream.items.postings import forget as forget_in_postings
from stream.state.arena import reserve
from stream.state.jit import kernel, small_kernel

FACT = np.dtype(
    [
        # Decayed by time (`ItemTable.slow`), and by events (`TREND_EVENTS`).
        ("popular", np.float32),
        ("trending", np.float32),
        # The worker's events so far, at the item's last and at its first; 0: never heard of.
        ("last_at", np.uint32),
        ("first_at", np.uint32),
        ("category", np.int32),
        # Number + 1 of the item that stands for this one (`stream.items.stand_ins`); 0: itself.
        ("stands_for", np.int32),
        # Not to be shown: removed or out of stock.
        ("withdrawn", np.bool_),
        # Events of the worker so far; `HEARD_MOST` stands for that and more.
        ("heard", np.uint8),
        # In the catalogue, with words to know it by.
        ("listed", np.bool_),
        # Half a line of the cache, so that no fact lies in two.
        ("", np.uint8, (5,)),
    ],
    align=True,
)
assert FACT.itemsize == 32

BANNED = 0xFFFF
"""As a mark: the item stays out of the list."""

ELSEWHERE = 0xFFFE
"""As a mark: another item stands for it."""

HEARD_MOST = 255

TREND_EVENTS = 2000
"""Events after which what came before counts 1/e in `trending`."""

HOT = 64
"""Items kept in order of `trending`."""

EVENTS, TREND_GAIN, TRENDING, POPULAR = range(4)
"""Positions in `Facts.heard`: events so far, what one adds to `trending` now, sums over all items."""

# By every code that a byte can hold: a newer worker may send one that is not known here, and it adds nothing.
INTEREST = np.zeros(256)
INTEREST[VIEW], INTEREST[LIKE], INTEREST[RATING] = 1.0, 1.0, 1.0
INTEREST[CART], INTEREST[PURCHASE] = 3.0, 10.0
INTEREST[HIDE], INTEREST[DISLIKE] = -1.0, -1.0
"""Popularity that an event adds, by its code: a sale tells more than a look (1, 3, 10), and who does not want
an item takes a look back."""

_LARGEST_GAIN = 1e30


class Facts(NamedTuple):
    """By item number: `item` (of `FACT`), `words` (n, 2; `stream.items.words`: zeros where it is unknown what
    it is about) and `mark`. `hot`: item numbers + 1 in falling order of `trending`; `new`: items of which
    little was heard; `meanings`: what categories and brands are called; `cohorts`: what each of them
    takes; `postings`: which items have a word.

    `mark`: while a list is made, the item's candidate + 1 (0: none), or `BANNED`; always `ELSEWHERE` where
    another stands for it. They lie close together, because each neighbour that is read asks for one: of
    20,000 items they stay in the nearest cache.

    Where one stands for another, number + 1: `renamed`, the id under which this one is sold now (0: its own);
    `also`, the next of those whose counts are this one's, a list that begins at the one that replaced them.
    `stands`: how many items another stands for; `met`: while rows are joined, an item's place + 1.
    """

    item: NDArray[np.void]
    words: NDArray[np.uint64]
    mark: NDArray[np.uint16]
    hot: NDArray[np.int32]
    heard: NDArray[np.float64]
    renamed: NDArray[np.int32]
    also: NDArray[np.int32]
    stands: NDArray[np.int64]
    met: NDArray[np.uint16]
    new: Newcomers
    meanings: Meanings
    cohorts: Cohorts
    postings: Postings


def new_facts(max_items: int) -> Facts:
    """Nothing known of items numbered below `max_items`."""
    return Facts(
        reserve(max_items, FACT),
        reserve(max_items * 2, np.uint64).reshape(-1, 2),
        reserve(max_items, np.uint16),
        np.zeros(HOT, np.int32),
        np.array([0.0, 1.0, 0.0, 0.0]),
        reserve(max_items, np.int32),
        reserve(max_items, np.int32),
        np.zeros(1, np.int64),
        reserve(max_items, np.uint16),
        new_newcomers(),
        new_meanings(),
        new_cohorts(),
        new_postings(max_items),
    )


@small_kernel
def stand_in(facts: Facts, item: int) -> int:
    """The item that stands for `item`: mostly itself."""
    return facts.item[item].stands_for - 1 if facts.mark[item] == ELSEWHERE else item


@kernel
def hand_over(facts: Facts, item: int, heir: int) -> None:
    """What was heard of `item` is heard of `heir`, which stands for it from now on."""
    old, new = facts.item[item], facts.item[heir]
    if old.first_at == 0 and old.popular == 0.0:
        return
    new.popular += old.popular
    new.trending += old.trending
    new.last_at = max(new.last_at, old.last_at)
    if new.first_at == 0 or 0 < old.first_at < new.first_at:
        new.first_at = old.first_at
    new.heard = min(int(new.heard) + int(old.heard), HEARD_MOST)
    old.popular = old.trending = 0.0
    old.heard = 0
    old.last_at = old.first_at = 0
    hot = facts.hot
    kept = 0
    for k in range(len(hot)):
        if hot[k] != item + 1:
            hot[kept] = hot[k]
            kept += 1
    hot[kept:] = 0
    if new.trending > 0.0:
        _move_up(facts, heir)


@kernel
def hear(facts: Facts, item: int, gain: float, code: int) -> None:
    """An event of kind `code` was about `item`, at a time when one event adds `gain`; about 30 ns.

    One that speaks against the item adds no more than that to what is heard of it. After `freeze` nothing is
    heard any more: to ask costs less than can be measured."""
    heard, fact = facts.heard, facts.item[item]
    if heard[TREND_GAIN] == 0.0:
        return
    if INTEREST[code] < 0.0:
        lost = min(-gain * INTEREST[code], fact.popular)
        fact.popular -= lost
        heard[POPULAR] = max(heard[POPULAR] - lost, 0.0)
        return
    heard[EVENTS] += 1.0
    heard[TREND_GAIN] *= 1.0 + 1.0 / TREND_EVENTS
    if heard[TREND_GAIN] > _LARGEST_GAIN:
        _scale_trend(facts)
    fact.popular += gain * INTEREST[code]
    heard[POPULAR] += gain * INTEREST[code]
    fact.trending += heard[TREND_GAIN]
    heard[TRENDING] += heard[TREND_GAIN]
    if fact.heard < HEARD_MOST:
        fact.heard += 1
    fact.last_at = np.uint32(np.int64(heard[EVENTS]) & 0xFFFFFFFF)
    if fact.first_at == 0:
        fact.first_at = fact.last_at
    _move_up(facts, item)


def freeze(facts: Facts) -> None:
    """What is known of items stays as it is: for evaluations of what was known at a certain time."""
    facts.heard[TREND_GAIN] = 0.0


@kernel
def _move_up(facts: Facts, item: int) -> None:
    """Keep `hot` the exact top: all decay alike, so only what grew can rise."""
    hot, mine = facts.hot, facts.item[item].trending
    at = len(hot) - 1
    if hot[at] > 0 and mine <= facts.item[hot[at] - 1].trending:
        return
    for k in range(len(hot)):
        if hot[k] == item + 1 or hot[k] == 0:
            at = k
            break
    while at > 0 and facts.item[hot[at - 1] - 1].trending < mine:
        hot[at] = hot[at - 1]
        at -= 1
    hot[at] = item + 1


@kernel
def _scale_trend(facts: Facts) -> None:
    facts.heard[TREND_GAIN] /= _LARGEST_GAIN
    facts.heard[TRENDING] /= _LARGEST_GAIN
    for i in range(len(facts.item)):
        # Memory that nothing was ever written to stays so.
        if facts.item[i].trending > 0.0:
            facts.item[i].trending /= _LARGEST_GAIN


def learn_of(facts: Facts, numbers: NDArray[np.int32], popular: NDArray[np.float32]) -> None:
    """What the shop as a whole knows (`popular`: shares of all events) of items that this worker's own
    shoppers have not looked at: all that a worker knows that has just begun."""
    new = facts.item["popular"][numbers] == 0.0
    amounts = popular[new] * np.float32(max(facts.heard[POPULAR], 1.0))
    facts.item["popular"][numbers[new]] = amounts
    facts.heard[POPULAR] += float(amounts.sum())


def know(facts: Facts, numbers: NDArray[np.int32], events: NDArray[np.float32]) -> None:
    """So many events (at least) are known of items elsewhere, in rows or by other workers: what has had `FEW`
    is new no more, whatever this worker's own shoppers have done."""
    known = numbers[events >= FEW]
    facts.item["heard"][known] = np.maximum(facts.item["heard"][known], FEW)


def rescale(facts: Facts, used: int, factor: float) -> None:
    """Multiply what decays by time after its landmark has moved."""
    facts.item["popular"][:used] *= np.float32(factor)
    facts.heard[POPULAR] *= factor
    rescale_cohorts(facts.cohorts, factor)


def forget(facts: Facts, numbers: NDArray[np.int32]) -> None:
    """Nothing is known of these items any more: their numbers will be those of others."""
    facts.heard[POPULAR] -= float(facts.item["popular"][numbers].sum())
    facts.heard[TRENDING] -= float(facts.item["trending"][numbers].sum())
    facts.item[numbers] = np.zeros(1, FACT)[0]
    facts.words[numbers] = 0
    facts.renamed[numbers] = facts.also[numbers] = 0
    forget_newcomers(facts.new, numbers)
    forget_in_cohorts(facts.cohorts, numbers)
    forget_in_postings(facts.postings, numbers)
    left = facts.hot[(facts.hot > 0) & ~np.isin(facts.hot - 1, numbers)]
    facts.hot[:] = 0
    facts.hot[: len(left)] = left
