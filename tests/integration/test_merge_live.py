"""Visitors who log in, on a real Kafka: also while a worker dies every shopper inherits once, and all."""

from __future__ import annotations

import asyncio
import random

import msgspec

from stream.events.types import AnyEvent, Hide, Identify, Purchase, View
from tests.integration.kit import PATIENCE_S, produce, read_all
from tests.integration.test_golden import Fleet, rows
from tests.integration.test_state_live import MakeFleet, make_fleet, shoppers, state_of

__all__ = ["make_fleet"]

PEOPLE, VIEWS = 60, 5
T0 = 1_760_000_000_000


def visits() -> list[AnyEvent]:
    """Everybody looks around, buys and hides something before saying who it is; mixed by chance."""
    rng = random.Random(8)
    steps: list[list[AnyEvent]] = []
    for n in range(PEOPLE):
        visitor, at = f"visitor-{n}", T0 + 1_000 * n
        mine: list[AnyEvent] = [
            View(event_id=f"v{n}-{k}", ts=at + k, user_id=visitor, item_id=f"i{n}-{k}", session_id=visitor)
            for k in range(VIEWS)
        ]
        mine += [
            Purchase(
                event_id=f"p{n}", ts=at + 6, user_id=visitor, item_id=f"i{n}-0", order_id="o", quantity=2
            ),
            Hide(event_id=f"h{n}", ts=at + 7, user_id=visitor, item_id=f"i{n}-9"),
        ]
        steps.append(mine)
    looks = []
    while any(steps):
        looks.append(rng.choice([mine for mine in steps if mine]).pop(0))
    logins = [
        Identify(event_id="login", ts=T0 + 100_000 + n, user_id=f"shopper-{n}", session_id=f"visitor-{n}")
        for n in range(PEOPLE)
    ]
    return [*looks, *logins, *logins[:20]]


async def wait_inherited(fleet: Fleet) -> None:
    """Until all that follows from the logins is in the log, and applied by the worker that is left."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            records = await read_all(fleet.settings, "events")
            told = [msgspec.json.decode(record.value) for record in records]
            inherited = {event["event_id"] for event in told if event["type"] == "inherit"}
            held = [status["partitions"].get("shoppers", {}) for status in fleet.statuses()]
            if len(inherited) == PEOPLE and sum(held[-1].values()) == len(records):
                return
            await asyncio.sleep(0.2)


async def test_every_shopper_inherits_once_also_when_a_worker_dies(make_fleet: MakeFleet):
    events = visits()
    fleet = make_fleet("merge")
    fleet.start(2)
    await produce(fleet.settings, "events", rows(events[:-40]))
    fleet.processes[0].kill()
    await produce(fleet.settings, "events", rows(events[-40:]))
    fleet.processes[0].wait()
    await wait_inherited(fleet)
    fleet.retire(1)
    found = shoppers(await state_of(fleet.settings))
    assert set(found) == {f"shopper-{n}" for n in range(PEOPLE)}
    for n in range(PEOPLE):
        of = found[f"shopper-{n}"]
        assert set(of.recent) == {f"i{n}-{k}" for k in range(VIEWS)}, of
        assert of.bought == {f"i{n}-0": 2}
        assert of.hidden == [f"i{n}-9"]
