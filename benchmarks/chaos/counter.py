"""A second count of the same log: plain dictionaries, one record after the other, nothing of the product."""

import json
import math
from collections import Counter as Number
from collections import defaultdict
from typing import Any

LANDMARK_MS, HALF_LIFE_MS, WINDOW = 1_700_000_000_000, 30 * 86_400_000, 10
PAIRED = ("view", "cart", "purchase")


class Counter:
    """`views`, `purchases` by item; `pairs[kind, item][other]` weights as of `LANDMARK_MS`; `shoppers`."""

    def __init__(self) -> None:
        self.retries, self.malformed, self.seen = 0, set[tuple[int, int]](), set[tuple[str, str]]()
        self.views, self.purchases = Number[str](), Number[str]()
        self.shoppers: dict[str, dict[str, Any]] = {}
        self.pairs: Any = defaultdict(lambda: defaultdict(float))

    def count(self, partition: int, offset: int, record_ts_ms: int, value: bytes) -> None:
        """One record of `events`."""
        try:
            event = json.loads(value)
            user, kind, item, session = (event[name] for name in ("user_id", "type", "item_id", "session_id"))
            price, own_id = event.get("price", 0), (user, event["event_id"])
            good = kind in PAIRED and user and item and isinstance(item, str) and event.get("quantity", 1) > 0
            good = good and math.isfinite(price) and price >= 0
        except (ValueError, KeyError, TypeError, AttributeError):
            good = False
        if not good:
            return self.malformed.add((partition, offset))
        self.retries += own_id in self.seen
        if own_id in self.seen:
            return
        self.seen.add(own_id)
        shopper = self.shoppers.setdefault(user, {"events": 0, "recent": [], "bought": [], "session": None})
        shopper["events"] += 1
        (self.purchases if kind == "purchase" else self.views)[item] += kind != "cart"
        if shopper["session"] != session:
            shopper.update(session=session, window=[], order=None)
        if kind == "purchase" and shopper["order"] != event["order_id"]:
            shopper.update(order=event["order_id"], basket=[])
        weight = 2 ** ((min(event["ts"], record_ts_ms + 60_000) - LANDMARK_MS) / HALF_LIFE_MS)
        window = [(k, other) for k, other in enumerate(shopper["window"], 1) if other != item]
        for distance, other in window:
            if kind == "purchase":
                self.pairs["led_to", other][item] += weight / distance
            if shopper["window"][0] != item:
                self.pairs["viewed", other][item] += weight / distance
                self.pairs["viewed", item][other] += weight * 0.6 / distance
        if kind == "purchase":
            for other in set(shopper["basket"]) - {item}:
                self.pairs["bought", other][item] += weight
                self.pairs["bought", item][other] += weight
            shopper["basket"].append(item)
            shopper["bought"].append(item)
        for part in ("recent", "window"):
            shopper[part] = [item, *(other for other in shopper[part] if other != item)][:WINDOW]
