"""What a simulated shop is made from."""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import SettingsError

ITEMS_PER_CATEGORY_MIN = 12
"""Fewer would leave an item without enough neighbours in its own category."""


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """Seed and size of a shop; two equal configurations give the same events to the byte.

    `start_ms` is the shop's first moment (epoch milliseconds): put it weeks in the past to begin with
    a history. The defaults give about 4,800 events a simulated day, so that seven weeks are some
    235,000 events, and about a third of the items are viewed 500 times or more in them.

    Raises `SettingsError` for sizes that cannot make a shop.
    """

    seed: int
    start_ms: int
    n_items: int = 400
    n_shoppers: int = 3_000
    n_categories: int = 12
    sessions_per_day: float = 700.0
    currency: str = "EUR"

    def __post_init__(self) -> None:
        if self.seed < 0 or self.start_ms < 0:
            raise SettingsError("A simulated shop needs a seed and a start that are not negative.")
        if self.n_categories < 3:
            raise SettingsError(f"A simulated shop needs at least 3 categories, not {self.n_categories}.")
        if self.n_items < ITEMS_PER_CATEGORY_MIN * self.n_categories:
            raise SettingsError(
                f"A simulated shop of {self.n_categories} categories needs at least "
                f"{ITEMS_PER_CATEGORY_MIN * self.n_categories} items, not {self.n_items}."
            )
        if self.n_shoppers < 1:
            raise SettingsError(f"A simulated shop needs at least one shopper, not {self.n_shoppers}.")
        if not 0 < self.sessions_per_day <= 10_000_000:
            raise SettingsError(
                "A simulated shop needs more than 0 and at most 10,000,000 sessions a day, "
                f"not {self.sessions_per_day:g}."
            )
        if len(self.currency) != 3:
            raise SettingsError(f"A currency is a code of three letters such as EUR, not {self.currency!r}.")
