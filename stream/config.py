"""What one engine is told when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.events.decode import Bounds
from stream.pricing import PricingConfig
from stream.rules.scenario import HOME_ALONE, Scenario


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Sizes and rules of one engine. `max_shoppers` is per partition, `max_items` of all partitions.

    Shoppers and items that no event named for `inactive_ms` of event time are forgotten.
    `rows_saved_per_event` is the pace at which state is saved (`stream.state.rotation`); 0 saves none.
    Lists are those of the scenario `home`, blended from `sources` (`stream.recommend.sources`), if there are
    any, in place of its own.
    """

    item_partitions: int = 1
    max_shoppers: int = 1 << 20
    max_items: int = 1 << 18
    inactive_ms: int = 180 * 86_400_000
    rows_saved_per_event: float = 0.0
    sources: tuple[str, ...] = ()
    scenarios: Mapping[str, Scenario] = field(default_factory=HOME_ALONE.copy)
    bounds: Bounds = field(default_factory=Bounds)
    pricing: PricingConfig = field(default_factory=PricingConfig)
