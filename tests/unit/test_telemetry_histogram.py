from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.telemetry.histogram import Histogram

EDGES = (1.0, 2.0, 5.0)


def test_a_value_is_counted_where_it_is_at_or_below_the_edge():
    histogram = Histogram(EDGES)
    for value in (0.5, 1.0, 1.5, 7.0):
        histogram.observe(value)
    for _ in range(10):
        histogram.observe(2.0)
    assert histogram.read().buckets == ((1.0, 2), (2.0, 13), (5.0, 13), (float("inf"), 14))
    assert histogram.read().sum == 30.0


@given(st.lists(st.floats(0, 10)))
def test_many_at_once_are_as_many_one_by_one(values):
    one, many = Histogram(EDGES), Histogram(EDGES)
    for value in values:
        one.observe(value)
    many.observe_all(np.array(values, np.float64))
    assert one.read().buckets == many.read().buckets
    assert one.read().sum == pytest.approx(many.read().sum)


def test_what_fails_took_its_time_too():
    histogram = Histogram(EDGES)
    with pytest.raises(ValueError, match="told to"), histogram.timed():
        raise ValueError("told to")
    assert histogram.read().buckets[-1][1] == 1
    assert histogram.read().sum > 0
