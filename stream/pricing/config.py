"""What a shop may set about pricing, and what each setting protects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stream.errors import SettingsError

DAY_MS: Final = 86_400_000


class Mode(StrEnum):
    """How far a proposal goes."""

    OFF = "off"
    """No proposal is made: every item keeps its price."""

    SHADOW = "shadow"
    """Proposals are computed and published, and no price in force moves."""

    AUTO = "auto"
    """A proposal that passes the guardrails becomes the price in force."""


@dataclass(frozen=True, slots=True)
class PricingConfig:
    """Settings of `propose`. Ratios are relative to the price in force unless stated otherwise.

    Raises
    ------
    SettingsError
        If a value is not finite or outside its range.
    """

    mode: Mode = Mode.SHADOW
    """Shadow by default: a shop sees what would happen before it happens."""

    min_exposures: float = 60.0
    """Decayed product views an item needs before its price may move: about two sales at a conversion of
    3 %. Low, because most of what is known of an item's slope comes from all items together."""

    min_confidence: float = 0.8
    """Least probability that a move earns more than staying; with less it is a trial."""

    min_gain_ratio: float = 0.01
    """Hysteresis: a confident move must be expected to earn 1 % more profit a view than staying."""

    max_trial_loss_ratio: float = 0.01
    """What a trial may be expected to cost in profit a view. Demand shows only when prices vary, so
    this is the price of learning; a trial's step is bounded by `max_step_ratio` like any other."""

    max_step_ratio: float = 0.06
    """Largest change in one move. One rung of the ladder is 5.2 %; the rest is room for rounding."""

    cooldown_ms: int = 3 * DAY_MS
    """Shortest time between two moves of one item: shoppers see a price for at least three days."""

    margin_floor_ratio: float = 0.05
    """A price is never below cost x (1 + this)."""

    rounding_minor: int = 1
    """Prices are multiples of this many minor units (5 where the smallest coin is 5 cents)."""

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise SettingsError(
                    f"The pricing setting {name} must be from {low:g} to {high:g}, not {value!r}."
                )


_RANGES: Final = (
    ("min_exposures", 0.0, 1e9),
    ("min_confidence", 0.5, 1.0),
    ("min_gain_ratio", 0.0, 1.0),
    ("max_trial_loss_ratio", 0.0, 1.0),
    ("max_step_ratio", 0.0, 1.0),
    ("cooldown_ms", 1, 366 * DAY_MS),
    ("margin_floor_ratio", 0.0, 10.0),
    ("rounding_minor", 1, 1_000_000),
)
