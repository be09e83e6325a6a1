from __future__ import annotations

from stream.runtime.telemetry.readiness import KEEPS_UP_S, WINDOW_S, Readiness

FAR = 10 * KEEPS_UP_S


def seen(*lags: float, away: str | None = None) -> Readiness:
    """A verdict after these lags, one a second."""
    readiness = Readiness()
    for second, lag_s in enumerate(lags):
        readiness.see(float(second), None, {"items": 0.0, "shoppers": lag_s}, away)
    return readiness


def test_a_worker_is_not_ready_before_it_was_looked_at():
    assert Readiness().reason == "the worker is starting"


def test_what_it_does_instead_of_working_is_the_reason():
    readiness = seen(0.0)
    assert readiness.reason is None
    readiness.see(1.0, "the worker is stopping", {}, None)
    assert readiness.reason == "the worker is stopping"


def test_a_worker_that_holds_nothing_keeps_up():
    readiness = Readiness()
    readiness.see(0.0, None, {}, None)
    assert readiness.reason is None


def test_a_small_lag_is_no_lag():
    assert seen(*[KEEPS_UP_S] * 60).reason is None


def test_a_large_lag_is_a_reason_that_names_the_stage_and_who_is_away():
    reason = seen(FAR).reason
    assert reason == "shoppers is 300 s behind, more than 30 s and not catching up"
    assert (seen(FAR, away="Redis").reason or "").endswith("because Redis does not serve")


def test_a_large_lag_that_shrinks_is_catching_up_once_that_is_known():
    lags = [FAR - k for k in range(int(WINDOW_S) + 1)]
    assert seen(*lags[:-1]).reason is not None
    assert seen(*lags).reason is None
    assert seen(*lags, *[lags[-1] + k for k in range(int(WINDOW_S) + 1)]).reason is not None


def test_after_a_rebalance_what_was_before_does_not_count():
    readiness = seen(*[FAR - k for k in range(int(WINDOW_S) + 1)])
    readiness.see(100.0, "partitions are being assigned and restored", {}, None)
    readiness.see(101.0, None, {"items": FAR / 2}, None)
    assert readiness.reason is not None
