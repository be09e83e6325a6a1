"""What the ranking model sees of a candidate: ten numbers, all of them ratios or logarithms."""

from __future__ import annotations

FEATURES = (
    "log_share",
    "share_of_best",
    "share_by_last_item",
    "share_bought_together",
    "share_viewed_then_bought",
    "reciprocal_place",
    "log_popular",
    "log_trending",
    "same_category",
    "seen_recently",
)
"""Names by column. A snapshot carries them, and one with other names is not used."""

(
    LOG_SHARE,
    SHARE_OF_BEST,
    BY_LAST_ITEM,
    BY_BASKET,
    BY_PURCHASE,
    RECIPROCAL_PLACE,
    LOG_POPULAR,
    LOG_TRENDING,
    SAME_CATEGORY,
    SEEN_RECENTLY,
) = range(len(FEATURES))

N_FEATURES = len(FEATURES)
