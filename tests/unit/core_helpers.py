"""A worker without Kafka for tests of the core: logs in, exchange messages kept, state read by id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

import msgspec
import numpy as np

from stream.config import EngineConfig
from stream.effects import Effects, Message
from stream.engine import Engine
from stream.events.codes import NO_PRICE
from stream.events.records import LogRecord
from stream.items.row import BOUGHT, LED_TO, VIEWED
from stream.state.hashing import hash64

T0 = 1_700_000_000_000
MINUTE_MS = 60_000
KINDS = {VIEWED: "viewed", BOUGHT: "bought", LED_TO: "led_to"}


def event(kind: str, user: str, item: str | None = None, ts: int = T0, **fields: Any) -> dict[str, Any]:
    """One event as a shop writes it; without an `event_id`, `log` numbers it."""
    return {"type": kind, "user_id": user, "ts": ts, **({"item_id": item} if item else {}), **fields}


def log(events: Iterable[dict[str, Any]], first: int = 0) -> list[LogRecord]:
    """Records of `events` at offsets from `first`, keyed by shopper, stamped with the event's time."""
    out = []
    for offset, fields in enumerate(events, first):
        value = msgspec.json.encode({"event_id": f"e{offset}", **fields})
        out.append(LogRecord(offset, fields["ts"], fields["user_id"].encode(), value))
    return out


class Worker:
    """An engine that holds all units; its exchange messages wait in `sent` until `deliver`."""

    def __init__(self, sources: int = 1, item_partitions: int = 1, **config: Any) -> None:
        sizes = {"max_items": 4096, "max_shoppers": 4096} | config
        self.engine = Engine(EngineConfig(item_partitions=item_partitions, **sizes))
        self.sent: list[list[LogRecord]] = [[] for _ in range(item_partitions)]
        self.examples: list[bytes] = []
        self._delivered = [0] * item_partitions
        self._values: list[Any] = []
        for source in range(sources):
            self.engine.open_shoppers(source, 1)
        for partition in range(item_partitions):
            self.engine.open_items(partition, 1)

    def feed(self, records: Sequence[LogRecord], source: int = 0, silent: bool = False) -> Effects:
        """One batch of `events`."""
        effects = self.engine.shoppers(source, records, T0, silent)
        self._keep(effects.messages)
        return effects

    def _keep(self, messages: list[Message]) -> None:
        for message in messages:
            if message.topic == "item-updates":
                assert message.partition is not None
                to = self.sent[message.partition]
                to.append(LogRecord(len(to), T0, message.key, message.value))
            elif message.topic == "examples":
                self.examples.append(message.value)

    def deliver(self) -> None:
        """All exchange messages that wait."""
        for partition, records in enumerate(self.sent):
            if records[self._delivered[partition] :]:
                effects = self.engine.items(partition, records[self._delivered[partition] :], T0)
                self._values += effects.values
            self._delivered[partition] = len(records)

    def run(self, records: Sequence[LogRecord], cuts: Sequence[int] = (), source: int = 0) -> Worker:
        """A whole log in batches that end at `cuts`, delivered at once."""
        edges = [0, *sorted(cuts), len(records)]
        for start, stop in pairwise(edges):
            if start < stop:
                self.feed(records[start:stop], source)
                self.deliver()
        return self

    def talk(self, now_ms: int = T0) -> list[Any]:
        """Ticks until popularity has gone round; the values that came of them, and of deliveries before."""
        out, self._values = self._values, []
        for step in range(3):
            effects = self.engine.tick(now_ms + step * 1_000)
            out += effects.values
            for message in effects.messages:
                self.engine.control(message.topic, message.key, message.value)
        return out


def lists(effects: Effects, kind: str = "recs") -> list[tuple[str, dict[str, Any]]]:
    """(id, value) of all values of one kind, in order."""
    return [
        (name.decode(), msgspec.json.decode(value))
        for values in effects.values
        if values.kind == kind
        for name, value in zip(values.ids, values.values, strict=True)
    ]


def items_of(effects: Effects, user: str) -> list[str]:
    """The last list made for `user`."""
    return next(value["items"] for name, value in reversed(lists(effects)) if name == user)


# -- state by id -------------------------------------------------------------------------------------


def _name(engine: Engine, number: int) -> str:
    return engine.table.interner.name(number).decode()


def _owned(engine: Engine) -> list[int]:
    return np.flatnonzero(engine.table.rows["owned"][: engine.table.interner.used]).tolist()


def item_counts(engine: Engine) -> dict[str, tuple[int, ...]]:
    """views, carts, purchases, units sold, units returned of every item that has any."""
    fields = ("views", "carts", "purchases", "units_sold", "units_returned")
    counts = {
        _name(engine, number): tuple(int(engine.table.rows[field][number]) for field in fields)
        for number in _owned(engine)
    }
    return {name: row for name, row in counts.items() if any(row)}


def pair_weights(engine: Engine) -> dict[tuple[str, str, str], float]:
    """Weight of every pair at the engine's clock, by (kind, item, other)."""
    out = {}
    for number in _owned(engine):
        for kind in KINDS.values():
            row = engine.table.rows[kind][number]
            for other, weight in zip(row["item"].tolist(), row["weight"].tolist(), strict=True):
                if other:
                    key = (kind, _name(engine, number), _name(engine, other - 1))
                    out[key] = weight / engine.table.slow.gain(engine.table.clock_ms)
    return out


def pair_bits(engine: Engine) -> dict[tuple[str, str, str], int]:
    """The bitmap of shoppers of every pair, by (kind, item, other)."""
    return {
        (kind, _name(engine, number), _name(engine, other - 1)): bits
        for number in _owned(engine)
        for kind in KINDS.values()
        for other, bits in zip(
            engine.table.rows[kind][number]["item"].tolist(),
            engine.table.rows[kind][number]["shoppers"].tolist(),
            strict=True,
        )
        if other
    }


def price_counts(engine: Engine) -> dict[tuple[str, int], tuple[float, float]]:
    """Exposures and purchases at every price, decayed to the engine's clock."""
    gain = engine.table.demand.gain(engine.table.clock_ms)
    out = {}
    for number in _owned(engine):
        row = engine.table.rows[number]
        for k in np.flatnonzero(row["price_minor"]).tolist():
            sums = float(row["exposures"][k]) / gain, float(row["conversions"][k]) / gain
            out[_name(engine, number), int(row["price_minor"][k])] = sums
    return out


def shopper_states(engine: Engine) -> dict[str, dict[str, Any]]:
    """Windows, baskets and histories of all shoppers of all units."""
    out = {}
    for unit in engine.shopper_units.values():
        for number in np.flatnonzero(unit.state.rows["events"][: unit.interner.used]).tolist():
            row = unit.state.rows[number]
            history = unit.state.histories[int(row["history"])]

            def ids(numbers: np.ndarray) -> list[str]:
                return [_name(engine, n - 1) for n in numbers.tolist() if n]

            out[unit.interner.name(number).decode()] = {
                "events": int(row["events"]),
                "recent": ids(row["recent"]),
                "window": ids(row["recent"])[: int(row["in_session"])],
                "basket": sorted(ids(row["basket"][: min(int(row["in_basket"]), 10)])),
                "bought": sorted(ids(history["bought"])),
                "hidden": sorted(ids(history["hidden"])),
            }
    return out


def pair_shoppers(events: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], set[str]]:
    """Who stands behind each pair: what every shopper alone would have brought about."""
    events = [{"event_id": f"e{n}"} | e for n, e in enumerate(events)]
    out: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for user in {e["user_id"] for e in events}:
        mine = [e for e in events if e["user_id"] == user]
        if any("item_id" in e for e in mine):
            for pair in reference(mine)[1]:
                out[pair].add(user)
    return dict(out)


def bits_of_all(shoppers: dict[tuple[str, str, str], set[str]]) -> dict[tuple[str, str, str], int]:
    """The bitmaps that these sets make."""
    return {pair: reduce(or_, (_bit(user) for user in users)) for pair, users in shoppers.items()}


def _bit(user: str) -> int:
    data = np.frombuffer(user.encode(), np.uint8)
    return 1 << (int(hash64(data, 0, len(data))) & 31)


def assert_close(one: dict[Any, Any], other: dict[Any, Any], relative: float = 1e-5) -> None:
    """The same keys, and sums that differ by rounding only."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert np.allclose(value, other[key], rtol=relative, atol=1e-7), (key, value, other[key])


# -- the reference: dictionaries only ----------------------------------------------------------------


def reference(events: Sequence[dict[str, Any]]) -> tuple[dict, dict, dict, dict]:
    """(counts, pair weights, price counts, shoppers) as a person would count them, newest time as clock."""
    shoppers: dict[str, dict[str, Any]] = {}
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    pairs: dict[tuple[str, str, str], float] = defaultdict(float)
    prices: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for n, e in enumerate(events):
        first.setdefault((e["user_id"], e.get("event_id", f"e{n}")), e)
    clock, seen = max(e["ts"] for e in first.values() if "item_id" in e), set()
    for n, e in enumerate(events):
        name = e.get("event_id", f"e{n}")
        if (e["user_id"], name) in seen:
            continue
        seen.add((e["user_id"], name))
        kind, item, ts, session = e["type"], e.get("item_id"), e["ts"], e.get("session_id")
        fresh = {"events": 0, "recent": [], "window": [], "basket": [], "bought": [], "hidden": []}
        s = shoppers.setdefault(
            e["user_id"], fresh | {"last": None, "session": None, "order": None, "kept": []}
        )
        gap = s["last"] is None or (session != s["session"] if session else ts - s["last"] > 30 * MINUTE_MS)
        if gap:
            s["window"], s["basket"], s["order"] = [], [], None
        s["session"] = session if session or gap else s["session"]
        s["last"], s["events"] = max(s["last"] or ts, ts), s["events"] + 1
        if kind == "purchase" and e.get("order_id") != s["order"]:
            s["order"], s["basket"] = e.get("order_id"), []
        if item is None:
            continue
        slow, demand = 0.5 ** ((clock - ts) / (30 * 86_400_000)), 0.5 ** ((clock - ts) / (60 * 86_400_000))
        if kind == "purchase":
            for k, other in enumerate(s["window"]):
                if other != item:
                    pairs["led_to", other, item] += slow / (k + 1)
            for other in s["basket"]:
                if other != item:
                    pairs["bought", other, item] += slow
                    pairs["bought", item, other] += slow
            s["basket"] += [item] if item not in s["basket"] else []
            s["kept"].append([item, e.get("quantity", 1)])
        elif kind == "return":
            left = e.get("quantity", 1)
            for line in reversed(s["kept"]):
                if line[0] == item:
                    taken = min(left, line[1])
                    line[1], left = line[1] - taken, left - taken
        elif kind == "hide" or e.get("rating", 5.0) < 2.5:
            s["hidden"] += [item] if item not in s["hidden"] else []
        elif kind in ("like", "rating") and item in s["hidden"]:
            s["hidden"].remove(item)
        if kind in ("view", "cart", "like", "rating", "purchase"):
            for k, other in enumerate(s["window"] if s["window"][:1] != [item] else ()):
                if other != item:
                    pairs["viewed", other, item] += slow / (k + 1)
                    pairs["viewed", item, other] += slow * 0.6 / (k + 1)
            for field in ("recent", "window"):
                s[field] = [item, *[other for other in s[field] if other != item]][:10]
        units = e.get("quantity", 1)
        gained = {"view": (0, 1), "cart": (1, 1), "remove_from_cart": (1, -1), "purchase": (3, units)}
        at, by = gained.get(kind, (4, units if kind == "return" else 0))
        counts[item][at] += by
        counts[item][2] += kind == "purchase"
        minor = round(e["price"] * 100) if "price" in e else NO_PRICE
        if minor > 0 and kind in ("view", "purchase"):
            prices[item, minor][kind == "purchase"] += demand
    states = {}
    for user, s in shoppers.items():
        bought = sorted(item for item, left in s["kept"] if left)
        fields = ("events", "recent", "window")
        states[user] = {f: s[f] for f in fields} | {
            "basket": sorted(s["basket"]), "bought": bought, "hidden": sorted(s["hidden"]),
        }  # fmt: skip
    whole = {item: tuple(row) for item, row in counts.items() if any(row)}
    return whole, dict(pairs), {key: tuple(row) for key, row in prices.items()}, states
