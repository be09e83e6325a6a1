"""What is published, as it lies in Redis and in the output topics: one JSON object a key.

Writers and readers share these; nothing here needs more than msgspec.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

KEY_VERSION = "v1"
"""Version of the values' schema, part of every key."""


def key_of(prefix: str, kind: str, entity: str) -> str:
    """The Redis key of one value. The braces keep an entity's keys in one slot of a cluster.

    >>> key_of("stream", "recs", "shopper-17")
    'stream:v1:recs:{shopper-17}'
    """
    return f"{prefix}:{KEY_VERSION}:{kind}:{{{entity}}}"


def kind_of(scenario: str) -> str:
    """The kind, in the key, of a scenario's lists.

    >>> kind_of("home"), kind_of("cart")
    ('recs', 'recs-cart')
    """
    return "recs" if scenario == "home" else f"recs-{scenario}"


Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Ranked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list, best first, in parallel arrays: half the bytes of objects.

    `version` (lineage, dash, offset) grows with every publication for the same id; `generated_at` is in
    epoch milliseconds, `model` names what ranked it. Kernels write most of them
    (`stream.recommend.encode`).

    What stands behind each place: `because` says which of the `anchors`, items that the shopper looked at
    last, is its reason, from 0 on, -1 for none; `shoppers` is how many distinct shoppers did with both what
    `reasons` says, at least, and 0 where that is fewer than five. Either is left out where it says nothing.

    A `similar` list has more for those who rank with it: by item its share of the last forty or so (`recent`)
    and of what came directly next (`next`), and the decayed `events` and `steps` that the shares are of.
    """

    version: str
    generated_at: int
    model: str
    items: list[str]
    scores: list[float]
    reasons: list[str]
    anchors: list[str] = []
    because: list[int] = []
    shoppers: list[Count] = []
    recent: list[float] = []
    next: list[float] = []
    events: float = 0.0
    steps: float = 0.0


DID = {"viewed": "viewed both", "bought": "bought both", "led_to": "viewed it and bought this"}
"""What the shoppers behind a place did, by reason."""

WORDS = {
    "category": "popular among what is like the items you viewed",
    "trending": "many look at it now",
    "related": "it goes with what goes with an item you viewed",
    "again": "you viewed or bought it before",
    "popular": "popular in the shop",
    "pinned": "chosen by the shop",
    "alike": "new, and like the item you looked at last",
    "interest": "it matches what you searched for or said you like",
    "new": "shown so that it becomes known",
    "cohort": "popular with shoppers who come here as you do",
}
"""What there is to say of reasons that have no shoppers behind them."""


def in_words(reason: str, because: str | None, shoppers: int) -> str | None:
    """A place's reason as a sentence, if there is one: not where too few shoppers are behind it to tell of.

    >>> in_words("led_to", "lamp", 28)
    'you viewed lamp; at least 28 shoppers viewed it and bought this'
    """
    if reason not in DID:
        return WORDS.get(reason)
    if not shoppers:
        return None
    others = f"at least {shoppers} shoppers {DID[reason]}"
    return others if because is None else f"you viewed {because}; {others}"


class Profile(msgspec.Struct, frozen=True):
    """What a shopper has said and may correct: `interests` by the next `profile` event, `hidden` items, also
    those rated low, by a `like` or a better `rating`."""

    version: str
    generated_at: int
    interests: list[str]
    hidden: list[str]


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item's price, in the currency's main unit.

    `price` is in force; `proposed` differs from it in mode shadow only. `reason` is the rule that decided
    (`stream.pricing.rules`), `since_ms` (epoch milliseconds) the event time of the last move, 0 if it never
    moved. `expected_gain` is the relative gain in profit a view, `confidence` the probability that there
    is one.
    """

    version: str
    generated_at: int
    price: float
    proposed: float
    mode: str
    reason: str
    since_ms: int
    list_price: float | None = None
    currency: str | None = None
    elasticity: float = 0.0
    elasticity_sd: float = 0.0
    expected_gain: float = 0.0
    confidence: float = 0.0
