"""What items share: recovered from simulated sales, and merged from partitions in any order."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import LayoutError
from stream.pricing import Partial, Posterior, Prior, merge, partial, prior_from
from stream.pricing.demand import fit, sigmoid
from stream.pricing.ladder import LOG_RUNGS, RUNGS
from stream.pricing.pooling import FIELDS

Counts = tuple[np.ndarray, np.ndarray, np.ndarray]


def shop(seed: int, items: int, views: int, slope: float, spread: float, prices: int) -> Counts:
    """Sales of items whose conversion depends on how they happen to be priced, at a few prices each."""
    rng = np.random.default_rng(seed)
    slopes = slope + spread * rng.standard_normal(items)
    rungs = rng.permuted(np.tile(np.arange(RUNGS), (items, 1)), axis=1)[:, :prices]
    # Items seen at low prices are those that sell little: comparing items would turn the slope's sign.
    height = LOG_RUNGS[rungs].mean(axis=1) - LOG_RUNGS.mean()
    levels = -3.5 + 6.0 * height + 0.4 * rng.standard_normal(items)
    exposures = rng.poisson(views / prices, (items, prices)).astype(np.float64)
    purchases = rng.binomial(
        exposures.astype(np.int64), sigmoid(levels[:, None] + slopes[:, None] * LOG_RUNGS[rungs])
    )
    return np.eye(RUNGS)[rungs], exposures, purchases.astype(np.float64)


def learn(sales: Counts, ticks: int = 15) -> Prior:
    prior = Prior()
    for _ in range(ticks):
        prior = prior_from(partial(fit(prior, *sales)))
    return prior


@pytest.mark.parametrize("slope", [-1.3, -3.0, -5.0])
def test_a_known_elasticity_is_recovered(slope: float) -> None:
    prior = learn(shop(1, 600, 2_000, slope, 0.5, 4))
    assert prior.mean[1] == pytest.approx(slope, abs=0.25)
    assert prior.mean[0] == pytest.approx(-3.5, abs=0.1)
    assert 0.1 < prior.slope_var < 0.5
    assert prior.bend_var < 0.03


def test_few_views_an_item_are_enough_when_there_are_many_items() -> None:
    assert learn(shop(2, 2_000, 120, -3.0, 0.5, 3)).mean[1] == pytest.approx(-3.0, abs=0.5)


def test_jumpy_demand_is_noticed() -> None:
    place, exposures, purchases = shop(3, 400, 20_000, -3.0, 0.3, RUNGS)
    smooth = learn((place, exposures, purchases))
    jumps = np.where(np.random.default_rng(0).random(purchases.shape) < 0.5, 0.6, 1.0)
    assert learn((place, exposures, np.floor(purchases * jumps))).bend_var > 5 * smooth.bend_var


def test_without_items_the_prior_is_where_a_shop_starts() -> None:
    assert prior_from(merge([])) == Prior()
    nothing = np.zeros((3, RUNGS))
    unseen = partial(fit(Prior(), np.repeat(np.eye(RUNGS)[None], 3, axis=0), nothing, nothing))
    assert unseen.sums == (0.0,) * FIELDS


def test_one_sale_does_not_swing_the_prior() -> None:
    place, exposures, purchases = shop(4, 1, 50, -3.0, 0.0, 3)
    after = prior_from(partial(fit(Prior(), place, exposures, purchases)))
    assert after.mean[1] == pytest.approx(Prior().mean[1], abs=0.3)
    assert after.slope_var == pytest.approx(Prior().slope_var, rel=0.2)


@given(order=st.permutations(range(6)), cuts=st.sets(st.integers(1, 59), max_size=5))
def test_partitions_merge_in_any_order_to_what_one_would_have(order: list[int], cuts: set[int]) -> None:
    posterior = fit(Prior(), *_SALES)
    bounds = [0, *sorted(cuts), 60]
    parts = [partial(_rows(posterior, slice(a, b))) for a, b in pairwise(bounds)]
    shuffled = [parts[k] for k in order if k < len(parts)]
    assert merge(shuffled) == merge(parts)
    assert prior_from(merge(shuffled)) == prior_from(merge(parts))
    assert merge(parts).sums == pytest.approx(partial(posterior).sums, rel=1e-12)


def test_the_order_of_items_changes_no_bit() -> None:
    posterior = fit(Prior(), *_SALES)
    assert partial(_rows(posterior, np.random.default_rng(0).permutation(60))) == partial(posterior)


def test_a_partial_is_plain_data() -> None:
    one = partial(fit(Prior(), *_SALES))
    assert Partial(tuple(json.loads(json.dumps(one.sums)))) == one


@pytest.mark.parametrize("sums", [(), (0.0,) * (FIELDS + 1), (math.nan,) * FIELDS, (math.inf,) * FIELDS])
def test_a_foreign_partial_is_refused_in_one_sentence(sums: tuple[float, ...]) -> None:
    with pytest.raises(LayoutError, match="one version of stream"):
        Partial(sums)


_SALES = shop(5, 60, 500, -3.0, 0.5, 4)


def _rows(posterior: Posterior, rows: object) -> Posterior:
    values = {name: getattr(posterior, name) for name in Posterior.__slots__}
    return Posterior(**{name: value if name == "prior" else value[rows] for name, value in values.items()})
