"""What a demo came to, as numbers."""

from __future__ import annotations

from typing import Any

from stream.cli.demo.crew import Crew
from stream.cli.demo.feeds import Feed, ShopFeed

EXPOSURES_MIN = 500
"""Views an item needs before the demo says whether its price went the right way."""


def summary(crew: Crew, feed: Feed, status: dict[str, Any], seconds: float, dead: int) -> dict[str, Any]:
    """The demo's answer. `hit_rate`: share of shoppers' next items that were on the list of 20 published
    before (prequential, a sample of lists), beside what other lists would have reached on the same steps."""
    engine = status["engine"]
    out = {
        "events": engine["events"],
        "duplicates": engine["duplicates"],
        "dead_letters": dead,
        "shoppers": len(feed.shoppers),
        "shoppers_with_recommendations": crew.count("recs"),
        "recommendations": engine["recommendations"],
        "similar_items": crew.count("similar"),
        "prices": engine["prices"],
        "price_moves": engine["price_moves"],
        "seconds": round(seconds, 1),
        "events_per_s": round(engine["events"] / seconds, 1),
        "freshness_p50_ms": round(status["freshness_p50_ms"] or 0.0, 1),
        "freshness_p99_ms": round(status["freshness_p99_ms"] or 0.0, 1),
        "model": engine["model"],
        "labelled_lists": engine["labelled_lists"],
        "hit_rate": {name: score["hr@20"] for name, score in engine["quality"].items()},
    }
    if isinstance(feed, ShopFeed):
        score = feed.shop.oracle_score.following
        progress = feed.shop.price_progress(EXPOSURES_MIN)
        out["hit_rate"]["oracle"] = round(score.hit_rate, 4)
        out["items_with_500_exposures"] = progress.items
        out["moved_towards_optimum"] = round(progress.towards / max(progress.items, 1), 3)
    return out
