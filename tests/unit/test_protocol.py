"""Any schedule of batches, kills, zombies and takeovers gives the counts of a clean run."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from tests.unit.core_helpers import (
    T0,
    assert_close,
    bits_of_all,
    event,
    item_counts,
    log,
    pair_bits,
    pair_shoppers,
    pair_weights,
    price_counts,
    reference,
    shopper_states,
)
from tests.unit.protocol import Kafka, Owner, play
from tests.unit.test_saved import shop

SOURCES, ITEM_PARTITIONS = 2, 2
SEEDS = int(os.environ.get("PROTOCOL_SEEDS", "5"))
"""Schedules played; `tests.mutations` asks for more, because a missing guard shows in some only."""
DAY_MS = 86_400_000


def kafka_of(events: list[dict[str, Any]], **sizes: int) -> Kafka:
    """A shop's events, split by shopper."""
    parts: list[list[dict[str, Any]]] = [[] for _ in range(SOURCES)]
    for one in events:
        parts[int(one["user_id"][1:]) % SOURCES].append(one)
    kafka = Kafka([log(part) for part in parts], [[] for _ in range(ITEM_PARTITIONS)])
    kafka.sizes |= sizes
    return kafka


def owner_of_all(kafka: Kafka, random: Random) -> Owner:
    """A worker that takes every lane over and works on until nothing is left."""
    owner = Owner(kafka)
    for lane in kafka.lanes():
        owner.take(lane)
    owner.settle(random)
    return owner


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_schedule_counts_every_event_once(seed):
    random = Random(seed)
    events = shop(seed, 240)
    kafka = kafka_of(events)
    assert play(kafka, random, steps=700) > SOURCES + ITEM_PARTITIONS
    first = owner_of_all(kafka, random)
    assert_counts(first, events)
    # And once more from what was saved: whatever is there by now, from whomever, is enough.
    for lane in kafka.lanes():
        first.commit(lane)
    assert_counts(owner_of_all(kafka, random), events)


def assert_counts(owner: Owner, events: list[dict[str, Any]]) -> None:
    counts, pairs, prices, shoppers = reference(events)
    assert item_counts(owner.engine) == counts
    assert shopper_states(owner.engine) == shoppers
    assert_close(pair_weights(owner.engine), pairs)
    assert pair_bits(owner.engine) == bits_of_all(pair_shoppers(events))
    assert_close(price_counts(owner.engine), prices)
    assert sum(unit.holes for unit in owner.engine.item_units.values()) == 0


def churn(seed: int) -> list[dict[str, Any]]:
    """More shoppers and items than there is room for, over twenty days, some of them for a day only."""
    random = Random(seed)
    out = []
    for n in range(3_000):
        of = random.randrange(900) if random.random() < 0.7 else 900 + n // 3
        item = f"i{random.randrange(1_400) if random.random() < 0.7 else 1_400 + n // 4}"
        kind = random.choice(("view", "view", "cart", "purchase"))
        disorder = random.randrange(DAY_MS // 10)
        out.append(event(kind, f"u{of}", item, T0 + n * DAY_MS // 150 - disorder, event_id=f"e{n}"))
    return out


@pytest.mark.parametrize("seed", range(SEEDS // 5))
def test_who_is_evicted_or_forgotten_hangs_on_the_log_alone(seed):
    random = Random(seed)
    kafka = kafka_of(churn(seed), max_items=64, max_shoppers=64, inactive_ms=6 * DAY_MS)
    play(kafka, random, steps=3_000)
    first = owner_of_all(kafka, random)
    # A clean run over the same two logs: the items' log holds what all those workers wrote.
    clean = Owner(kafka)
    for lane in kafka.lanes():
        kafka.committed[lane] = 0
        kafka.states.clear()
        clean.take(lane)
    for lane in kafka.lanes():
        clean.follow(lane)
    assert shopper_states(first.engine) == shopper_states(clean.engine)
    assert item_counts(first.engine) == item_counts(clean.engine)
    assert_close(pair_weights(first.engine), pair_weights(clean.engine))
    assert pair_bits(first.engine) == pair_bits(clean.engine)
    assert len(shopper_states(first.engine)) < 900, "some were evicted"
    every = {one["item_id"] for one in churn(seed)}
    assert len(item_counts(first.engine)) < len(every), "items as well"
