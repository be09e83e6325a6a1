"""What an engine counts: plain numbers, read by the shell whenever it wants to tell somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.effects import Effects
from stream.learn.model import Snapshot

SHOPPER_COUNTS = (
    "events", "duplicates", "crowded", "sessions", "empty_lists",
    "shoppers_evicted", "shoppers_forgotten", "shoppers_merged", "explored_lists", "explored_taken",
)  # fmt: skip
"""Counters in the order of `stream.shoppers.state.Shoppers.counts`."""

ITEM_COUNTS = ("pairs", "holes", "repeated", "displaced", "items_evicted", "items_forgotten")
"""Counters of the item stage."""

CROWDS_NAMED = 20
"""Ids of crowds that are named, the latest: each is told of once while it is among them."""


@dataclass(slots=True)
class Metrics:
    """Totals since the engine was made. Refused records are counted by reason.

    `repeated`: exchange messages whose events were counted already, wholly or in part. `displaced`:
    neighbours that gave their place in a full row to another. `*_evicted` rows made room for others,
    `*_forgotten` ones were named by no event for too long.
    `rules`: how many there are, `rules_relaxed`: by rule, lists that did without it.
    `model`, `labelled_lists`, `quality`, `drifts`, `chances` and what there is of challengers are what the
    learner last said.
    """

    records: int = 0
    events: int = 0
    rows_restored: int = 0
    """Rows of shoppers and items that came from saved buckets."""
    replayed: int = 0
    duplicates: int = 0
    crowded: int = 0
    crowds: list[str] = field(default_factory=list)
    """Ids of bots, or that many people share, the one found last at the end."""
    sessions: int = 0
    rekeyed: int = 0
    recommendations: int = 0
    empty_lists: int = 0
    explored_lists: int = 0
    """Lists with a place for an item of which little was known."""
    explored_taken: int = 0
    """Of them, those whose shopper took that item next."""
    exchange_messages: int = 0
    pairs: int = 0
    holes: int = 0
    repeated: int = 0
    displaced: int = 0
    shoppers_evicted: int = 0
    shoppers_forgotten: int = 0
    shoppers_merged: int = 0
    """Visitors who turned out to be known shoppers, and went into their rows."""
    items_evicted: int = 0
    items_forgotten: int = 0
    scenario_lists: int = 0
    """Of other scenarios than `home`."""
    item_lists: int = 0
    item_lists_due: int = 0
    """Of items of which much more is known than was told last."""
    prices: int = 0
    price_moves: int = 0
    catalogue_refused: int = 0
    rules: int = 0
    rules_refused: int = 0
    rules_relaxed: dict[str, int] = field(default_factory=dict)
    last_event_ts_ms: int = 0
    model: str = "share"
    labelled_lists: int = 0
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    drifts: int = 0
    chances: dict[str, dict[str, float]] = field(default_factory=dict)
    challengers: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    challenged_lists: dict[str, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def hear(self, snapshot: Snapshot) -> None:
        """Take over what the learner says."""
        self.model, self.labelled_lists = snapshot.name, snapshot.lists
        self.quality, self.drifts, self.chances = snapshot.quality, snapshot.drifts, snapshot.chances
        self.challengers = {name: of.means() for name, of in snapshot.challengers.items()}
        self.challenged_lists = {name: of.lists for name, of in snapshot.challengers.items()}

    def add(self, names: Sequence[str], gained: Sequence[int]) -> None:
        """Add to some counters."""
        for name, by in zip(names, gained, strict=True):
            setattr(self, name, getattr(self, name) + by)

    def name_crowds(self, ids: Sequence[str]) -> None:
        """Keep the ids of crowds that are not among those kept."""
        for each in ids:
            if each not in self.crowds:
                self.crowds = [*self.crowds, each][-CROWDS_NAMED:]

    def count(self, effects: Effects) -> None:
        """Count what a batch refused, re-keyed and made."""
        self.refused.update(refused.reason for refused in effects.refused)
        self.rekeyed += len(effects.rekeyed)
        for values in effects.values:
            if values.kind == "recs":
                self.recommendations += len(values.ids)
            elif values.kind.startswith("recs-"):
                self.scenario_lists += len(values.ids)
            elif values.kind == "price":
                self.prices += len(values.ids)
            elif values.kind in ("similar", "together"):
                self.item_lists += len(values.ids)
        self.exchange_messages += sum(message.topic == "item-updates" for message in effects.messages)

    def as_dict(self) -> dict[str, Any]:
        """All counters by name; `refused` is a dictionary of its own."""
        names = [name for name in self.__slots__ if name != "refused"]
        return {name: getattr(self, name) for name in names} | {"refused": dict(self.refused)}
