"""A seeded synthetic shop: shoppers with tastes, sessions, baskets and true demand curves.

Start reading at `shop.py`.
"""

from stream.simulate.config import ShopConfig
from stream.simulate.scores import OracleScore, PriceProgress, RankScore
from stream.simulate.shop import Shop

__all__ = ["OracleScore", "PriceProgress", "RankScore", "Shop", "ShopConfig"]
