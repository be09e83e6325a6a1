"""Workers replaced one after the other, by their like and by a pretended next version."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import cramjam
import msgspec
import pytest

from stream import exchange
from stream.effects import VERSION_CHARS, VERSION_PREFIX
from stream.events.types import AnyEvent, Purchase, View
from stream.runtime.settings import Settings
from tests.integration.kit import (
    PATIENCE_S,
    committed,
    produce,
    read_all,
    wait_until,
)
from tests.integration.newer_worker import MOODS
from tests.integration.test_golden import (
    Fleet,
    assert_same_counts,
    counts,
    rows,
    shop_log,
)
from tests.integration.test_state_live import MakeFleet, in_process, make_fleet, shoppers, state_of

pytestmark = pytest.mark.long

__all__ = ["make_fleet"]

NEWER = (sys.executable, str(Path(__file__).with_name("newer_worker.py")), "worker", "--pricing", "off")
SLICE, PAUSE_S = 10, 0.1
"""A hundred events a second."""
_VERSION = len(VERSION_PREFIX) + VERSION_CHARS


def visits(count: int) -> list[AnyEvent]:
    """Views and purchases of so few items that no row of neighbours is ever full: what a full one forgets
    hangs on the order in which messages come."""
    rng, events = random.Random(4), list[AnyEvent]()
    for n in range(count):
        at: dict[str, Any] = {"event_id": f"e{n}", "ts": 1_760_000_000_000 + n * 60_000}
        of: dict[str, Any] = {"user_id": f"u{rng.randrange(80)}", "item_id": f"i{rng.randrange(20)}"}
        events.append(Purchase(**at, **of, order_id=f"o{n}") if n % 10 == 9 else View(**at, **of))
    return events


def wait_applied(fleet: Fleet, events: int) -> None:
    """Until those who run now have `events` events and all that follows from them in their state.

    The log may hold more: workers write there what follows from a login."""

    def done() -> bool:
        held = [status["partitions"].get("shoppers", {}) for status in fleet.statuses()]
        lag = sum(sum(status["lag"].values()) for status in fleet.statuses())
        return sum(sum(each.values()) for each in held) >= events and not lag

    wait_until(done, f"{events} events are applied")


async def assert_counted_once(fleet: Fleet, events: list[AnyEvent]) -> None:
    """All have stopped: what they saved is what one process makes of the log."""
    expected, engine = in_process(events), await state_of(fleet.settings)
    assert_same_counts(counts(expected), counts(engine))
    assert shoppers(expected) == shoppers(engine)


async def steadily(settings: Settings, events: list[AnyEvent], over: asyncio.Event) -> None:
    """Produce at a steady pace until `over`, and then what is left at once."""
    at = 0
    while at < len(events) and not over.is_set():
        await produce(settings, "events", rows(events[at : at + SLICE]))
        at += SLICE
        await asyncio.sleep(PAUSE_S)
    assert at < len(events), "the workers were replaced under load"
    await produce(settings, "events", rows(events[at:]))


async def test_workers_replaced_one_after_the_other_count_once_and_repeat_nothing(make_fleet: MakeFleet):
    events = visits(4_000)
    fleet = make_fleet("rolling")
    fleet.start(2)
    over = asyncio.Event()
    feeding = asyncio.create_task(steadily(fleet.settings, events, over))

    def replace() -> None:
        for old in (0, 1):
            fleet.retire(old)
            fleet.add()
            fleet.wait_shared(2)

    await asyncio.to_thread(replace)
    over.set()
    await feeding
    wait_applied(fleet, len(events))
    assert sum(status["engine"]["holes"] for status in fleet.statuses()) == 0
    fleet.stop()
    await assert_counted_once(fleet, events)
    # Nobody was killed: what a rebalance interrupts is finished and committed first.
    lists = [(r.key, r.value[:_VERSION]) for r in await read_all(fleet.settings, "recommendations")]
    assert len(lists) == len(set(lists)), "a list was delivered twice"
    updates = [
        (r.partition, exchange.decode(r.value)) for r in await read_all(fleet.settings, "item-updates")
    ]
    sent = [(to, message.source, at) for to, message in updates for at in message.offset.tolist()]
    assert len(sent) == len(set(sent)), "an event was sent to an item partition twice"


async def test_a_version_and_the_next_one_work_side_by_side(make_fleet: MakeFleet):
    events = shop_log()
    fleet = make_fleet("mixed", rows_saved_per_event=10_000.0)
    fleet.add()
    fleet.add(NEWER)
    fleet.wait_shared(2)
    await produce(fleet.settings, "events", rows(events[:200]))
    wait_applied(fleet, 200)
    # Forward: the newer one goes on from what both have saved.
    fleet.retire(0)
    await produce(fleet.settings, "events", rows(events[200:400]))
    wait_applied(fleet, 400)
    # And back: this version goes on from what the newer one has saved.
    fleet.add()
    fleet.wait_shared(2)
    fleet.retire(1)
    await produce(fleet.settings, "events", rows(events[400:]))
    wait_applied(fleet, len(events))
    assert sum(status["engine"]["holes"] for status in fleet.statuses()) == 0
    fleet.stop()
    await assert_counted_once(fleet, events)
    assert "Refused" not in fleet.logs()
    # Each has read the other's: both have written.
    updates = await read_all(fleet.settings, "item-updates")
    assert {r.value.endswith(MOODS) for r in updates} == {True, False}
    for topic in ("shopper-state", "item-state"):
        buckets = [bytes(cramjam.zstd.decompress(r.value)) for r in await read_all(fleet.settings, topic)]
        assert {b"mood" in saved for saved in buckets} == {True, False}
    for topic in ("recommendations", "similar-items"):
        assert {b"mood" in r.value for r in await read_all(fleet.settings, topic)} == {True, False}


async def test_a_worker_refuses_what_a_newer_layout_says_and_commits_nothing_of_it(make_fleet: MakeFleet):
    fleet = make_fleet("newer")
    fleet.start(1)
    events = shop_log()[:50]
    await produce(fleet.settings, "events", rows(events))
    wait_applied(fleet, len(events))
    newer = bytearray((await read_all(fleet.settings, "item-updates"))[0].value)
    newer[4] += 1
    ((partition, offset),) = await produce(fleet.settings, "item-updates", [(None, bytes(newer), 0)])
    assert fleet.processes[0].wait(PATIENCE_S) == 2
    assert "an exchange message has layout 2, newer than 1: upgrade this worker first" in fleet.logs()
    assert "Traceback" not in fleet.logs()
    assert (await committed(fleet.settings, "item-updates"))[partition] <= offset
    assert await read_all(fleet.settings, "dead-letters") == []
    bucket = cramjam.zstd.compress(msgspec.msgpack.encode({"layout": 2}), 1)
    await produce(fleet.settings, "shopper-state", [(b"0", bytes(bucket), 0)])
    fleet.add()
    assert fleet.processes[1].wait(PATIENCE_S) == 2
    assert "saved state has layout 2, newer than 1: upgrade this worker first" in fleet.logs()
    assert "Traceback" not in fleet.logs()
