"""Test, then learn: how good the lists are that shoppers had before they went on.

Each event is first looked up in the list last published to its shopper, and only then given to the
engine (prequential evaluation; Gama, Sebastião and Rodrigues, 2013). All learning is the engine's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from stream.cli.feed import Feed
from stream.errors import InputError
from stream.events.decode import to_ms
from stream.events.readers import Bad, ReadResult
from stream.events.types import AnyEvent, Hide, Item, RemoveFromCart, Return
from stream.shoppers.session import SESSION_GAP_MS

CUTOFF = 20
"""Places of a list that count: hr@20 and mrr@20."""

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


class _List(msgspec.Struct):
    items: list[str]


_list = msgspec.json.Decoder(_List).decode


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

    def opens(self, step: Step) -> bool:
        """Whether this is its session's first event."""
        return self._key(step) not in self._last_item

    def repeats(self, step: Step) -> bool:
        """Whether this event's item is the last one of its session."""
        item = step.event.item_id
        return item is not None and self._last_item.get(self._key(step)) == item

    def add(self, step: Step) -> None:
        """The event has happened."""
        key = self._key(step)
        if step.event.session_id is None:
            self._pauses[step.event.user_id] = (step.ts_ms, int(key[1]))
        self._last_item[key] = step.event.item_id or self._last_item.get(key)

    def _key(self, step: Step) -> tuple[str, str | int]:
        user, session = step.event.user_id, step.event.session_id
        if session is not None:
            return user, session
        last_ms, number = self._pauses.get(user, (step.ts_ms, 0))
        return user, number + (step.ts_ms - last_ms > SESSION_GAP_MS)


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


class Outcome(NamedTuple):
    """What was measured; `hits` and `reciprocal_ranks` are sums over `scored` events."""

    events: int
    scored: int
    hits: int
    reciprocal_ranks: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The measures by the names of the literature."""
        return {
            "hr@20": round(self.hits / self.scored, 5),
            "mrr@20": round(self.reciprocal_ranks / self.scored, 5),
            "scored": self.scored,
            "events": self.events,
            "events_per_s": round(self.events / self.seconds, 1),
        }


def run(
    feed: Feed, steps: list[Step], first_scored: int, on_events: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Drive `feed` with one event at a time; score those from position `first_scored` on.

    Not scored: events that open a session, events without an item, and those in `UNWANTED`. A shopper
    who was never given a list counts as a miss. Raises InputError if nothing can be scored.
    """
    sessions = Sessions()
    lists: dict[bytes, bytes] = {}
    scored = hits = 0
    reciprocal_ranks = 0.0
    began = time.perf_counter()
    for position, step in enumerate(steps):
        event = step.event
        wanted = event.item_id is not None and not isinstance(event, UNWANTED)
        if position >= first_scored and wanted and not sessions.opens(step):
            scored += 1
            published = lists.get(event.user_id.encode())
            items = _list(published).items[:CUTOFF] if published is not None else []
            if event.item_id in items:
                hits += 1
                reciprocal_ranks += 1.0 / (1 + items.index(event.item_id))
        sessions.add(step)
        for item in step.facts:
            feed.item(item)
        feed.event(event)
        for values in feed.flush().values:
            if values.kind == "recs":
                lists.update(zip(values.ids, values.values, strict=True))
        if position % 1000 == 0:
            on_events(position)
    if not scored:
        raise InputError(
            "There is no event to score: give a file with sessions of at least two items, "
            "or a larger --score-last."
        )
    return Outcome(len(steps), scored, hits, reciprocal_ranks, time.perf_counter() - began)
