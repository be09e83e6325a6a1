"""Invented names: categories, brands and titles that belong to no real shop."""

from __future__ import annotations

import numpy as np

NOUNS: dict[str, tuple[str, ...]] = {
    "coffee": ("espresso beans", "filter blend", "cold brew", "decaf roast"),
    "kitchen": ("saucepan", "chef knife", "mixing bowl", "grater"),
    "lighting": ("desk lamp", "lantern", "floor lamp", "string lights"),
    "garden": ("watering can", "planter", "pruning shears", "herb box"),
    "camping": ("tent", "sleeping mat", "camp stove", "head torch"),
    "cycling": ("bike helmet", "pannier", "floor pump", "rain cape"),
    "audio": ("headphones", "bookshelf speaker", "turntable", "soundbar"),
    "stationery": ("notebook", "fountain pen", "desk tray", "sketchbook"),
    "bags": ("backpack", "weekender", "tote", "sling bag"),
    "games": ("puzzle", "board game", "card game", "dice set"),
    "bath": ("bath towel", "soap set", "shower caddy", "robe"),
    "pets": ("dog bed", "cat tree", "feeding bowl", "chew toy"),
    "running": ("running shoes", "hydration vest", "sports socks", "headband"),
    "tools": ("screwdriver set", "spirit level", "cordless drill", "tool roll"),
    "baking": ("loaf tin", "rolling pin", "proofing basket", "pastry brush"),
    "travel": ("suitcase", "packing cubes", "neck pillow", "travel adapter"),
}
QUALITIES = ("compact", "classic", "folding", "large", "light", "oak", "steel", "soft", "sturdy", "slim")
LABELS = ("gift", "handmade", "recycled", "refurbished", "set")
HEADS = ("Bru", "Vel", "Ona", "Tark", "Kes", "Ulm", "Fjor", "Zan", "Mir", "Pilt", "Drov", "Hax")
TAILS = ("vik", "mora", "quil", "daneth", "strel", "bova", "nixa", "tann", "wyck", "lunde")


def category_names(n: int) -> list[str]:
    """`n` distinct category names; a number is added once the list is used up."""
    return _distinct(list(NOUNS), n, "-")


def brand_names(n: int, rng: np.random.Generator) -> list[str]:
    """`n` distinct brand names put together from syllables."""
    every = [head + tail for head in HEADS for tail in TAILS]
    return _distinct([every[k] for k in rng.permutation(len(every))], n, " ")


def _distinct(base: list[str], n: int, separator: str) -> list[str]:
    rounds = [base] + [[f"{name}{separator}{k}" for name in base] for k in range(2, n // len(base) + 2)]
    return [name for names in rounds for name in names][:n]


def title(brand: str, category: str, number: int, rng: np.random.Generator) -> str:
    """Such as ``"Velmora oak desk lamp 17"``."""
    nouns = NOUNS[category.partition("-")[0]]
    return f"{brand} {QUALITIES[rng.integers(len(QUALITIES))]} {nouns[rng.integers(len(nouns))]} {number}"
