"""Lists of the scenarios beside `home`: after which events they are due, from what they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.effects import BESIDE, OFFSET_MAX, Values, place
from stream.events.codes import DISLIKE, IMPRESSION, RATING
from stream.items.unit import ItemUnit
from stream.recommend.anchored import Way, make_anchored_lists
from stream.recommend.candidates import REASONS
from stream.recommend.encode import PLAIN, Writer, new_lists
from stream.recommend.make import Ranker
from stream.recommend.pool import OWNED
from stream.recommend.rank import LENGTH, no_scorer
from stream.recommend.sources import SOURCES, used
from stream.rules.book import Rulebook
from stream.rules.scenario import AFTER, EVERY, HOME, SESSION, Scenario
from stream.shoppers.row import HISTORY, SHOPPER
from stream.state.texts import Texts
from stream.values import kind_of

AT_ONCE = 1024
"""Lists made by one call: bounds the working memory."""


class Now(NamedTuple):
    """What all lists of one moment have in common: the ranker of `home`, the name of its model, the time."""

    ranker: Ranker
    model: str
    now_ms: int


class Place(NamedTuple):
    """Where in its log each list of a batch was made: a lineage, and an offset by list."""

    lineage_ms: int
    offsets: NDArray[np.int64]


class Scenarios:
    """All scenarios of one engine. Lists of `home` are made elsewhere, with every event
    (`stream.recommend.make`); here only where a request asks for them."""

    def __init__(self, scenarios: Mapping[str, Scenario], rules: Rulebook) -> None:
        self._rules = rules
        self._scenarios = dict(scenarios)
        self._ways = {name: way_of(scenario) for name, scenario in scenarios.items()}
        self._uses = {name: used(scenario.sources) for name, scenario in scenarios.items()}
        others = [name for name in scenarios if name != HOME]
        self.of_items = [name for name in others if scenarios[name].key == "item"]
        self.of_shoppers = [name for name in others if scenarios[name].after]
        self._due = _table([scenarios[name].after for name in self.of_shoppers])
        self._lists = new_lists(AT_ONCE, LENGTH)
        self._writer = Writer(AT_ONCE, LENGTH, REASONS)

    def due(self, did: NDArray[np.uint8], code: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """By event, which of `of_shoppers` are due after it: bits. 4 µs for ten, 8 for a thousand.

        `did`: what came of it (`stream.shoppers.state.Events`); `code`: its type's.
        """
        found: NDArray[np.uint64] = self._due[did, code]
        return found

    def way(self, name: str) -> Way:
        """How lists of a scenario are made."""
        return self._ways[name]

    def ranker(self, name: str, segment: str | None, now: Now, at_ms: int) -> Ranker:
        """What lists of a scenario are made from, under the rules of the time `at_ms` (0: of the latest time
        told); 3 µs. It shares its room to work in with the ranker of `home`. Raises `InputError` for an
        unknown name."""
        plan = self._rules.plan(name, segment, at_ms)
        home = now.ranker
        if name == HOME:
            return home._replace(ruled=home.ruled._replace(plan=plan, now_ms=now.now_ms))
        length = self._scenarios[name].length
        return home._replace(
            uses=self._uses[name],
            scorer=home.scorer if self._ways[name].lead < 0 else no_scorer(),
            ruled=home.ruled._replace(plan=plan, now_ms=now.now_ms, length=length),
        )

    def concern(self, name: str, rows: NDArray[np.void], histories: NDArray[np.void]) -> NDArray[np.bool_]:
        """Of which shoppers there is something to be listed: those with a cart for one, with purchases for
        another."""
        way, of = self._ways[name], histories[rows["history"]]
        if way.lead == OWNED:
            return (of["bought"] > 0).any(1)  # type: ignore[no-any-return]
        return of["cart"][:, 0] > 0 if way.from_cart else np.ones(len(rows), np.bool_)

    def values(
        self,
        name: str,
        ids: Texts,
        rows: NDArray[np.void],
        histories: NDArray[np.void],
        anchors: NDArray[np.int32],
        at: Place,
        now: Now,
    ) -> tuple[Values, int]:
        """Lists of one scenario for up to `AT_ONCE` rows (copies, which are changed), and how many are empty:
        these are published, too, for the one before may hold what is not to be shown any more.

        They go to Redis alone: what they are made for are pages and mails, which ask by id.
        """
        ranker = self.ranker(name, None, now, now.now_ms)
        none = np.zeros(0, np.int32)
        make_anchored_lists(rows, histories, anchors, none, ranker, self._ways[name], self._lists)
        model = now.model if self._ways[name].lead < 0 else PLAIN
        offsets = np.minimum(at.offsets + BESIDE, OFFSET_MAX)
        values = self._writer.write(
            self._lists, len(rows), ranker.item_names, at.lineage_ms, offsets, now.now_ms, model
        )
        empty = int(np.count_nonzero(self._lists.size[: len(rows)] == 0))
        return Values(kind_of(name), ids, values, topic=False), empty

    def of_each(self, unit: ItemUnit, items: NDArray[np.int32], now: Now) -> tuple[list[Values], int]:
        """The lists of up to `AT_ONCE` items of a unit, of every scenario that has one for each, and how many
        are empty: for a visitor who looks at the item, and of whom nothing else is known."""
        out, empty = [], 0
        lineage_ms, offset = place(unit.lineage_ms, unit.position)
        at = Place(lineage_ms, np.full(len(items), offset, np.int64))
        for name in self.of_items if len(items) else ():
            nobody, none = np.zeros(len(items), SHOPPER), np.zeros(1, HISTORY)
            ids, anchors = unit.table.interner.texts(items), items.reshape(-1, 1)
            values, found = self.values(name, ids, nobody, none, anchors, at, now)
            out.append(values)
            empty += found
        return out, empty


def way_of(scenario: Scenario) -> Way:
    """A scenario as kernels see it."""
    return Way(
        lead=SOURCES[scenario.first] if scenario.first else -1,
        per_category=scenario.per_category or 0,
        from_cart=scenario.anchors == "cart",
        without_window="window" in scenario.without,
        without_cart="cart" in scenario.without,
        without_bought="bought" in scenario.without,
    )


def _table(after: list[tuple[str, ...]]) -> NDArray[np.uint64]:
    """Bits of the scenarios that are due, by what came of an event (2 bits: applied, opened a session) and by
    its code."""
    out = np.zeros((4, 256), np.uint64)
    for bit, names in enumerate(after):
        mine = np.uint64(1 << bit)
        for name in names:
            if name == EVERY:
                out[1:] |= mine
            elif name == SESSION:
                out[3] |= mine
            else:
                out[1:, AFTER[name]] |= mine
                if AFTER[name] == RATING:
                    out[1:, DISLIKE] |= mine
    # What was shown is no step of the shopper's, and no list follows it.
    out[:, IMPRESSION] = 0
    return out
