"""Each peer's lists over a small log equal those of a second, independent program: no straw men."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmarks.contender import BARE, MODULES, ContenderError, take_turn
from benchmarks.peers.job import TOP, WINDOW
from benchmarks.topics import Event, create, read, write

EVENTS = 3_000
"""Enough for windows to slide, rows to outgrow a list and ties to need breaking."""


def expected(events: Iterable[Event]) -> list[tuple[bytes, list[str], list[int]]]:
    """(key, items, scores) of each event's list, by keeping everything and sorting it all: slow and plain."""
    seen: dict[str, list[str]] = defaultdict(list)
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    lists = []
    for _, key, value, _ in events:
        event = json.loads(value)
        item = event["item_id"]
        before = seen[event["user_id"]]
        for other in before[-WINDOW:]:
            if other != item:
                pairs[item][other] += 1
                pairs[other][item] += 1
        before.append(item)
        best = sorted(((count, other) for other, count in pairs[item].items()), reverse=True)[:TOP]
        lists.append((key, [other for _, other in best], [count for count, _ in best]))
    return lists


async def verify(bootstrap: str, events: list[Event], folder: Path, names: Iterable[str] = MODULES) -> None:
    """Run each peer over `events` on one partition (so that their order is one); raises ContenderError.

    It names the first list that differs.
    """
    source = "bench.verify"
    await create(bootstrap, [source], 1)
    await write(bootstrap, source, 1, events)
    wanted = expected(events)
    for name in names:
        await take_turn(name, bootstrap, source, 1, len(events), folder, "verify")
        if name == BARE:
            continue
        found = [
            (record.key, answer["items"], answer["scores"])
            for record in await read(bootstrap, f"bench.{name}.verify", 1)
            for answer in (json.loads(record.value),)
        ]
        for number, (got, want) in enumerate(zip(found, wanted, strict=False)):
            if got != want:
                raise ContenderError(f"{name}: list {number} is {got}, not {want}")
        if len(found) != len(wanted):
            raise ContenderError(f"{name} published {len(found)} lists for {len(wanted)} events")
