"""A log of events to be evaluated on: in time order, in sessions, without what says nothing new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from stream.events.decode import to_ms
from stream.events.readers import Bad, ReadResult
from stream.events.types import AnyEvent, Hide, Item, RemoveFromCart, Return
from stream.shoppers.session import SESSION_GAP_MS

UNWANTED = (RemoveFromCart, Return, Hide)
"""Events about an item that say a shopper does not want it: learned, not scored."""


class Step(NamedTuple):
    """One event, and the item facts that stand before it in its file."""

    ts_ms: int
    event: AnyEvent
    facts: tuple[Item, ...]


class Log(NamedTuple):
    """Steps in time order, and the rows that were no events, by reason."""

    steps: list[Step]
    refused: Counter[str]


def in_order(results: Iterable[ReadResult]) -> Log:
    """Read everything into memory, in time order; what happened at the same time stays as it was."""
    steps: list[Step] = []
    refused: Counter[str] = Counter()
    facts: list[Item] = []
    for result in results:
        if isinstance(result, Bad):
            refused[result.reason] += 1
        elif isinstance(result, Item):
            facts.append(result)
        else:
            steps.append(Step(to_ms(result.ts), result, tuple(facts)))
            facts.clear()
    steps.sort(key=lambda step: step.ts_ms)
    return Log(steps, refused)


class Sessions:
    """Which session an event belongs to, by the rule of the engine: its id, else pauses of 30 minutes."""

    def __init__(self) -> None:
        self._last_item: dict[tuple[str, str | int], str | None] = {}
        self._pauses: dict[str, tuple[int, int]] = {}
        self._came: dict[str, str | int] = {}

    def of(self, step: Step) -> tuple[str, str | int]:
        """The shopper, and the session's id or number."""
        user, session = step.event.user_id, step.event.session_id
        if session is not None:
            return user, session
        last_ms, number = self._pauses.get(user, (step.ts_ms, 0))
        return user, number + (step.ts_ms - last_ms > SESSION_GAP_MS)

    def opens(self, step: Step) -> bool:
        """Whether this is its session's first event."""
        return self.of(step) not in self._last_item

    def has_come_before(self, step: Step) -> bool:
        """Whether the shopper had another session before this one."""
        user, session = self.of(step)
        return self._came.get(user, session) != session

    def repeats(self, step: Step) -> bool:
        """Whether this event's item is the last one of its session."""
        item = step.event.item_id
        return item is not None and self._last_item.get(self.of(step)) == item

    def add(self, step: Step) -> None:
        """The event has happened."""
        key = self.of(step)
        if step.event.session_id is None:
            self._pauses[step.event.user_id] = (step.ts_ms, int(key[1]))
        self._came.setdefault(*key)
        self._last_item[key] = step.event.item_id or self._last_item.get(key)


def without_repeats(steps: Iterable[Step]) -> list[Step]:
    """Leave out every event that repeats its session's last item (a reload says nothing new).

    Its item facts go to the event that follows.
    """
    sessions, kept = Sessions(), list[Step]()
    facts: tuple[Item, ...] = ()
    for step in steps:
        if sessions.repeats(step):
            facts += step.facts
            continue
        kept.append(step._replace(facts=facts + step.facts) if facts else step)
        facts = ()
        sessions.add(step)
    return kept
