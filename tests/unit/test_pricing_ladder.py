"""Where prices lie on an item's ladder, and which counts can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from stream.pricing.ladder import LOG_RUNGS, RUNGS, position, rung_prices, usable, weights


def test_rungs_span_the_ladder_evenly_in_log_price() -> None:
    prices = rung_prices(np.array([1000]))[0]
    assert prices[0] == pytest.approx(800)
    assert prices[-1] == pytest.approx(1200)
    assert np.allclose(np.diff(np.log(prices)), np.diff(np.log(prices))[0])


def test_position_inverts_rung_prices() -> None:
    reference = np.array([999, 12_345])
    at = position(rung_prices(reference), reference)
    assert np.allclose(at, np.arange(RUNGS))


def test_interpolation_reproduces_every_line_in_log_price() -> None:
    prices = np.array([850.0, 999.0, 1000.0, 1111.0])
    place = weights(position(prices, np.full(4, 1000)))
    assert np.allclose(place.sum(axis=1), 1.0)
    assert np.allclose(place @ LOG_RUNGS, np.log(prices / 1000))


def test_unknown_prices_have_no_place() -> None:
    at = position(np.array([[0, 500], [900, 0]]), np.array([-1, 1000]))
    assert np.isnan(at).tolist() == [[True, True], [False, True]]
    assert weights(at)[0].sum() == 0.0


def test_counts_that_cannot_be_believed_are_left_out() -> None:
    at = np.array([[4.0, 4.0, 4.0, 4.0, np.nan, -3.0, 30.0, 4.0]])
    exposures = np.array([[10.0, np.nan, -5.0, np.inf, 10.0, 10.0, 10.0, 2.0]])
    purchases = np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0]])
    seen, bought = usable(at, exposures, purchases)
    assert seen.tolist() == [[10.0, 0, 0, 0, 0, 0, 0, 2.0]]
    assert bought.tolist() == [[1.0, 0, 0, 0, 0, 0, 0, 2.0]]
    _, none = usable(at[:, :1], exposures[:, :1], np.array([[np.nan]]))
    assert none.tolist() == [[0.0]]
