"""The simulated shop: ask it for the events up to some time, set its prices, question its oracle."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace
from random import Random

from stream.errors import InputError
from stream.events.types import AnyEvent, Item
from stream.simulate.config import ShopConfig
from stream.simulate.journal import Journal
from stream.simulate.oracle import LIST_LENGTH, Oracle
from stream.simulate.rhythm import DAY_MS, next_arrival
from stream.simulate.scores import OracleScore, PriceProgress
from stream.simulate.visits import Visits
from stream.simulate.world import World


class Shop:
    """A seeded synthetic shop with true demand curves.

    - The same configuration and the same calls of `set_price` and `show` at the same `clock_ms` give
      the same events to the byte, however the time between is cut into calls of `advance`.
    - Prices are those of items; no shopper is ever shown another price than the next one.
    - What is recommended does not change what shoppers look at, so that hit rates stay comparable.

    Prices are in the currency's main unit. Methods that name an item or shopper raise `InputError`
    for an unknown one.
    """

    def __init__(self, config: ShopConfig) -> None:
        self.config = config
        self.clock_ms = config.start_ms
        """All events up to here have been given out (epoch milliseconds)."""
        self._world = World(config)
        self._rng = Random(config.seed)
        self._oracle = Oracle(self._world.browsing)
        self._events: list[AnyEvent] = []
        journal = Journal(config, self._world.goods.ids, self._events.append)
        self._visits = Visits(self._world, self._oracle, journal, self._rng, self._schedule)
        self._number = {item_id: n for n, item_id in enumerate(self._world.goods.ids)}
        self._queue: list[tuple[int, int, Iterator[int]]] = []
        self._sequence = 0
        self._acts_at_ms = config.start_ms
        self._schedule(config.start_ms, self._arrivals())

    def catalogue(self, since_ms: int = -1) -> list[Item]:
        """Items that went on sale after `since_ms`, up to now; without it, all that are on sale.

        Some come only weeks after the start: ask again after each `advance`, before its events are
        passed on.
        """
        goods, start_ms = self._world.goods, self.config.start_ms
        released = zip(goods.items, goods.release_day.tolist(), strict=True)
        return [item for item, day in released if since_ms < start_ms + day * DAY_MS <= self.clock_ms]

    def advance(self, until_ms: int, max_events: int | None = None) -> list[AnyEvent]:
        """The next events in the order of time, up to `until_ms` or `max_events` of them.

        `clock_ms` is `until_ms` afterwards, or the last event's time when `max_events` cut it short.
        Cost: about 10 µs an event (100,000 a second on one core).
        """
        if until_ms < self.clock_ms:
            return []
        events, queue, to_time = self._events, self._queue, self._world.to_time
        limit = sys.maxsize if max_events is None else max(max_events, 0)
        while len(events) < limit and queue[0][0] <= until_ms:
            ts, _, task = queue[0]
            to_time(ts)
            self._acts_at_ms = ts
            next_ts = next(task, None)
            if next_ts is None:
                heappop(queue)
            else:
                self._sequence += 1
                heapreplace(queue, (next_ts, self._sequence, task))
        # What one act wrote beyond the limit has the time of that act, and waits for the next call.
        batch = events[:limit]
        del events[:limit]
        cut_short = bool(events) or queue[0][0] <= until_ms
        self.clock_ms = max(self.clock_ms, self._acts_at_ms) if cut_short else until_ms
        self._world.to_time(self.clock_ms)
        return batch

    def price(self, item_id: str) -> float:
        """The price shown right now: the one set, else the list price or a promotion of it."""
        return self._world.tags.shown_minor[self._item(item_id)] / 100

    def set_price(self, item_id: str, price: float) -> None:
        """Show `price` from now on, rounded to cents; the item's own promotions end with the first call."""
        item = self._item(item_id)
        _check_price(item_id, price)
        self._world.tags.set(item, round(price * 100))

    def optimum_price(self, item_id: str) -> float:
        """The price between floor and ceiling of highest expected profit a view."""
        item, goods = self._item(item_id), self._world.goods
        optimum_minor = self._world.demand.optimum_minor(
            item, int(goods.cost_minor[item]), int(goods.floor_minor[item]), int(goods.ceiling_minor[item])
        )
        return optimum_minor / 100

    def true_conversion(self, item_id: str, price: float) -> float:
        """Probability that a view of the item at `price` ends in a purchase of it."""
        item = self._item(item_id)
        _check_price(item_id, price)
        return self._world.demand.conversion(item, price * 100)

    def price_progress(self, exposures_min: int = 500) -> PriceProgress:
        """How many of the items with so many views moved from their list price towards the optimum."""
        tags, goods = self._world.tags, self._world.goods
        seen = [item for item, n in enumerate(self._visits.exposures) if n >= exposures_min]
        towards = 0
        for item in seen:
            optimum = math.log(self.optimum_price(goods.ids[item]) * 100)
            before = abs(math.log(goods.list_minor[item]) - optimum)
            towards += abs(math.log(tags.settled_minor(item)) - optimum) < before
        return PriceProgress(items=len(seen), towards=towards)

    def oracle(self, shopper_id: str, k: int = LIST_LENGTH) -> list[str]:
        """The `k` items that the shopper most probably views next, given the visit in progress."""
        shopper = self._world.crowd.by_id.get(shopper_id)
        if shopper is None:
            raise InputError(f"The simulated shop has no shopper {shopper_id!r}.")
        ranked = self._oracle.ranked(shopper, self._visits.open.get(shopper_id), k)
        return [self._world.goods.ids[item] for item in ranked]

    def watch_oracle(self, every: int) -> None:
        """Score the oracle's own list before every `every`-th view from now on (0: no more).

        Cost: about 60 µs a scored view with 400 items. Changes no event.
        """
        self._oracle.watch(every)

    @property
    def oracle_score(self) -> OracleScore:
        """Hits of the oracle's lists of 20 since `watch_oracle`."""
        return self._oracle.score

    def show(self, shopper_id: str, request_id: str, item_ids: list[str]) -> None:
        """Put a list before a shopper: an impression comes with their next view.

        That view carries `request_id` if its item is on the list, as do the cart and the purchase that follow
        from it. A later list replaces one that still waits.
        """
        if shopper_id not in self._world.crowd.by_id:
            raise InputError(f"The simulated shop has no shopper {shopper_id!r}.")
        if item_ids:
            self._visits.lists[shopper_id] = (request_id, item_ids)

    def _item(self, item_id: str) -> int:
        number = self._number.get(item_id)
        if number is None:
            raise InputError(f"The simulated shop has no item {item_id!r}.")
        return number

    def _schedule(self, ts: int, task: Iterator[int]) -> None:
        self._sequence += 1
        heappush(self._queue, (ts, self._sequence, task))

    def _arrivals(self) -> Iterator[int]:
        ts, crowd, visits = self.config.start_ms, self._world.crowd, self._visits
        while True:
            ts = next_arrival(ts, self.config.sessions_per_day, self._rng)
            yield ts
            shopper = crowd.draw(self._rng)
            if shopper.id not in visits.open:
                self._schedule(ts, visits.visit(shopper, ts))


def _check_price(item_id: str, price: float) -> None:
    if not (math.isfinite(price) and round(price * 100) >= 1):
        raise InputError(f"The price of {item_id} must be at least 0.01 and finite, not {price!r}.")
