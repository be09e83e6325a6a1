"""What each source costs: `python -m benchmarks.sources` prints microseconds an event and a list.

One log of sessions over a catalogue with words and prices, a fifth of the events purchases and a fifth
ratings, so that every source has something to do. Events are learned a thousand at a time; lists are asked
for singly, with Python's call of some ten microseconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.harness import tell
from stream.events.codes import PURCHASE, RATING, VIEW
from stream.events.types import Item
from stream.sources.registry import SOURCES, make
from stream.sources.source import Interactions, Room, Visit, interactions, proposals

ITEMS = 20_000
SHOPPERS = 20_000
EVENTS = 60_000
BATCH = 1_000
LISTS = 2_000
WARM = 0.2


def catalogue() -> list[Item]:
    """Items of 300 categories and 100 brands."""
    found = []
    for k in range(ITEMS):
        title, category, brand = f"thing {k % 997} of kind {k % 53}", f"c{k % 300}", f"b{k % 100}"
        price = 5.0 + k % 200
        found.append(Item(item_id=f"i{k}", title=title, category=category, brand=brand, list_price=price))
    return found


def events(seed: int = 1) -> Interactions:
    """Sessions of about five events, neighbours in number mostly, popular items more often."""
    rng = np.random.default_rng(seed)
    found = interactions(EVENTS)
    opens = rng.random(EVENTS) < 0.2
    session = np.cumsum(opens)
    found.opens[:] = opens
    found.shopper[:] = rng.integers(0, SHOPPERS, session[-1] + 1)[session]
    home = (ITEMS * rng.random(session[-1] + 1) ** 3).astype(np.int64)[session]
    found.item[:] = (home + rng.integers(0, 12, EVENTS)) % ITEMS
    found.code[:] = rng.choice([VIEW, VIEW, VIEW, PURCHASE, RATING], EVENTS)
    found.rating[:] = np.where(found.code == RATING, rng.integers(1, 6, EVENTS), np.nan)
    found.ts_ms[:] = 1_600_000_000_000 + 10_000 * np.arange(EVENTS)
    return found


def costs(name: str, log: Interactions, items: Sequence[Item]) -> dict[str, float]:
    """Of one source, after a fifth of the log: µs an event and a list, and the megabytes it may hold."""
    room = Room(ITEMS, SHOPPERS, np.random.default_rng(2).integers(0, 1 << 62, ITEMS).astype(np.uint64))
    source = make(name, room)
    source.describe_items(np.arange(ITEMS, dtype=np.int32), items)
    out = proposals(20)

    def visit(k: int) -> Visit:
        return Visit(int(log.shopper[k]), log.item[k : k + 1].copy(), 1, 20)

    warm = int(WARM * EVENTS)
    source.learn(_part(log, 0, warm))
    source.propose(visit(0), out)
    began = time.process_time()
    for at in range(warm, EVENTS, BATCH):
        source.learn(_part(log, at, at + BATCH))
    learned = time.process_time()
    for k in range(LISTS):
        source.propose(visit(EVENTS - LISTS + k), out)
    listed = time.process_time()
    return {
        "learn_us": round((learned - began) / (EVENTS - warm) * 1e6, 2),
        "propose_us": round((listed - learned) / LISTS * 1e6, 1),
        "megabytes": round(source.nbytes / 1e6, 1),
    }


def _part(log: Interactions, start: int, stop: int) -> Interactions:
    return Interactions(
        log.shopper[start:stop],
        log.item[start:stop],
        log.code[start:stop],
        log.ts_ms[start:stop],
        log.opens[start:stop],
        log.rating[start:stop],
    )


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(given)
    log, items = events(), catalogue()
    told: dict[str, Any] = {name: costs(name, log, items) for name in SOURCES}
    tell(told | {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0]}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
