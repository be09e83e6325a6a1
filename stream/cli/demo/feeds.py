"""Where the demo's events come from: a simulated shop, or a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import msgspec

from stream.events.readers import Bad, ReadResult, read
from stream.events.types import Event, Item
from stream.runtime.kafka_sink import Outgoing
from stream.simulate import Shop, ShopConfig

DAY_MS = 86_400_000

HISTORY_DAYS = 49
"""Simulated weeks that are lived through fast: enough for prices to find their way three days at a time."""

HISTORY_S = 20.0
"""How long they take, if the worker keeps up."""

WAITS_EVERY_DAYS = 2
"""Of its history. The prices that shoppers see are then as recent on a slow machine as on a fast one."""

CALM_MS_PER_S = 3_600_000
"""After that, an hour a second (some 200 events): slow enough to watch."""

LONG_AGO_DAYS = 365
"""On a terminal the shop begins a year ago, so that there are hours left to watch."""

ORACLE_EVERY = 20

FILE_EVENTS_PER_S = 5_000
"""A file is sent at a steady pace, so that the freshness shown is that of a live shop, not of a backlog."""

_encode = msgspec.json.Encoder().encode


class Feed(Protocol):
    """Gives messages to be sent; told of prices in force, for shoppers to see."""

    done: bool
    waits: bool
    """Whether what comes next waits until the worker is through, and its prices are shown."""
    shoppers: set[str]
    last: Event | None

    def step(self, seconds: float) -> list[Outgoing]:
        """What happens in the next `seconds`."""

    def show_prices(self, prices: Mapping[str, float]) -> None:
        """Prices that were moved, by item id."""

    def items(self) -> list[str]:
        """Ids of the items whose prices are of interest."""


def _message(event: Event) -> Outgoing:
    return Outgoing("events", event.user_id.encode(), _encode(event))


def _facts(item: Item) -> Outgoing:
    return Outgoing("items", item.item_id.encode(), _encode(item))


class ShopFeed:
    """The simulated shop: seven weeks in about 20 seconds, then (`forever`) an hour a second."""

    def __init__(self, now_ms: int, seed: int, forever: bool) -> None:
        back_ms = (LONG_AGO_DAYS if forever else HISTORY_DAYS) * DAY_MS
        self.shop = Shop(ShopConfig(seed=seed, start_ms=now_ms - back_ms))
        self.shop.watch_oracle(ORACLE_EVERY)
        self.done = self.waits = False
        self.shoppers: set[str] = set()
        self.last: Event | None = None
        self._fast_until_ms = self.shop.clock_ms + HISTORY_DAYS * DAY_MS
        self._wait_ms = self.shop.clock_ms + WAITS_EVERY_DAYS * DAY_MS
        self._end_ms = now_ms
        self._told_ms = -1

    def step(self, seconds: float) -> list[Outgoing]:
        """Events up to the next point of simulated time; new items first."""
        fast = self.shop.clock_ms < self._fast_until_ms
        speed = HISTORY_DAYS * DAY_MS / HISTORY_S if fast else CALM_MS_PER_S
        until_ms = min(self.shop.clock_ms + int(seconds * speed), self._end_ms)
        events = self.shop.advance(until_ms)
        launched = self.shop.catalogue(since_ms=self._told_ms)
        self._told_ms = self.shop.clock_ms
        self.waits = fast and self.shop.clock_ms >= self._wait_ms
        if self.waits:
            self._wait_ms += WAITS_EVERY_DAYS * DAY_MS
        self.done = self.shop.clock_ms >= self._end_ms
        self.shoppers.update(event.user_id for event in events)
        self.last = events[-1] if events else self.last
        return [*map(_facts, launched), *map(_message, events)]

    def show_prices(self, prices: Mapping[str, float]) -> None:
        for item_id, price in prices.items():
            self.shop.set_price(item_id, price)

    def items(self) -> list[str]:
        return [item.item_id for item in self.shop.catalogue()]


class FileFeed:
    """A file of events at a steady pace; rows that are no events travel as they are, to be refused."""

    def __init__(self, path: Path, format: str, mapping: Path | None) -> None:
        self.done = self.waits = False
        self.shoppers: set[str] = set()
        self.last: Event | None = None
        results = read(path, format, mapping)
        # The first row is read at once: what is wrong with the file is told before anything is started.
        self._messages = self._outgoing(chain(list(islice(results, 1)), results))

    def _outgoing(self, results: Iterable[ReadResult]) -> Iterator[Outgoing]:
        for entry in results:
            if isinstance(entry, Bad):
                yield Outgoing("events", None, entry.raw)
            elif isinstance(entry, Item):
                yield _facts(entry)
            else:
                self.shoppers.add(entry.user_id)
                self.last = entry
                yield _message(entry)

    def step(self, seconds: float) -> list[Outgoing]:
        """The next rows, as many as the pace allows."""
        batch: list[Outgoing] = []
        for message in self._messages:
            batch.append(message)
            if len(batch) >= seconds * FILE_EVENTS_PER_S:
                return batch
        self.done = True
        return batch

    def show_prices(self, prices: Mapping[str, float]) -> None:
        """A file has happened already: no price changes it."""

    def items(self) -> list[str]:
        return []
