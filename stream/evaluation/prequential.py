"""Test, then learn: how good the lists are that shoppers had before they went on.

Each event is first looked up in the list last published to its shopper, and only then given to the
engine (prequential evaluation; Gama, Sebastião and Rodrigues, 2013). All learning is the engine's.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.effects import Effects
from stream.errors import InputError
from stream.evaluation.lists import lists_of
from stream.evaluation.log import UNWANTED, Sessions, Step
from stream.events.types import AnyEvent, Item

CUTOFF = 20
"""Places of a list that count."""

BATCH = 256
"""Events that are given to the engine at once, in the beginning fewer. Every list knows all events before it
(`stream.items.at_once`); popularity and the model are those of the batch's beginning."""

MISSED = -1
HEAD_SHARE = 0.5
HEAD_EVERY = 5_000
"""Events after which it is worked out anew which items are the head."""


class Feed(Protocol):
    """What takes a log in, in batches."""

    def item(self, item: Item) -> None: ...
    def event(self, event: AnyEvent) -> int:
        """The event's offset in the log."""

    def flush(self) -> Effects: ...
    def freeze(self) -> None:
        """Learn no more; shoppers are still followed."""


class Scores(NamedTuple):
    """What was measured. Arrays have one entry for each event that was scored."""

    events: int
    seconds: float
    rank: NDArray[np.int16]
    """Place of the item in the list its shopper had, from 0; `MISSED` if it was not in the first `CUTOFF`."""
    position: NDArray[np.int64]
    """Events of the log before it."""
    shopper: NDArray[np.int32]
    known: NDArray[np.bool_]
    """Whether the shopper had come before this session."""
    head: NDArray[np.bool_]
    """Whether the item was one of the most popular that together had `HEAD_SHARE` of all events so far."""
    shown: Counter[str]
    """How often each item was in a list that was scored."""
    shown_head: int
    """Of them, how often one of the head."""
    diversity: NDArray[np.float32]
    """Share of pairs in a scored list that are of two categories, for lists of two and more items whose
    category is known."""
    items: int
    """Items in the log."""


class _List(msgspec.Struct):
    items: list[str]


_list = msgspec.json.Decoder(_List).decode


def run(
    feed: Feed,
    steps: Sequence[Step],
    first_scored: int,
    on_events: Callable[[int], None] = lambda _: None,
    batch: int = BATCH,
    frozen: bool = False,
) -> Scores:
    """Drive `feed` with up to `batch` events at a time; score those from position `first_scored` on. If
    `frozen`, what comes before that position is all that is learned.

    Not scored: events that open a session, events without an item, and those in `UNWANTED`. A shopper
    who was never given a list counts as a miss. Raises InputError if nothing can be scored.
    """
    sessions, tally = Sessions(), _Tally()
    lists: dict[str, bytes] = {}
    began = time.perf_counter()
    start = 0
    while start < len(steps):
        # Early on every event teaches much of what is popular.
        stop = start + min(batch, start // 4 + 1)
        if frozen and start < first_scored:
            stop = min(stop, first_scored)
        elif frozen and start == first_scored:
            feed.freeze()
        part = steps[start:stop]
        for step in part:
            for item in step.facts:
                tally.categories[item.item_id] = item.category
                feed.item(item)
        offsets = [feed.event(step.event) for step in part]
        made = dict(lists_of(feed.flush()))
        for position, (step, offset) in enumerate(zip(part, offsets, strict=True), start):
            event = step.event
            if event.item_id is not None:
                wanted = not isinstance(event, UNWANTED) and not sessions.opens(step)
                if position >= first_scored and wanted:
                    published, known = lists.get(event.user_id), sessions.has_come_before(step)
                    tally.score(position, step, published, known)
                tally.count(event.item_id)
            sessions.add(step)
            if (event.user_id, offset) in made:
                lists[event.user_id] = made.pop((event.user_id, offset))
        # Of no event here: first lists of those who came before anything was known, and of those who turned
        # out to be a visitor.
        lists |= {shopper: value for (shopper, _), value in made.items()}
        start += len(part)
        on_events(start)
    if not tally.rank:
        raise InputError(
            "There is no event to score: give a file with sessions of at least two items, "
            "or score a larger share of them."
        )
    return tally.scores(len(steps), time.perf_counter() - began)


class _Tally:
    """Adds up what is scored."""

    def __init__(self) -> None:
        self.categories: dict[str, str | None] = {}
        self.rank, self._position = array("h"), array("q")
        self._shoppers: dict[str, int] = {}
        self._shopper, self._known, self._in_head = array("i"), array("b"), array("b")
        self._shown: Counter[str] = Counter()
        self._shown_head = 0
        self._diversity = array("f")
        self._counts: Counter[str] = Counter()
        self._head: set[str] = set()
        self._events = 0

    def count(self, item: str) -> None:
        """An item's event has happened."""
        if self._events % HEAD_EVERY == 0:
            self._head = head(self._counts)
        self._events += 1
        self._counts[item] += 1

    def score(self, position: int, step: Step, published: bytes | None, known: bool) -> None:
        """An event comes; `published` is the list that its shopper has."""
        item = str(step.event.item_id)
        items = _list(published).items[:CUTOFF] if published is not None else []
        self.rank.append(items.index(item) if item in items else MISSED)
        self._position.append(position)
        self._shopper.append(self._shoppers.setdefault(step.event.user_id, len(self._shoppers)))
        self._known.append(known)
        self._in_head.append(item in self._head)
        self._shown.update(items)
        self._shown_head += len(self._head.intersection(items))
        if self.categories:
            found = diversity([self.categories.get(each) for each in items])
            if found is not None:
                self._diversity.append(found)

    def scores(self, events: int, seconds: float) -> Scores:
        """All of it."""
        return Scores(
            events,
            seconds,
            np.array(self.rank),
            np.array(self._position),
            np.array(self._shopper),
            np.array(self._known, np.bool_),
            np.array(self._in_head, np.bool_),
            self._shown,
            self._shown_head,
            np.array(self._diversity, np.float32),
            len(self._counts),
        )


def head(counts: Mapping[str, int]) -> set[str]:
    """The fewest items that together have `HEAD_SHARE` of all events."""
    found, left = set[str](), HEAD_SHARE * sum(counts.values())
    for item, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        if left <= 0:
            break
        found.add(item)
        left -= count
    return found


def diversity(categories: Iterable[str | None]) -> float | None:
    """Share of pairs that differ, of those whose category is known; None for fewer than two."""
    counts = Counter(each for each in categories if each is not None)
    n = counts.total()
    return 1.0 - sum(k * (k - 1) for k in counts.values()) / (n * (n - 1)) if n > 1 else None
