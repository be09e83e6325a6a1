"""Both counts side by side: what a fresh worker restores, and what the plain counter made of the log."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import ConsumerRecord
from redis import Redis

from benchmarks.chaos.counter import HALF_LIFE_MS, LANDMARK_MS, Counter
from stream.engine import Engine
from stream.items.describe import KINDS, ItemState
from stream.items.describe import describe as describe_item
from stream.items.row import BOUGHT_SLOTS, VIEWED_SLOTS
from stream.shoppers.describe import describe as describe_shopper
from stream.shoppers.describe import shoppers_of
from stream.values import key_of

SLOTS = dict(zip(KINDS, (VIEWED_SLOTS, BOUGHT_SLOTS, BOUGHT_SLOTS), strict=True))
TOLERANCE = 1e-5
"""Weights are sums in float32: one pair more or less is 0.06 or more, of a sum of some hundred at most."""


def counted(records: Iterable[ConsumerRecord]) -> Counter:
    """The plain count of a whole log, partition by partition."""
    counter = Counter()
    for record in records:
        counter.count(record.partition, record.offset, record.timestamp, record.value)
    return counter


def compare(engine: Engine, counter: Counter) -> dict[str, int]:
    """How many events, items, pair rows and shoppers differ, and how many were looked at."""
    found = dict.fromkeys(
        ("lost", "double", "items_differ", "pair_rows_differ", "pair_rows_compared", "pair_rows_overflowed",
         "shoppers_differ"), 0,
    )  # fmt: skip
    found |= _shoppers(engine, counter)
    items: dict[str, ItemState] = {}
    for unit in engine.item_units.values():
        items |= {state.item_id: state for state in (describe_item(unit, n) for n in unit.members().tolist())}
    gain = 2 ** ((engine.table.clock_ms - LANDMARK_MS) / HALF_LIFE_MS)
    known = counter.views.keys() | counter.purchases.keys()
    found["items"] = len(known)
    for item in known | items.keys():
        state = items.get(item)
        counts = (state.views, state.purchases) if state else (0, 0)
        found["items_differ"] += counts != (counter.views[item], counter.purchases[item])
        for kind in KINDS:
            wanted: dict[str, float] = counter.pairs.get((kind, item), {})
            if len(wanted) > SLOTS[kind]:
                found["pair_rows_overflowed"] += 1
                continue
            found["pair_rows_compared"] += bool(wanted)
            have = state.neighbours[kind] if state else {}
            found["pair_rows_differ"] += not _same(have, wanted, gain)
    return found


def _same(have: Mapping[str, float], wanted: Mapping[str, float], gain: float) -> bool:
    return have.keys() == wanted.keys() and all(
        math.isclose(have[other], weight / gain, rel_tol=TOLERANCE) for other, weight in wanted.items()
    )


def _shoppers(engine: Engine, counter: Counter) -> dict[str, int]:
    lost = double = differ = seen = 0
    for unit in engine.shopper_units.values():
        for number in shoppers_of(unit).tolist():
            have = describe_shopper(unit, number)
            wanted: dict[str, Any] = counter.shoppers.get(have.user_id, {"events": 0})
            seen += 1
            lost += max(0, wanted["events"] - have.events)
            double += max(0, have.events - wanted["events"])
            differ += (have.recent, have.window, set(have.bought)) != (
                wanted.get("recent"), wanted.get("window"), set(wanted.get("bought", ())),
            )  # fmt: skip
    missing = counter.shoppers.keys() - {
        unit.interner.name(number).decode()
        for unit in engine.shopper_units.values()
        for number in shoppers_of(unit).tolist()
    }
    lost += sum(counter.shoppers[shopper]["events"] for shopper in missing)
    return {
        "shoppers": seen,
        "shoppers_differ": differ + len(missing),
        "lost": lost,
        "double": double,
    }


def stale_in_redis(redis: Redis, prefix: str, latest: Mapping[bytes, bytes]) -> int:
    """Shoppers whose list in Redis is older than the newest one that was published to the topic."""
    keys = {shopper: key_of(prefix, "recs", shopper.decode()) for shopper in latest}
    stale = 0
    names = list(keys)
    for at in range(0, len(names), 1000):
        part = names[at : at + 1000]
        values: Any = redis.mget([keys[name] for name in part])
        for name, value in zip(part, values, strict=True):
            stale += value is not None and json.loads(value)["version"].encode() < latest[name]
    return stale


def missing_dead_letters(
    letters: Iterable[ConsumerRecord], malformed: set[tuple[int, int]]
) -> tuple[int, int]:
    """(malformed events that are not in the dead letters, dead letters of events that are not malformed)."""
    told = set()
    for letter in letters:
        headers = dict(letter.headers)
        told.add((int(headers["stream-partition"]), int(headers["stream-offset"])))
    return len(malformed - told), len(told - malformed)
