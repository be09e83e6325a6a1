"""The true demand curves and the prices that would be best for them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stream.simulate import Shop, ShopConfig
from stream.simulate.demand import Demand

SHOP = Shop(ShopConfig(seed=9, start_ms=0))


@pytest.mark.parametrize("item", SHOP.catalogue()[::29], ids=lambda item: item.item_id)
def test_no_cent_of_the_range_earns_more_than_the_optimum(item):
    def profit(price):
        return (price - item.cost) * SHOP.true_conversion(item.item_id, price)

    optimum = SHOP.optimum_price(item.item_id)
    assert item.floor <= optimum <= item.ceiling
    prices = np.arange(round(item.floor * 100), round(item.ceiling * 100) + 1) / 100
    assert profit(optimum) >= max(profit(float(price)) for price in prices) * (1 - 1e-12)
    assert profit(optimum) > 1.01 * profit(item.list_price)


def test_conversion_is_a_logit_of_the_price_in_the_usual_band():
    demand = Demand(300, np.random.default_rng(1))
    for item in range(300):
        reference = demand.reference_minor[item]
        base = demand.conversion(item, reference)
        assert base == pytest.approx(demand.at_reference[item])
        assert 0.03 <= base <= 0.08
        raised = demand.conversion(item, reference * math.e)
        logit = math.log(raised / (1 - raised)) - math.log(base / (1 - base))
        assert logit == pytest.approx(-demand.slope[item])
    assert np.mean(demand.slope) == pytest.approx(3.0, abs=0.1)


def test_costs_make_the_reference_price_the_optimum():
    demand = Demand(50, np.random.default_rng(2))
    cost = demand.cost_minor()
    for item in range(50):
        reference = int(demand.reference_minor[item])
        optimum = demand.optimum_minor(item, int(cost[item]), reference // 2, reference * 2)
        assert optimum == pytest.approx(reference, rel=0.01, abs=3)


def test_rails_bound_the_optimum():
    demand = Demand(1, np.random.default_rng(3))
    reference, cost = int(demand.reference_minor[0]), int(demand.cost_minor()[0])
    assert demand.optimum_minor(0, cost, reference + 50, reference * 2) == reference + 50
    assert demand.optimum_minor(0, cost, cost, reference - 50) == reference - 50
