"""What a session model is trained on: windows of a session's last items, and the item that came next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import InputError
from stream.evaluation.log import UNWANTED, Sessions, Step
from stream.sources.source import RECENT

MAX_ITEMS = 1 << 17
"""Items that a model knows, those with the most events: 32 MB of vectors at 64 dimensions."""


class Examples(NamedTuple):
    """n examples in time order, over items numbered by falling count, of equal ones by id."""

    items: list[bytes]
    counts: NDArray[np.int64]
    """(items): events of each."""
    window: NDArray[np.int32]
    """(n, RECENT): distinct items of the session so far, newest first; -1 where there are no more."""
    target: NDArray[np.int32]
    """(n): the item that came next, never the window's first."""
    first_ms: int
    last_ms: int


def examples(steps: Iterable[Step]) -> Examples:
    """Every item that a session goes on to, with the window that a list for it would have been made of.

    Sessions are those of `stream.evaluation.log`. A repeat of the last item says nothing, and neither do
    events that say that an item is not wanted. About 3 µs an event. Raises InputError where no session has
    two items.
    """
    sessions, windows = Sessions(), dict[str, list[int]]()
    numbers, counts = dict[str, int](), list[int]()
    rows, targets = list[tuple[int, ...]](), list[int]()
    first_ms, last_ms = 0, 0
    for step in steps:
        event = step.event
        opens = sessions.opens(step)
        sessions.add(step)
        window = windows.setdefault(event.user_id, [])
        if opens:
            window.clear()
        if event.item_id is None or isinstance(event, UNWANTED):
            continue
        number = numbers.setdefault(event.item_id, len(numbers))
        if number == len(counts):
            counts.append(0)
        counts[number] += 1
        first_ms, last_ms = first_ms or step.ts_ms, step.ts_ms
        if window and window[0] != number:
            rows.append((*window, *[-1] * (RECENT - len(window))))
            targets.append(number)
        if number in window:
            window.remove(number)
        window.insert(0, number)
        del window[RECENT:]
    if not targets:
        raise InputError("There is nothing to learn: give a log with sessions of at least two items.")
    names = [name.encode() for name in numbers]
    order = sorted(range(len(names)), key=lambda k: (-counts[k], names[k]))[:MAX_ITEMS]
    place = np.full(len(names) + 1, -1, np.int32)  # its last entry is what -1 becomes
    place[order] = np.arange(len(order), dtype=np.int32)
    target = place[np.array(targets, np.int32)]
    known = target >= 0
    return Examples(
        [names[k] for k in order],
        np.array(counts, np.int64)[order],
        _closed_up(place[np.array(rows, np.int32)][known]),
        target[known],
        first_ms,
        last_ms,
    )


def _closed_up(window: NDArray[np.int32]) -> NDArray[np.int32]:
    """Without gaps where an item is not among those known."""
    order = np.argsort(window < 0, axis=1, kind="stable")
    return np.take_along_axis(window, order, axis=1)
