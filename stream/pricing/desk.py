"""Where pricing meets the rest: evidence from item rows in, published prices out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.effects import Message, Values, version
from stream.items.due import pop, push
from stream.pricing.config import Mode, PricingConfig
from stream.pricing.demand import Prior
from stream.pricing.facts import UNKNOWN, Evidence, Facts
from stream.pricing.policy import Proposals, estimate, propose
from stream.pricing.pooling import Partial, merge, partial, prior_from
from stream.pricing.rules import Rule
from stream.state.arena import reserve
from stream.values import Price

if TYPE_CHECKING:
    from stream.items.catalogue import Catalogue
    from stream.items.table import ItemTable
    from stream.items.unit import ItemUnit

DECIDE_EVERY_MS = 400
"""Prices are decided on after this time, as many at once as a tick has values: one costs 45 µs, five times as
much as a list, and a call 1.5 ms before its first. A price moves at most once in hours, so that those with
new evidence can wait their turn."""

POOLED = 500
"""Items of a partition that teach the shared prior, chosen by hash: more would hardly change it."""

POOL_EVERY_MS, POOL_ITEM_MS = 1_000, 20
"""A partition pools every second, and later by 20 ms an item, which costs 15 µs: with eight partitions
about .6 % of the time."""


class _DemandPartial(msgspec.Struct):
    version: str
    sums: tuple[float, ...]


class PriceDesk:
    """Keeps the price in force of every item and the prior shared between items."""

    def __init__(self, table: ItemTable, catalogue: Catalogue, config: PricingConfig) -> None:
        self._table = table
        self._catalogue = catalogue
        self._config = config
        capacity = table.interner.capacity
        self._live_minor: NDArray[np.int64] = reserve(capacity, np.int64)
        self._live_since_ms: NDArray[np.int64] = reserve(capacity, np.int64)
        self._told: NDArray[np.int64] = reserve(capacity, np.int64)
        self._partials: dict[bytes, tuple[str, Partial]] = {}
        self._pooled_ms: dict[int, int] = {}
        self._decided_ms = 0
        self._prior: Prior | None = None

    @property
    def prior(self) -> Prior:
        """What all items say of a typical one. Worked out when it is asked for: a hundred workers' partitions
        tell something new more often than that."""
        if self._prior is None:
            self._prior = prior_from(merge(sums for _, sums in self._partials.values()))
        return self._prior

    def restore(self, item_id: bytes, value: bytes) -> None:
        """A price that was published before, by whoever had the item then: it is in force until moved."""
        published = msgspec.json.decode(value, type=Price)
        number = int(self._table.numbers(item_id, 1)[0])
        if published.since_ms > self._live_since_ms[number]:
            self._live_minor[number] = round(published.price * 100)
            self._live_since_ms[number] = published.since_ms

    def forget(self, numbers: NDArray[np.int32]) -> None:
        """Numbers of items that were given back: whoever gets them next has no price yet."""
        for column in (self._live_minor, self._live_since_ms, self._told):
            column[numbers] = 0

    def tell_again(self, numbers: NDArray[np.int32]) -> None:
        """Publish the prices of these items once more, when it is their turn, whatever was told last."""
        rows = self._table.rows
        self._told[numbers] = 0
        for number in numbers[~rows["price_due"][numbers]].tolist():
            push(self._table.price_due, number)
        rows["price_due"][numbers] = True

    def update(self, key: bytes, value: bytes) -> None:
        """One partition's sums; an older message than known is ignored.

        Raises `LayoutError`, and keeps what it has, for sums of another version.
        """
        told = msgspec.json.decode(value, type=_DemandPartial)
        sums = Partial(told.sums)
        if key not in self._partials or told.version >= self._partials[key][0]:
            self._partials[key] = told.version, sums
            self._prior = None

    def partials(self, units: Mapping[int, ItemUnit], now_ms: int) -> list[Message]:
        """What own items say of items in general, for one partition whose turn it is: each takes 8 ms."""
        if self._config.mode is Mode.OFF:
            return []
        for partition, unit in units.items():
            if now_ms < self._pooled_ms.get(partition, 0) or unit.is_empty:
                continue
            numbers = self._sample(unit)
            self._pooled_ms[partition] = now_ms + POOL_EVERY_MS + POOL_ITEM_MS * len(numbers)
            if len(numbers):
                sums = partial(estimate(self.prior, self._evidence(numbers), self._facts(numbers))).sums
                told = _DemandPartial(_version(unit), sums)
                return [Message("aggregates", b"demand:%d" % partition, msgspec.json.encode(told))]
        return []

    def tick(self, units: Mapping[int, ItemUnit], now_ms: int, limit: int) -> tuple[Values, int]:
        """Prices of items with new evidence, the longest waiting first, and how many of them moved.

        A value is published when its price, its proposal or its reason differs from the last one.
        """
        nothing = Values.of("price", [], [])
        if self._config.mode is Mode.OFF or 0 <= now_ms - self._decided_ms < DECIDE_EVERY_MS:
            return nothing, 0
        self._decided_ms = now_ms
        rows = self._table.rows
        numbers = pop(self._table.price_due, limit)
        rows["price_due"][numbers] = False
        here = np.isin(rows["home"][numbers] - 1, np.fromiter(units, np.int64, len(units)))
        numbers = numbers[rows["owned"][numbers] & here]
        return self._decide(units, numbers, now_ms) if len(numbers) else (nothing, 0)

    def _decide(
        self, units: Mapping[int, ItemUnit], numbers: NDArray[np.int32], now_ms: int
    ) -> tuple[Values, int]:
        # All partitions at once: a call costs half a millisecond before its first item.
        facts = self._facts(numbers)
        clock_ms = self._table.clock_ms
        posterior = estimate(self.prior, self._evidence(numbers), facts)
        made = propose(self._config, posterior, facts, clock_ms)
        moved = made.changed & (made.in_force_minor == made.price_minor)
        self._live_minor[numbers[moved]] = made.in_force_minor[moved]
        self._live_since_ms[numbers[moved]] = clock_ms
        # One number says all that a reader would notice of a value; 0 was never told.
        told = (made.price_minor * 64 + made.rule + 1) * 2 + moved
        news = np.flatnonzero((made.price_minor >= 0) & (told != self._told[numbers])).tolist()
        self._told[numbers] = told & ~1
        ids = self._table.interner.blob(numbers).split(b"\0")
        homes = (self._table.rows["home"][numbers] - 1).tolist()
        values = [self._value(units[homes[k]], ids[k], int(numbers[k]), k, made, now_ms) for k in news]
        return Values.of("price", [ids[k] for k in news], values), int(moved.sum())

    def _value(
        self,
        unit: ItemUnit,
        item_id: bytes,
        number: int,
        k: int,
        made: Proposals,
        now_ms: int,
    ) -> bytes:
        entry = self._catalogue.facts.get(item_id)
        return msgspec.json.encode(
            Price(
                version=_version(unit),
                generated_at=now_ms,
                price=int(made.in_force_minor[k]) / 100,
                proposed=int(made.price_minor[k]) / 100,
                mode=self._config.mode.value,
                reason=Rule(int(made.rule[k])).label,
                since_ms=int(self._live_since_ms[number]),
                list_price=entry.list_price if entry else None,
                currency=entry.currency if entry else None,
                elasticity=round(float(made.elasticity_mean[k]), 3),
                elasticity_sd=round(float(made.elasticity_sd[k]), 3),
                expected_gain=round(float(made.expected_gain_ratio[k]), 4),
                confidence=round(float(made.confidence[k]), 3),
            )
        )

    def _sample(self, unit: ItemUnit) -> NDArray[np.int32]:
        members = unit.members()
        members = members[self._table.rows["price_minor"][members, 0] > 0]
        if len(members) > POOLED:
            hashes = self._table.interner.names.entries["hash"][members]
            members = members[np.argpartition(hashes, POOLED)[:POOLED]]
        return np.asarray(members, np.int32)

    def _evidence(self, numbers: NDArray[np.int32]) -> Evidence:
        rows = self._table.rows
        now = self._table.demand.gain(self._table.clock_ms)
        return Evidence(
            price_minor=rows["price_minor"][numbers],
            exposures=rows["exposures"][numbers].astype(np.float64) / now,
            purchases=rows["conversions"][numbers].astype(np.float64) / now,
        )

    def _facts(self, numbers: NDArray[np.int32]) -> Facts:
        rows, catalogue = self._table.rows, self._catalogue
        ids = self._table.interner.blob(numbers).split(b"\0") if len(numbers) else []
        listed = catalogue.money(ids, "list_price")
        # Without a list price the shop's own price stands in: the one shown most.
        shown = rows["price_minor"][numbers]
        most = rows["exposures"][numbers].argmax(axis=1)
        usual = shown[np.arange(len(numbers)), most]
        live = self._live_minor[numbers]
        since = self._live_since_ms[numbers]
        return Facts(
            item_hash=self._table.interner.names.entries["hash"][numbers],
            list_price_minor=np.where(listed > 0, listed, np.where(usual > 0, usual, UNKNOWN)),
            cost_minor=catalogue.money(ids, "cost"),
            floor_minor=catalogue.money(ids, "floor"),
            ceiling_minor=catalogue.money(ids, "ceiling"),
            current_price_minor=np.where(live > 0, live, UNKNOWN),
            last_change_ms=np.where(since > 0, since, UNKNOWN),
            stock=catalogue.stock(ids),
        )


def _version(unit: ItemUnit) -> str:
    return version(unit.lineage_ms, unit.position).decode()
