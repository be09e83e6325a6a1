"""What the shop's clients send: events as they arrive, with retries, bad records and some disorder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks import workload
from benchmarks.topics import Event

RETRY_SHARE, MALFORMED_SHARE = 0.05, 0.02
DISORDER_MS = 30_000
"""An event, and a client's retry of it, arrive up to this much later than they happened."""

ITEMS = 60_000
"""Some 17 events an item in a million: most rows of neighbours do not overflow, so they can be compared."""


def arrivals(events: int, end_ms: int, seed: int) -> Iterator[Event]:
    """`events` events and 5 % retries in the order of their arrival; 2 % of the events are malformed."""
    rng = np.random.default_rng(seed)
    rows = list(workload.encode(workload.generate(events, end_ms, seed, items=ITEMS)))
    retried = np.flatnonzero(rng.random(events) < RETRY_SHARE)
    number = np.concatenate([np.arange(events), retried])
    happened = np.array([row[3] for row in rows])[number]
    arrived = happened + rng.integers(0, DISORDER_MS, len(number))
    malformed = rng.random(events) < MALFORMED_SHARE
    for k in number[np.argsort(arrived, kind="stable")].tolist():
        shopper, key, value, ts_ms = rows[k]
        yield shopper, key, _spoil(value, k) if malformed[k] else value, ts_ms


def _spoil(value: bytes, number: int) -> bytes:
    """One of the ways in which events are broken."""
    ways = (
        value[: len(value) // 2],
        b"[" + value + b"]",
        b"not json",
        value.replace(b'"price":', b'"price":-'),
        value.replace(b'"price":', b'"price":NaN,"was":'),
        value.replace(b'"item_id":"i', b'"item_id":"","was":"i'),
        value.replace(b'"type":"', b'"type":"un'),
        value.replace(b'"event_id"', b'"event"'),
        value.replace(b'"item_id":"i', b'"item_id":1').replace(b'","price"', b',"price"'),
    )
    return ways[number % len(ways)]
