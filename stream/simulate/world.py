"""Everything about a shop that its shoppers move in, and how it changes from day to day."""

from __future__ import annotations

import numpy as np

from stream.simulate.browsing import Browsing
from stream.simulate.catalogue import build
from stream.simulate.config import ShopConfig
from stream.simulate.demand import Demand
from stream.simulate.popularity import Popularity
from stream.simulate.prices import PriceTags
from stream.simulate.rhythm import DAY_MS, WEEK_DAYS
from stream.simulate.tastes import Crowd
from stream.simulate.transitions import Transitions


class World:
    """Goods, demand, crowd and links, drawn once from the seed; each part has a stream of its own."""

    def __init__(self, config: ShopConfig) -> None:
        seed = config.seed
        self.config = config
        self.demand = Demand(config.n_items, np.random.default_rng((seed, 1)))
        self.goods = build(config, self.demand, np.random.default_rng((seed, 2)))
        self.crowd = Crowd(config, self.goods.n_brands, np.random.default_rng((seed, 3)))
        self.popularity = Popularity(self.goods, seed)
        self.links = Transitions(self.goods, seed)
        self.tags = PriceTags(self.goods, seed)
        self.browsing = Browsing(self.goods, self.popularity, self.links)
        self._day_ends_ms = config.start_ms + DAY_MS

    def to_time(self, ts_ms: int) -> None:
        """Move on to `ts_ms`: trends and promotions change daily, links weekly."""
        if ts_ms < self._day_ends_ms:
            return
        day = (ts_ms - self.config.start_ms) // DAY_MS
        self.popularity.to_day(day)
        self.tags.to_day(day)
        self.links.to_week(day // WEEK_DAYS)
        self._day_ends_ms = self.config.start_ms + (day + 1) * DAY_MS
