"""Start here: the whole path of a batch on one page.

::

    events ──▶ shoppers() ──▶ item-updates ──▶ items() ──▶ tick()
                │  │                                        │  └─▶ similar, together, trending, price, product
                │  └─▶ examples ─▶ Learner ─▶ models        └─▶ aggregates
                └─▶ recs                       │                     │
                      ▲────────── control() ◀──┴─────────────────────┘  and the catalogue

The engine is synchronous and deterministic: records in, `Effects` out. It has no clock, does no I/O
and knows nothing of Kafka: time comes with the records or as `now_ms`. The shell (`stream.runtime`)
reads the topics, calls these methods and carries the effects out; `stream.pipeline` does the same in
one process for replays, evaluations and tests.

State lies in units: one per partition of `events` (`ShopperUnit`), one per partition of
`item-updates` (`ItemUnit`). A unit is a function of its own log alone, so it can be opened anywhere,
fed its log again, and be what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.config import EngineConfig
from stream.effects import Effects, ListsFor, Message, Values
from stream.errors import LayoutError, StreamError
from stream.events.records import Record
from stream.items.catalogue import Catalogue
from stream.items.foreign import Foreign
from stream.items.publish import Publisher
from stream.items.sweep import sweep
from stream.items.table import ItemTable
from stream.items.unit import ItemUnit
from stream.learn.challenge import Told
from stream.learn.model import MODEL_KEY, Snapshot, network, scorer, unpack_snapshot
from stream.learn.sampling import share_labelled
from stream.metrics import ITEM_COUNTS, SHOPPER_COUNTS, Metrics
from stream.pricing.desk import PriceDesk
from stream.recommend.explore import TRIED, new_explorer
from stream.recommend.features import new_description
from stream.recommend.make import Ranker
from stream.recommend.network import no_network
from stream.recommend.pool import new_pool
from stream.recommend.popular import Popular
from stream.recommend.rank import new_ranking, no_scorer
from stream.recommend.respond import Responder, Response
from stream.recommend.ruled import new_ruled
from stream.recommend.scenarios import Now, Scenarios
from stream.recommend.sources import used
from stream.rules.book import Rulebook
from stream.rules.request import RequestContext
from stream.rules.scenario import HOME
from stream.saving import MESSAGE_EVENTS, Saving
from stream.shoppers.unit import LOGINS_KEY, ShopperUnit

U = TypeVar("U")

_counts = attrgetter("touches", *ITEM_COUNTS[:-2], "evicted", "forgotten")
"""Of an item unit: touches, then what is counted of its stage."""

SWEEP_FROM = 0.8
"""Share of item numbers in use at which those that nothing holds are given back."""


class Engine:
    """All state of one worker, and the two stages that change it."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.metrics = Metrics()
        self.table = ItemTable(config.max_items, config.item_partitions)
        self.catalogue = Catalogue(self.table)
        self.popular = Popular(self.table)
        self.publisher = Publisher(self.table, self.catalogue, self.popular)
        self.foreign = Foreign(self.table)
        self.prices = PriceDesk(self.table, self.catalogue, config.pricing)
        self.rules = Rulebook(self.table, self.catalogue, config.scenarios)
        self.scenarios = Scenarios(config.scenarios, self.rules)
        self._responder = Responder(self.scenarios, self.rules, self.table, self.catalogue)
        home = config.scenarios[HOME]
        self.shopper_units: dict[int, ShopperUnit] = {}
        self.item_units: dict[int, ItemUnit] = {}
        self.saving = Saving(config.rows_saved_per_event)
        self.model: Snapshot | None = None
        self.challengers = Told()
        self.lists_for = ListsFor.EVENTS
        self.logins = False
        self._ranker = Ranker(
            items=self.table.rows,
            wanted=self.table.wanted,
            facts=self.table.facts,
            item_names=self.table.interner.names,
            leaders=self.popular.leaders,
            scorer=no_scorer(),
            network=no_network(),
            pool=new_pool(),
            uses=used(config.sources or home.sources),
            description=new_description(),
            ranking=new_ranking(),
            ruled=new_ruled(self.rules.plan(HOME, None, 0), home.length, self.table.interner.capacity),
            explorer=new_explorer(self.table.interner.capacity, home.explore),
        )
        self._sweep_at = int(self.table.interner.capacity * SWEEP_FROM)

    # -- units -----------------------------------------------------------------------------------

    def open_shoppers(self, partition: int, lineage_ms: int) -> ShopperUnit:
        """A new, empty unit for one partition of `events`."""
        self.close_shoppers(partition)
        sizes = self.config.max_shoppers, self.config.inactive_ms, self.config.bounds
        unit = ShopperUnit(partition, lineage_ms, self.table, *sizes)
        unit.logins = self.logins
        self.shopper_units[partition] = unit
        self.saving.open(unit)
        return unit

    def open_items(self, partition: int, lineage_ms: int) -> ItemUnit:
        """A new, empty unit for one partition of `item-updates`."""
        self.close_items(partition)
        unit = ItemUnit(partition, lineage_ms, self.table, self.config.max_items, self.config.inactive_ms)
        self.item_units[partition] = unit
        self.saving.open(unit)
        return unit

    def close_shoppers(self, partition: int) -> None:
        """Forget a unit: its partition is another worker's now."""
        self.shopper_units.pop(partition, None)

    def close_items(self, partition: int) -> None:
        """Forget a unit and its rows."""
        unit = self.item_units.pop(partition, None)
        if unit is not None:
            unit.close()

    def restore_shoppers(self, partition: int, saved: Iterable[bytes]) -> int:
        """Put saved buckets into a new unit; the offset from which its log is to be replayed."""
        unit = self._unit(self.shopper_units, partition, "events")
        start = self.saving.restore_shoppers(unit, saved)
        self.metrics.rows_restored += len(unit)
        return start

    def restore_items(self, partition: int, saved: Iterable[bytes]) -> int:
        """Put saved buckets into a new unit; the offset from which its log is to be replayed."""
        unit = self._unit(self.item_units, partition, "item-updates")
        start = self.saving.restore_items(unit, saved)
        self.metrics.rows_restored += int(unit.bucket_size.sum())
        return start

    def tell_items_at_once(self) -> None:
        """Have the one shopper unit change the one item unit itself, without messages between them."""
        ((shoppers,), (items,)) = self.shopper_units.values(), self.item_units.values()
        shoppers.items_at_once = items

    # -- the two stages --------------------------------------------------------------------------

    def shoppers(
        self,
        partition: int,
        records: Sequence[Record],
        now_ms: int,
        silent: bool = False,
        lists: ListsFor | None = None,
    ) -> Effects:
        """One batch of `events`: lists for every shopper in it, and the news for the item stage.

        `silent`: the batch was applied before (by whoever had this unit); only state changes. `lists` (by
        default as `in_backlog` was told) are most of the cost; state is the same with fewer of them, but for
        what the learner is told.
        """
        unit = self._unit(self.shopper_units, partition, "events")
        self._make_room()
        before = unit.state.counts.copy()
        effects, examples = unit.apply(
            records,
            self.now(now_ms),
            share_labelled(self.config.item_partitions, self.metrics.labelled_lists),
            silent,
            lists or self.lists_for,
            self.scenarios,
        )
        effects.messages += [Message("examples", None, value, 0) for value in examples]
        if unit.logins and not self.logins:
            effects.messages.append(Message("aggregates", LOGINS_KEY, b"{}"))
            self._expect_logins()
        if silent:
            self.metrics.replayed += len(records)
            return Effects()
        self.metrics.records += len(records)
        self.metrics.add(SHOPPER_COUNTS, (unit.state.counts - before).tolist())
        self.metrics.name_crowds(unit.crowds)
        self.metrics.last_event_ts_ms = max(self.metrics.last_event_ts_ms, unit.clock_ms)
        self.saving.count(unit, len(records))
        self.metrics.count(effects)
        return effects

    def items(self, partition: int, records: Sequence[Record], now_ms: int, silent: bool = False) -> Effects:
        """One batch of `item-updates`: counts change now, what they mean is published by `tick`."""
        unit = self._unit(self.item_units, partition, "item-updates")
        self._make_room()
        before = _counts(unit)
        effects = unit.apply(records)
        if silent:
            return Effects()
        if not len(self.popular.numbers):
            # The first that is known of anything: at the next tick it would miss many shoppers.
            self._popularity(effects, now_ms)
        touches, *gained = [now - then for now, then in zip(_counts(unit), before, strict=True)]
        self.metrics.add(ITEM_COUNTS, gained)
        self.saving.count(unit, touches + MESSAGE_EVENTS * len(records))
        self.metrics.count(effects)
        return effects

    def leave_out_items(self, partition: int, record: Record) -> None:
        """Pass over one record of `item-updates` that cannot be applied, so that the next ones can."""
        self._unit(self.item_units, partition, "item-updates").leave_out(record)

    def in_backlog(self, behind: bool) -> None:
        """Whether what follows is a backlog, in which a shopper's last list will do."""
        self.lists_for = ListsFor.SHOPPERS if behind else ListsFor.EVENTS

    def save_shoppers(self, partition: int) -> list[Message]:
        """Buckets of a unit whose turn it is to be saved, for `Effects.saved` of the batch just applied.

        Apart from `shoppers`, so that whoever has a clock can tell what saving costs.
        """
        return self.saving.shoppers_due(self._unit(self.shopper_units, partition, "events"))

    def save_items(self, partition: int) -> list[Message]:
        """As `save_shoppers`, for a unit of the item stage."""
        return self.saving.items_due(self._unit(self.item_units, partition, "item-updates"))

    def tick(self, now_ms: int, limit: int = 500) -> Effects:
        """What is due apart from any batch, at most about `limit` values of each kind.

        Item lists and prices whose counts changed, popularity (own partial out, merged lists in), and
        first lists for shoppers who came before anything was known. Call it several times a second.
        """
        effects, units = Effects(), self.item_units
        self.catalogue.look_on(self.popular.numbers)
        self._popularity(effects, now_ms)
        for items, numbers in self.publisher.items_due(units, limit):
            effects.values += self._item_lists(items, numbers, now_ms)
        prices, moves = self.prices.tick(units, now_ms, limit)
        if prices.ids:
            effects.values.append(prices)
        effects.messages += self.prices.partials(units, now_ms)
        self.metrics.price_moves += moves
        self.metrics.item_lists_due = self.publisher.many_due
        now = self.now(now_ms)
        self.metrics.rules, self.metrics.rules_relaxed = len(self.rules.rules), self.rules.relaxed
        for unit in self.shopper_units.values():
            effects.values += unit.owed(now, limit).values
        self.metrics.count(effects)
        return effects

    @property
    def changes(self) -> int:
        """Grows when lists that were published may hold what is not to be shown there any more."""
        return self.rules.changes + self.catalogue.withdrawals

    def unsaved(self, most: int) -> Effects:
        """Up to `most` buckets that are not saved as they are now, for a worker that is about to leave."""
        effects = Effects()
        for items in self.item_units.values():
            effects.saved += self.saving.items_left(items, most - len(effects.saved))
        for shoppers in self.shopper_units.values():
            effects.saved += self.saving.shoppers_left(shoppers, most - len(effects.saved))
        return effects

    def lists_again(self, partition: int, shoppers: NDArray[np.int32], now_ms: int) -> list[Values]:
        """Lists for up to a thousand shoppers of a unit, by number, apart from any event."""
        unit = self._unit(self.shopper_units, partition, "events")
        return unit.lists_of(shoppers, self.now(now_ms), self.scenarios)

    def item_lists_again(self, partition: int, items: NDArray[np.int32], now_ms: int) -> list[Values]:
        """All lists of up to a thousand items of a unit, changed or not."""
        return self._item_lists(self._unit(self.item_units, partition, "item-updates"), items, now_ms)

    def item_values_again(self, partition: int, items: NDArray[np.int32], now_ms: int) -> list[Values]:
        """As `item_lists_again`; their prices follow with ticks, though they are what was told last."""
        self.prices.tell_again(items)
        return self.item_lists_again(partition, items, now_ms)

    def recommend(self, request: RequestContext, shopper_id: str | None, now_ms: int) -> Response:
        """The list for one request, for a shopper or for somebody who is not known. Changes nothing.

        Its anchors come before what the shopper looked at last, and neither they nor `exclude` are shown.
        Rules are those of the latest time that the engine was told of. Raises `InputError` if there is no
        such scenario.
        """
        now = Now(self._ranker, self.metrics.model, now_ms)
        return self._responder.respond(request, shopper_id, self.shopper_units.values(), now)

    # -- what every worker is told ---------------------------------------------------------------

    def control(self, topic: str, key: bytes | None, value: bytes | None) -> str | None:
        """One message of one of the control topics; why it was refused, or None."""
        if topic == "items":
            refused = self.catalogue.update(key, value)
            self.metrics.catalogue_refused += refused is not None
            return refused
        if topic == "rules":
            refused = self.rules.take(key, value)
            self.metrics.rules_refused += refused is not None
            return refused
        try:
            return self._told(topic, key, value)
        except (msgspec.MsgspecError, LayoutError, ValueError) as error:
            return f"the message {key!r} of {topic} is unusable: {error}"

    def _told(self, topic: str, key: bytes | None, value: bytes | None) -> str | None:
        if topic == "aggregates" and key and value:
            if key.startswith(b"popular:"):
                self.popular.update(key, value)
            elif key.startswith(b"demand:"):
                self.prices.update(key, value)
            elif key == LOGINS_KEY:
                self._expect_logins()
        elif topic == "prices" and key and value:
            self.prices.restore(key, value)
        elif topic == "models" and key == MODEL_KEY:
            return self._swap(value) if value else None
        elif topic == "models" and key:
            return self.challengers.take(key, value)
        return None

    def _swap(self, value: bytes) -> str | None:
        """Score with another model from the next batch on."""
        snapshot = unpack_snapshot(value)
        folded = scorer(snapshot)
        if folded is None:
            return "the model snapshot scores other features than this version: left unused"
        self.model = snapshot
        self.metrics.hear(snapshot)
        self._ranker = self._ranker._replace(scorer=folded, network=network(snapshot))
        return None

    # -- other workers' rows -----------------------------------------------------------------------

    def wanted(self, limit: int) -> list[bytes]:
        """Items of other workers whose `similar` and `together` values ranking would like to have."""
        return self.foreign.wanted(limit)

    def adopt(self, item_id: bytes, similar: bytes | None, together: bytes | None) -> str | None:
        """Those values of one item, as read from Redis (or None); why they were refused, or None."""
        try:
            self.foreign.adopt(item_id, similar, together)
        except (msgspec.MsgspecError, ValueError) as error:
            return f"the neighbours of {item_id!r} in Redis are unusable: {error}"
        return None

    # -- helpers ---------------------------------------------------------------------------------

    def _item_lists(self, unit: ItemUnit, items: NDArray[np.int32], now_ms: int) -> list[Values]:
        """All lists of some items of a unit."""
        pages, empty = self.scenarios.of_each(unit, items, self.now(now_ms))
        self.metrics.empty_lists += empty
        return self.publisher.lists_of(unit, items, now_ms) + pages

    def now(self, now_ms: int) -> Now:
        """What lists are made from at this time; 1 µs if no rule has changed."""
        plan, ruled = self.rules.plan(HOME, None, now_ms), self._ranker.ruled
        if plan is not ruled.plan or not plan.idle:
            self._ranker = self._ranker._replace(ruled=ruled._replace(plan=plan, now_ms=now_ms))
        return Now(self._ranker, self.metrics.model, now_ms)

    def _expect_logins(self) -> None:
        self.logins = True
        for unit in self.shopper_units.values():
            unit.logins = True

    def _popularity(self, effects: Effects, now_ms: int) -> None:
        """Tell what own partitions know of popularity: here at once, to other workers when they read it."""
        told = self.publisher.partials(self.item_units, now_ms)
        for message in told:
            self.popular.update(message.key or b"", message.value)
        effects.messages += told
        effects.values += self.publisher.trending(self.item_units, now_ms)

    def _make_room(self) -> None:
        """Give numbers of items back before they run out; again only after many more were taken."""
        names = self.table.interner
        if len(names) >= self._sweep_at:
            gone = sweep(self.table, self.shopper_units.values(), self.popular, self.catalogue)
            self.prices.forget(gone)
            self._ranker.explorer.item[gone] = np.zeros(1, TRIED)[0]
            self.rules.forget(gone)
            self._sweep_at = max(int(names.capacity * SWEEP_FROM), (len(names) + names.capacity) // 2)

    def _unit(self, units: dict[int, U], partition: int, topic: str) -> U:
        if (unit := units.get(partition)) is None:
            raise StreamError(f"partition {partition} of {topic} was not opened before its first batch")
        return unit
