"""A small shop for tests of scenarios: logs with carts and impressions, and what is known of shoppers."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from stream.runtime.scenarios import load
from stream.shoppers.describe import ShopperState, describe, shoppers_of
from tests.unit.core_helpers import T0, Worker, event, log

ITEMS = [f"i{n}" for n in range(40)]
KINDS = (
    "view",
    "view",
    "cart",
    "cart",
    "remove_from_cart",
    "purchase",
    "return",
    "impression",
    "hide",
    "search",
)


def started(**config: Any) -> Worker:
    """A worker of all shipped scenarios that knows the catalogue and some history of other shoppers."""
    worker = Worker(**({"scenarios": load()} | config))
    for n, item in enumerate(ITEMS):
        facts = {"item_id": item, "category": f"c{n % 4}", "brand": "Acme" if n % 3 else "Bolt"}
        worker.engine.control("items", item.encode(), msgspec.json.encode(facts))
    kinds = ("view", "view", "cart", "purchase")
    events = [
        event(
            kinds[n * 7 % 4], f"past{n % 17}", ITEMS[(n * 7 + n * n // 3) % 40], T0 - 10**7 + n * 1_000,
            order_id=f"o{n // 40}",
        )
        for n in range(400)
    ]  # fmt: skip
    worker.run(log(events), range(50, 400, 50))
    worker.talk(T0)
    return worker


def happens(n: int, kind: str, user: str, item: str | None = None, **fields: Any) -> dict[str, Any]:
    """Event `n` after the history."""
    if kind == "impression":
        shown = [{"item_id": each, "position": k} for k, each in enumerate(fields.pop("items", [item]))]
        return event(kind, user, None, T0 + n * 1_000, items=shown, event_id=f"n{n}", **fields)
    if kind == "search":
        return event(kind, user, None, T0 + n * 1_000, query="lamps", event_id=f"n{n}", **fields)
    more = {"order_id": f"o{n}"} if kind == "purchase" else {}
    return event(kind, user, item, T0 + n * 1_000, event_id=f"n{n}", **more, **fields)


@st.composite
def visits(draw: st.DrawFn, most: int = 30, users: int = 2) -> list[dict[str, Any]]:
    """Random events of a few shoppers on few items, with carts and impressions; some sent again."""
    out: list[dict[str, Any]] = []
    for n in range(draw(st.integers(1, most))):
        kind, user = draw(st.sampled_from(KINDS)), f"u{draw(st.integers(1, users))}"
        fields: dict[str, Any] = {}
        if kind == "impression":
            fields["items"] = draw(st.lists(st.sampled_from(ITEMS[:8]), min_size=1, max_size=6))
        out.append(happens(n, kind, user, draw(st.sampled_from(ITEMS[:8])), **fields))
        if draw(st.integers(0, 7)) == 0:
            out.append(draw(st.sampled_from(out)))
    return out


def known(worker: Worker) -> dict[str, ShopperState]:
    """What is known of every shopper, by id."""
    found = {}
    for unit in worker.engine.shopper_units.values():
        for number in shoppers_of(unit).tolist():
            state = describe(unit, number)
            found[state.user_id] = state
    return found


def told(events: list[dict[str, Any]]) -> dict[str, tuple[list[str], dict[str, int]]]:
    """Carts (the last first in is first) and what was shown and not taken, as a person would keep them."""
    carts: dict[str, list[str]] = {}
    shown: dict[str, list[str]] = {}
    seen = set()
    for each in events:
        user, kind, item = each["user_id"], each["type"], each.get("item_id", "")
        if (user, each["event_id"]) in seen:
            continue
        seen.add((user, each["event_id"]))
        cart, passed = carts.setdefault(user, []), shown.setdefault(user, [])
        if kind == "impression":
            passed += [place["item_id"] for place in each["items"]]
            del passed[:-64]
        if kind in ("cart", "remove_from_cart", "purchase") and item in cart:
            cart.remove(item)
        if kind == "cart":
            cart.append(item)
            del cart[:-16]
        if kind in ("view", "cart", "purchase", "like"):
            passed[:] = [other for other in passed if other != item]
    return {
        user: (carts[user], {item: shown[user].count(item) for item in sorted(set(shown[user]))})
        for user in carts
    }
