"""The items of the shop: what everybody may know about them, and how much they attract."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item
from stream.simulate import names
from stream.simulate.config import ShopConfig
from stream.simulate.demand import Demand

MISPRICED_LOG = (0.08, 0.20)
"""Every list price is off its optimum by 8 to 22 %, up or down: enough for a gain worth a change."""
FLOOR_SHARE, CEILING_SHARE = 0.7, 1.4
"""Rails as shares of the list price, as a shop would set them without knowing the demand."""
COST_MARGIN = 1.02
APPEAL_LOG_SD = 0.9
"""Spread of attractiveness: the best tenth of the items gets about a third of the views."""
LAUNCH_SHARE = 0.12
LAUNCH_DAYS = 56
"""A share of the items appears only later, on some day of the first eight weeks."""
BRANDS_PER_CATEGORY = 6


@dataclass(frozen=True, slots=True)
class Goods:
    """All items in columns; arrays have shape (n_items,), money is in minor units."""

    items: list[Item]
    ids: list[str]
    category_names: list[str]
    category: NDArray[np.int64]
    brand: NDArray[np.int64]
    n_brands: int
    list_minor: NDArray[np.int64]
    cost_minor: NDArray[np.int64]
    floor_minor: NDArray[np.int64]
    ceiling_minor: NDArray[np.int64]
    appeal: NDArray[np.float64]
    release_day: NDArray[np.int64]
    """Days after the shop's start; 0 = on sale from the beginning."""


def build(config: ShopConfig, demand: Demand, rng: np.random.Generator) -> Goods:
    """Draw the items of a shop. List price, floor and ceiling say nothing about the optimum."""
    n = config.n_items
    category = np.arange(n) % config.n_categories
    n_brands = 2 * config.n_categories
    sold_by = np.stack([rng.permutation(n_brands)[:BRANDS_PER_CATEGORY] for _ in range(config.n_categories)])
    brand = sold_by[category, rng.integers(sold_by.shape[1], size=n)]

    off = rng.choice([-1.0, 1.0], n) * rng.uniform(*MISPRICED_LOG, n)
    list_minor = np.round(demand.reference_minor * np.exp(off)).astype(np.int64)
    cost_minor = demand.cost_minor()
    floor_minor = np.ceil(np.maximum(cost_minor * COST_MARGIN, list_minor * FLOOR_SHARE)).astype(np.int64)
    ceiling_minor = np.floor(list_minor * CEILING_SHARE).astype(np.int64)

    late = rng.random(n) < LAUNCH_SHARE
    late[: 6 * config.n_categories] = False  # no category may start empty
    release_day = np.where(late, rng.integers(1, LAUNCH_DAYS + 1, n), 0)

    categories = names.category_names(config.n_categories)
    brands = names.brand_names(n_brands, rng)
    width = len(str(n - 1))
    ids = [f"item-{k:0{width}d}" for k in range(n)]
    items = [
        Item(
            item_id=ids[k],
            title=names.title(brands[brand[k]], categories[category[k]], k, rng),
            category=categories[category[k]],
            brand=brands[brand[k]],
            list_price=int(list_minor[k]) / 100,
            cost=int(cost_minor[k]) / 100,
            floor=int(floor_minor[k]) / 100,
            ceiling=int(ceiling_minor[k]) / 100,
            currency=config.currency,
            stock=int(rng.integers(200, 5_000)),
            labels=[label for label in names.LABELS if rng.random() < 0.15],
        )
        for k in range(n)
    ]
    return Goods(
        items=items,
        ids=ids,
        category_names=categories,
        category=category,
        brand=brand,
        n_brands=n_brands,
        list_minor=list_minor,
        cost_minor=cost_minor,
        floor_minor=floor_minor,
        ceiling_minor=ceiling_minor,
        appeal=np.exp(APPEAL_LOG_SD * rng.standard_normal(n)),
        release_day=release_day,
    )
