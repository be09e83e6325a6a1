"""Beliefs about one item's demand, and how they answer to its counts."""

from __future__ import annotations

import numpy as np
import pytest

from stream.pricing import Prior, demand
from stream.pricing.demand import fit, sigmoid
from stream.pricing.ladder import LOG_RUNGS, RUNGS

ON_RUNGS = np.eye(RUNGS)[None]


def counts(items: int, views: float, level: float, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected counts, without chance, at all nine rungs."""
    exposures = np.full((items, RUNGS), views)
    return np.repeat(ON_RUNGS, items, axis=0), exposures, exposures * sigmoid(level + slope * LOG_RUNGS)


def test_without_counts_the_posterior_is_the_prior() -> None:
    prior = Prior()
    posterior = fit(prior, ON_RUNGS, np.zeros((1, RUNGS)), np.zeros((1, RUNGS)))
    assert np.allclose(posterior.line[0], prior.mean)
    assert np.allclose(posterior.line_cov[0], np.diag([demand.LEVEL_VAR, prior.slope_var]))
    assert np.allclose(posterior.score, 0.0)


def test_many_sales_overrule_the_prior_and_narrow_the_belief() -> None:
    few = fit(Prior(), *counts(1, 50, -3.0, -4.5))
    many = fit(Prior(), *counts(1, 1_000_000, -3.0, -4.5))
    assert abs(many.line[0, 1] + 4.5) < abs(few.line[0, 1] + 4.5)
    assert np.allclose(many.logit[0], -3.0 - 4.5 * LOG_RUNGS, atol=0.02)
    assert many.line_cov[0, 1, 1] < few.line_cov[0, 1, 1] < Prior().slope_var


def test_sales_at_one_price_alone_say_nothing_about_slopes() -> None:
    exposures, purchases = np.zeros((1, RUNGS)), np.zeros((1, RUNGS))
    exposures[0, 2], purchases[0, 2] = 5_000, 900
    posterior = fit(Prior(), ON_RUNGS, exposures, purchases)
    assert posterior.line[0, 1] == pytest.approx(Prior().mean[1], abs=0.05)
    assert posterior.line_cov[0, 1, 1] > 0.99 * Prior().slope_var


def test_a_price_between_two_rungs_does_not_look_like_two_prices_that_sell_alike() -> None:
    between = np.zeros((1, 1, RUNGS))
    between[0, 0, 4:6] = 0.6, 0.4
    posterior = fit(Prior(), between, np.array([[50_000.0]]), np.array([[1_500.0]]))
    assert posterior.line[0, 1] == pytest.approx(Prior().mean[1], abs=0.05)


@pytest.mark.parametrize("conversion", [0.0, 1e-4, 0.03, 0.5])
@pytest.mark.parametrize("views", [1.0, 60.0, 3_000.0])
def test_three_newton_steps_suffice(monkeypatch: pytest.MonkeyPatch, conversion: float, views: float) -> None:
    exposures = np.full((1, RUNGS), views)
    quick = fit(Prior(), ON_RUNGS, exposures, exposures * conversion)
    monkeypatch.setattr(demand, "NEWTON_STEPS", 60)
    exact = fit(Prior(), ON_RUNGS, exposures, exposures * conversion)
    assert np.allclose(quick.logit, exact.logit, atol=1e-3)


def test_absurd_counts_stay_finite() -> None:
    exposures = np.array([[1e7] * RUNGS, [1e-12] * RUNGS])
    posterior = fit(Prior(), np.repeat(ON_RUNGS, 2, axis=0), exposures, exposures)
    for values in (posterior.logit, posterior.cov, posterior.line, posterior.line_cov, posterior.bend):
        assert np.isfinite(values).all()
