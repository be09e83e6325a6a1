"""Several feeds as one: what each of them would publish, joined by what shoppers took of it before.

The feeds keep to themselves: the engine's blend ranks and learns as it does alone, a source proposes as it
does alone. What they have in common is the event after which each of them made its list.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from stream.effects import Effects
from stream.errors import InputError
from stream.evaluation.fusion import CUTOFF, Fused, Fusion, Ranked
from stream.evaluation.lists import Told, lists_of
from stream.evaluation.log import UNWANTED, Sessions, Step
from stream.evaluation.prequential import Feed
from stream.events.decode import to_ms
from stream.events.types import AnyEvent, Item

WAITING = 1 << 13
"""Shoppers whose lists are kept until they go on, some 20 KB each; of more, those not heard of for longest
start again."""

_NOTHING = Ranked((), ())


class _List(msgspec.Struct):
    items: list[str]
    scores: list[float]


_list = msgspec.json.Decoder(_List).decode

_Made = dict[tuple[str, int], Ranked]
"""A member's lists by shopper and by the offset of the event after which they were made."""


@dataclass(slots=True)
class _Shopper:
    """`held`: what each member last published; `joined`: the list of these; `seen`: items of the session."""

    held: list[Ranked]
    joined: Fused | None = None
    seen: int = 0


class JoinedFeed:
    """`Feed` (stream.evaluation.prequential) of several, by name. Beside what they cost, `Fusion` and some
    15 µs a list for decoding it.

    A list is labelled by the next item of its session, before it is joined with anything of that event.
    """

    def __init__(self, members: Mapping[str, Feed], lead: str | None = None) -> None:
        """`lead`: the member whose order is kept to until something better is known."""
        self.fusion = Fusion(list(members), lead)
        self._members = members
        self._sessions = Sessions()
        self._shoppers: OrderedDict[str, _Shopper] = OrderedDict()
        self._waiting: list[tuple[int, AnyEvent]] = []
        self._frozen = False
        self._told = Told()

    def item(self, item: Item) -> None:
        """Facts of an item."""
        for feed in self._members.values():
            feed.item(item)

    def event(self, event: AnyEvent) -> int:
        """Give an event to all members; its offset, which all have in common."""
        offsets = {feed.event(event) for feed in self._members.values()}
        if len(offsets) != 1:
            raise InputError("Feeds can only be joined that were given the same events: join new ones.")
        (offset,) = offsets
        self._waiting.append((offset, event))
        return offset

    def freeze(self) -> None:
        """Nobody learns any more."""
        self._frozen = True
        for feed in self._members.values():
            feed.freeze()

    def flush(self) -> Effects:
        """Take in the events since, one after the other: label the list of before, join those made at it."""
        made = [_published(feed.flush()) for feed in self._members.values()]
        for offset, event in self._waiting:
            self._follow(event)
            self._publish(event.user_id, offset, made)
        self._waiting = []
        # Of no event since: first lists of those who came before anything was known.
        for name, offset in sorted({key for of in made for key in of}):
            self._publish(name, offset, made)
        return self._told.flush()

    def _shopper(self, name: str) -> _Shopper:
        known = self._shoppers.get(name)
        if known is not None:
            self._shoppers.move_to_end(name)
            return known
        if len(self._shoppers) == WAITING:
            self._shoppers.popitem(last=False)
        self._shoppers[name] = known = _Shopper([_NOTHING] * len(self._members))
        return known

    def _follow(self, event: AnyEvent) -> None:
        shopper, step = self._shopper(event.user_id), Step(to_ms(event.ts), event, ())
        opens = self._sessions.opens(step)
        self._sessions.add(step)
        if opens:
            shopper.seen = 0
        if event.item_id is None:
            return
        shopper.seen += 1
        unwanted = isinstance(event, UNWANTED)
        if shopper.joined is not None and not (opens or unwanted or self._frozen):
            self.fusion.learn(shopper.joined, event.item_id)

    def _publish(self, name: str, offset: int, made: list[_Made]) -> None:
        fresh = [of.pop((name, offset), None) for of in made]
        if all(each is None for each in fresh):
            return
        shopper = self._shopper(name)
        shopper.held = [old if new is None else new for new, old in zip(fresh, shopper.held, strict=True)]
        shopper.joined = self.fusion.join(shopper.held, shopper.seen)
        self._told.add(name, offset, shopper.joined.items[:CUTOFF])


def _published(effects: Effects) -> _Made:
    found = {key: _list(value) for key, value in lists_of(effects)}
    return {key: Ranked(each.items, each.scores) for key, each in found.items()}
