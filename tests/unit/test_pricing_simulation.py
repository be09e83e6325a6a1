"""A shop of known demand priced in a closed loop with the default guardrails: it must earn, and learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from stream.pricing import (
    UNKNOWN,
    Evidence,
    Facts,
    Mode,
    PricingConfig,
    Prior,
    estimate,
    merge,
    partial,
    prior_from,
    propose,
)
from stream.pricing.config import DAY_MS
from stream.pricing.demand import sigmoid

ITEMS, DAYS, SLOTS, VIEWS_A_DAY = 1_000, 49, 16, 60.0
DECAY_DAILY = 0.5 ** (1 / 60)


@dataclass
class Result:
    prior: Prior
    towards: float
    """Share of items with 500 exposures whose price ended nearer the optimum than the list price."""
    of_list: float
    """Profit relative to that of list prices."""
    of_clairvoyant: float
    """Profit relative to that of the true optima, over the whole run."""
    last_week: float
    """The same, in the last seven days."""


def run(seed: int, mode: Mode = Mode.AUTO) -> Result:
    """Elasticity about -3, conversion 3 %, cost 62 % of a right price, list prices 8 to 20 % off."""
    rng = np.random.default_rng(seed)
    right = np.exp(rng.normal(8.0, 0.6, ITEMS))
    slope = rng.normal(-3.0, 0.4, ITEMS).clip(-3.8, -2.2)
    level = np.log(0.03 / 0.97) + 0.3 * rng.standard_normal(ITEMS)
    cost = np.rint(0.62 * right)
    views = VIEWS_A_DAY * np.exp(0.8 * rng.standard_normal(ITEMS) - 0.32)

    def profit(price: np.ndarray) -> np.ndarray:
        chance = sigmoid(level + slope * np.log(price / right))
        return np.asarray(views * (price - cost) * chance)

    grid = right * np.exp(np.linspace(-0.4, 0.5, 181))[:, None]
    optimum = grid[np.array([profit(prices) for prices in grid]).argmax(0), range(ITEMS)]
    off = rng.choice([-1.0, 1.0], ITEMS) * rng.uniform(0.08, 0.2, ITEMS)
    listed = np.rint(optimum * np.exp(off)).astype(np.int64)

    rows, unknown = np.arange(ITEMS), np.full(ITEMS, UNKNOWN)
    shown = np.zeros((ITEMS, SLOTS), np.int64)
    exposures, purchases = np.zeros((2, ITEMS, SLOTS))
    hashes = rng.integers(0, 2**63, ITEMS).astype(np.uint64)
    price, changed_ms, total = listed.copy(), unknown, np.zeros(ITEMS)
    prior, daily = Prior(), []
    for day in range(1, DAYS + 1):
        seen = rng.poisson(views)
        sold = rng.binomial(seen, sigmoid(level + slope * np.log(price / right)))
        daily.append(profit(price.astype(np.float64)).sum())
        total += seen
        # The slot of this price, or else a free or the least seen one.
        slot = np.where(shown == price[:, None], -1.0, exposures).argmin(1)
        fresh = shown[rows, slot] != price
        for counts, new in ((exposures, seen), (purchases, sold)):
            counts *= DECAY_DAILY
            counts[rows[fresh], slot[fresh]] = 0.0
            counts[rows, slot] += new
        shown[rows, slot] = price
        facts = Facts(hashes, listed, cost.astype(np.int64), unknown, unknown, price, changed_ms, unknown)
        posterior = estimate(prior, Evidence(shown, exposures, purchases), facts)
        proposals = propose(PricingConfig(mode=mode), posterior, facts, day * DAY_MS)
        changed_ms = np.where(proposals.in_force_minor != price, day * DAY_MS, changed_ms)
        price = proposals.in_force_minor
        prior = prior_from(merge([partial(posterior)]))
    before, after = np.abs(np.log(listed / optimum)), np.abs(np.log(price / optimum))
    best, as_listed = profit(optimum).sum(), profit(listed.astype(np.float64)).sum()
    return Result(
        prior=prior,
        towards=float((after < before)[total >= 500].mean()),
        of_list=float(np.sum(daily) / (DAYS * as_listed)),
        of_clairvoyant=float(np.sum(daily) / (DAYS * best)),
        last_week=float(np.sum(daily[-7:]) / (7 * best)),
    )


@pytest.fixture(scope="module")
def result() -> Result:
    return run(seed=1)


def test_prices_move_towards_their_optimum(result: Result) -> None:
    assert result.towards >= 0.8


def test_it_earns_more_than_list_prices_from_the_first_weeks_on(result: Result) -> None:
    assert result.of_list >= 1.02
    assert result.last_week > result.of_clairvoyant


def test_it_learns_the_elasticity_from_its_own_moves(result: Result) -> None:
    # The moves answer to what was sold before: an estimate that compared items would end near -2.
    assert result.prior.mean[1] == pytest.approx(-3.0, abs=0.3)


def test_in_shadow_nothing_is_earned_or_lost() -> None:
    assert run(seed=1, mode=Mode.SHADOW).of_list == pytest.approx(1.0)
