from __future__ import annotations

import numpy as np
import pytest

from stream.events.block import Block
from stream.events.records import LogRecord
from stream.runtime.freshness import SLICE_MS, SLICES, Freshness


def quantile(freshness: Freshness, q: float, now_ms: int) -> float:
    found = freshness.quantile_ms(q, now_ms)
    assert found is not None
    return found


def test_quantiles_are_right_to_a_bucket():
    freshness = Freshness()
    ages = np.random.default_rng(1).lognormal(4, 1, 10_000).astype(np.int64)
    for part in np.split(ages, 10):
        freshness.add(part, 1_000_000)
    for q in (0.5, 0.9, 0.99):
        exact = float(np.quantile(ages, q))
        assert exact * 0.99 <= quantile(freshness, q, 1_000_000) <= exact * 2**0.25 * 1.01


def test_one_late_event_in_a_hundred_shows_beyond_the_p99_only():
    freshness = Freshness()
    freshness.add([10] * 99, 0)
    freshness.add([1000], 0)
    assert quantile(freshness, 0.99, 0) < 20
    assert quantile(freshness, 1.0, 0) > 900


def test_every_event_of_a_batch_is_counted_from_its_own_time_and_from_the_brokers():
    freshness = Freshness()
    records = [LogRecord(k, 1_000 + k, b"k", b"") for k in range(250)]
    freshness.delivered(
        [records[:100], Block.of(records[100:])], [np.arange(-300, -100), np.array([2_000])], 1_500
    )
    broker, event = (freshness.since[of].read() for of in ("broker", "event"))
    assert (broker.buckets[-1][1], event.buckets[-1][1]) == (250, 201)
    assert broker.sum == pytest.approx(250 * 0.3755)
    assert event.sum == pytest.approx(200 * 1.7005), "a clock that is ahead counts as fresh"
    freshness.delivered([[]], [], 1_500)
    assert freshness.since["broker"].read() == broker


def test_a_minute_later_all_is_forgotten():
    freshness = Freshness()
    assert freshness.quantile_ms(0.5, 0) is None
    freshness.add([100], 5 * SLICE_MS)
    freshness.add([400], 6 * SLICE_MS)
    assert freshness.quantile_ms(0.5, 6 * SLICE_MS) == pytest.approx(100, rel=0.2)
    assert freshness.quantile_ms(0.5, (5 + SLICES) * SLICE_MS) == pytest.approx(400, rel=0.2)
    assert freshness.quantile_ms(0.5, (6 + SLICES) * SLICE_MS) is None


def test_a_clock_that_is_behind_counts_as_fresh():
    freshness = Freshness()
    freshness.add([-50, 0, 2**40], 1)
    assert freshness.quantile_ms(0.5, 1) == 1.0
    assert quantile(freshness, 1.0, 1) > 0
