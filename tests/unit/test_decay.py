"""Forward decay: sums that add up in any order, and landmarks that change no digit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.state.decay import REBASE_HALF_LIVES, Decay

DAY = 86_400_000
TIMES = st.lists(st.integers(0, 3_000 * DAY), min_size=1, max_size=20)


def total(times: list[int], at: int) -> float:
    """The decayed count at time `at`, kept as the core keeps it: float32 sums, landmarks that follow."""
    decay, clock, amount = Decay(7 * DAY), 0, np.float32(0)
    for ts in [*times, at]:
        clock = max(clock, ts)
        amount *= np.float32(decay.advance(clock))
        if ts != at:
            amount += np.float32(decay.gain(ts))
    return float(amount) / decay.gain(at)


@given(TIMES, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(times, random):
    shuffled = random.sample(times, len(times))
    at = max(times) + 1
    assert np.isclose(total(times, at), total(shuffled, at), rtol=1e-5, atol=1e-9)
    assert np.isclose(
        total(times, at), sum(0.5 ** ((at - ts) / (7 * DAY)) for ts in times), rtol=1e-5, atol=1e-9
    )


def test_an_event_weighs_half_after_one_half_life():
    decay = Decay(7 * DAY)
    decay.advance(1_000 * DAY)
    assert np.isclose(decay.gain(993 * DAY) * 2, decay.gain(1_000 * DAY))


@given(st.integers(0, 20_000 * DAY), st.integers(0, 20_000 * DAY))
def test_sums_stay_far_from_the_end_of_float32(first, then):
    decay = Decay(DAY / 4)
    decay.advance(first)
    decay.advance(max(first, then))
    assert 0 < decay.gain(max(first, then)) <= 2.0**REBASE_HALF_LIVES


@given(TIMES)
def test_the_landmark_depends_on_the_clock_alone(times):
    """So that the same events give the same digits, however they were batched and by whomever added."""
    step, jump = Decay(7 * DAY), Decay(7 * DAY)
    clock = 0
    for ts in times:
        clock = max(clock, ts)
        step.advance(clock)
    jump.advance(clock)
    assert step.landmark_ms == jump.landmark_ms
