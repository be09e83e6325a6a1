"""When shoppers come: a day and night rhythm, and livelier weekends."""

from __future__ import annotations

from random import Random

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_DAYS = 7

# Quiet at night, a hump at noon, the peak in the evening; scaled below to a mean of 1.
_BY_HOUR = (4, 3, 2, 2, 2, 3, 5, 8, 11, 12, 13, 14, 15, 14, 13, 13, 14, 16, 18, 20, 20, 17, 12, 8)
_BY_WEEKDAY = (1.0, 0.95, 0.95, 1.0, 1.0, 1.1, 1.2)
_MEAN = sum(_BY_HOUR) / 24 * sum(_BY_WEEKDAY) / 7
PEAK = max(_BY_HOUR) * max(_BY_WEEKDAY) / _MEAN

EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday counts 0."""


def intensity(ts_ms: int) -> float:
    """Sessions a unit of time at `ts_ms` (UTC), relative to a mean of 1 over the week."""
    hour = ts_ms // HOUR_MS % 24
    weekday = (ts_ms // DAY_MS + EPOCH_WEEKDAY) % WEEK_DAYS
    return _BY_HOUR[hour] * _BY_WEEKDAY[weekday] / _MEAN


def next_arrival(ts_ms: int, sessions_per_day: float, rng: Random) -> int:
    """Time of the next session after `ts_ms`: an inhomogeneous Poisson process by thinning."""
    rate = sessions_per_day * PEAK / DAY_MS
    at = float(ts_ms)
    while True:
        at += rng.expovariate(rate)
        if rng.random() * PEAK < intensity(int(at)):
            return int(at)
