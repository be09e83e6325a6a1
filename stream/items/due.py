"""Items whose published values are out of date, first come first served, each at most once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.state.arena import reserve
from stream.state.jit import Row, kernel


class Due(NamedTuple):
    """A ring of item numbers; `ends` = read, written (ever). Flags in the rows keep it free of repeats."""

    number: NDArray[np.int32]
    ends: NDArray[np.int64]


class ListsDue(NamedTuple):
    """Items whose lists are out of date: those whose evidence has grown much, and all.

    Both rings hold an item at most once; one that is in both and is published for the first stays in the
    second, where it is passed over if nothing came since.
    """

    soon: Due
    later: Due
    is_soon: NDArray[np.bool_]
    """By item number: whether it is in `soon`."""
    told: NDArray[np.float32]
    """By item number: the sum of its row's weights when its lists were published last; 0: never."""


GROWTH = 1.25
"""A list goes before others when a quarter of its evidence is not in what was last published: then it has
changed most. So a new item is recommended at once however many others are due, and one with a long history
asks for it the more rarely the longer that is."""


class Wanted(NamedTuple):
    """Rows of other workers that ranking wants: those of which it has no neighbours yet, and those to be
    refreshed. A flag in the row keeps each item in one of the two, once."""

    soon: Due
    later: Due


def new_wanted(max_items: int) -> Wanted:
    """Empty queues."""
    return Wanted(new_due(max_items), new_due(max_items))


def new_lists_due(max_items: int) -> ListsDue:
    """Empty queues."""
    flags, told = reserve(max_items, np.bool_), reserve(max_items, np.float32)
    return ListsDue(new_due(max_items), new_due(max_items), flags, told)


def new_due(max_items: int) -> Due:
    """An empty queue."""
    return Due(reserve(2 * max_items, np.int32), np.zeros(2, np.int64))


@kernel
def push(due: Due, number: int) -> None:
    """Append an item. The caller has seen that its flag was not set, and sets it."""
    due.number[due.ends[1] % len(due.number)] = number
    due.ends[1] += 1


@kernel
def push_wanted(wanted: Wanted, row: Row, number: int) -> None:
    """Queue an item whose row is another worker's. A new one would wait for seconds behind all others."""
    if not row.wanted:
        row.wanted = True
        push(wanted.later if row.viewed.item[0] > 0 else wanted.soon, number)


def pop_wanted(wanted: Wanted, rows: NDArray[np.void], limit: int) -> NDArray[np.int32]:
    """Take out up to `limit` items."""
    soon = pop(wanted.soon, limit)
    numbers = np.concatenate([soon, pop(wanted.later, limit - len(soon))])
    rows["wanted"][numbers] = False
    return numbers


@kernel
def push_lists(due: ListsDue, row: Row, number: int) -> None:
    """Queue an item whose row has changed."""
    if not row.lists_due:
        row.lists_due = True
        push(due.later, number)
    if not due.is_soon[number] and row.viewed.total + row.bought.total > GROWTH * due.told[number]:
        due.is_soon[number] = True
        push(due.soon, number)


def publish_again(due: ListsDue, rows: NDArray[np.void], number: int) -> None:
    """Queue an item of which more is known than its row says."""
    due.told[number] = -1.0
    push_lists(due, rows[number], number)


def pop_lists(due: ListsDue, rows: NDArray[np.void], limit: int) -> NDArray[np.int32]:
    """Take out up to `limit` items, of which a quarter is for those that have waited longest."""
    soon = pop(due.soon, limit - limit // 4)
    due.is_soon[soon] = False
    later = pop(due.later, limit - len(soon))
    rows["lists_due"][later] = False
    later = later[evidence(rows, later) != due.told[later]]
    return np.unique(np.concatenate([soon, later]))


def evidence(rows: NDArray[np.void], numbers: NDArray[np.int32]) -> NDArray[np.float32]:
    """The sums of weights behind the lists of items, as `ListsDue.told` keeps them."""
    total: NDArray[np.float32] = rows["viewed"]["total"][numbers] + rows["bought"]["total"][numbers]
    return total


def pop(due: Due, limit: int) -> NDArray[np.int32]:
    """Take out up to `limit` items, the longest waiting first. Their flags are still set, unless the
    row was dropped meanwhile: the caller looks."""
    first = int(due.ends[0])
    count = min(limit, int(due.ends[1]) - first)
    due.ends[0] += count
    return due.number[np.arange(first, first + count) % len(due.number)]
