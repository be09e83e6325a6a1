"""A training part and a test part of whole sessions, as the literature of session-based recommendation has
them: what is learned ends where the test part begins (Ludewig, Mauro, Latifi and Jannach, 2021)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from stream.errors import InputError
from stream.evaluation.log import Sessions, Step
from stream.events.types import Item, Search

LEAST_EVENTS = 5
"""Of an item in the training part; an item with fewer is dropped."""

LEAST_ITEMS = 2
"""Events of a session that are about an item: with one of them there is nothing to foretell."""

DAY_MS = 86_400_000

_LAST = re.compile(r"(\d+(?:\.\d+)?) ?(days?|sessions?)")


class Last(NamedTuple):
    """What the test part is: sessions that end in the last so many days, or so many that end last."""

    size: float
    of_days: bool

    @property
    def words(self) -> str:
        """For people."""
        return (
            f"the sessions of the last {self.size:g} days"
            if self.of_days
            else f"the last {self.size:,.0f} sessions"
        )


class Size(NamedTuple):
    """A part, as papers tell of it; `events` are those about an item."""

    sessions: int
    items: int
    events: int


class Split(NamedTuple):
    """Steps of the training part, then of the test part, each in time order. Every session is a shopper's of
    its own, with the session's number as id."""

    steps: list[Step]
    first_scored: int
    train: Size
    test: Size


def last(given: str) -> Last:
    """``7days`` or ``500sessions``. Raises InputError for anything else."""
    found = _LAST.fullmatch(given)
    if found is None or not float(found[1]) or (found[2][0] == "s" and not found[1].isdigit()):
        raise InputError(f"The split {given!r} says no test part: write 7days, or 500sessions.")
    return Last(float(found[1]), found[2].startswith("day"))


def by_time(steps: Sequence[Step], test: Last) -> Split:
    """Split a log in time order, and leave out what says too little: of the training part sessions with fewer
    than `LEAST_ITEMS` events and items with fewer than `LEAST_EVENTS`; see `in_two` for the test part.

    Raises InputError if nothing is left of a part.
    """
    numbered = in_sessions(steps)
    ends: dict[str, int] = {}
    for step in numbered:
        ends[step.event.user_id] = step.ts_ms
    if test.of_days:
        first_ms = max(ends.values(), default=0) - test.size * DAY_MS
        tested = {session for session, end_ms in ends.items() if end_ms > first_ms}
    else:
        # Sessions are numbered as they begin; of those that end together, the later ones are tested.
        tested = set(sorted(ends, key=lambda session: (ends[session], int(session)))[-int(test.size) :])
    train = _parted(numbered, lambda step: step.event.user_id not in tested)
    train = _frequent(_long(train))
    return in_two(_long(train), [step for step in numbered if step.event.user_id in tested])


def in_sessions(steps: Iterable[Step], first: int = 0) -> list[Step]:
    """Each session a shopper's of its own, numbered as they begin. Events without an item are left out, but
    for searches: they say nothing of a session, or whose it is."""
    sessions, numbers = Sessions(), dict[tuple[str, str | int], str]()
    out = []
    for step in steps:
        key = sessions.of(step)
        sessions.add(step)
        number = numbers.setdefault(key, str(first + len(numbers)))
        out.append(
            step._replace(event=msgspec.structs.replace(step.event, user_id=number, session_id=number))
        )
    return _parted(out, lambda step: step.event.item_id is not None or isinstance(step.event, Search))


def in_two(train: list[Step], test: Iterable[Step]) -> Split:
    """Put two parts of different sessions together. Of the test part items that are not in the training part
    are left out, then sessions with fewer than `LEAST_ITEMS` events, and what it knows of items.

    Raises InputError if nothing is left of a part.
    """
    items = {step.event.item_id for step in train}
    known = [
        step._replace(facts=()) for step in test if step.event.item_id in items or not step.event.item_id
    ]
    tested = _long(known)
    if not items - {None}:
        raise InputError("The split leaves nothing to train on: make the test part smaller.")
    if not tested:
        raise InputError(
            "The split leaves nothing to score: no test session has two items that the training part has, "
            "so make the test part larger."
        )
    return Split([*train, *tested], len(train), _size(train), _size(tested))


def _long(steps: list[Step]) -> list[Step]:
    counts = Counter(step.event.user_id for step in steps if step.event.item_id is not None)
    return _parted(steps, lambda step: counts[step.event.user_id] >= LEAST_ITEMS)


def _frequent(steps: list[Step]) -> list[Step]:
    counts = Counter(step.event.item_id for step in steps)
    return _parted(steps, lambda step: not step.event.item_id or counts[step.event.item_id] >= LEAST_EVENTS)


def _parted(steps: Iterable[Step], keep: Callable[[Step], bool]) -> list[Step]:
    """Those to be kept; item facts of the others go to the next one."""
    kept = []
    facts: tuple[Item, ...] = ()
    for step in steps:
        facts += step.facts
        if keep(step):
            kept.append(step._replace(facts=facts))
            facts = ()
    return kept


def _size(steps: Iterable[Step]) -> Size:
    about = [step.event for step in steps if step.event.item_id is not None]
    return Size(len({event.user_id for event in about}), len({event.item_id for event in about}), len(about))
