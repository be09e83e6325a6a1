"""The wire contract: what a shop writes to the topic `events`, one JSON object a message.

Every event says who (`user_id`), what (`type`), when (`ts`) and carries an `event_id` of its own, by
which a client's retry is recognised. What each type holds beyond that is stated with its class.
The contract only ever grows: unknown fields are ignored, unknown types are refused (dead letter).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

ID_MAX_CHARS = 128
"""Longest id accepted, in characters: longer ones are payloads in disguise and would bloat every key."""

Id = Annotated[str, Meta(min_length=1, max_length=ID_MAX_CHARS)]
"""An identifier: 1 to 128 characters, none of them a control character (checked by the decoder for a
whole batch at once: a pattern here would cost 3 µs an event)."""

Price = Annotated[float, Meta(ge=0.0, le=1e12)]
"""A price of one unit in the currency's main unit (19.99): finite, not negative."""

Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
"""How many units: at least one. A `return` takes as many back."""

_EPOCH_MS = Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)
"""Years 1 to 9999, as `datetime` has them."""

Timestamp = datetime | Annotated[int, _EPOCH_MS] | Annotated[float, _EPOCH_MS]
"""ISO 8601 (without an offset: UTC) or epoch milliseconds."""


class Shown(msgspec.Struct, frozen=True):
    """One place of a list that was shown: `position` counts from 0."""

    item_id: Id
    position: Annotated[int, Meta(ge=0, le=10_000)]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all events share. Fields that a type does not require may still be given.

    `price` is the price that was shown or paid for one unit. `request_id` names the recommendation
    that led here. `context` is free (referrer, device, category of the page, country, ...).
    """

    event_id: Id
    ts: Timestamp
    user_id: Id
    session_id: Id | None = None
    item_id: Id | None = None
    price: Price | None = None
    currency: Annotated[str, Meta(min_length=3, max_length=3)] | None = None
    quantity: Quantity = 1
    order_id: Id | None = None
    rating: Annotated[float, Meta(ge=0.0, le=100.0)] | None = None
    query: Annotated[str, Meta(max_length=1024)] | None = None
    items: list[Shown] | None = None
    request_id: Id | None = None
    context: dict[str, Any] | None = None


class View(Event, frozen=True, kw_only=True, tag="view"):
    """A product page was seen; with `price`, that price was shown (an exposure)."""

    item_id: Id


class Cart(Event, frozen=True, kw_only=True, tag="cart"):
    """An item was put into the cart."""

    item_id: Id


class RemoveFromCart(Event, frozen=True, kw_only=True, tag="remove_from_cart"):
    """An item was taken out of the cart."""

    item_id: Id


class Purchase(Event, frozen=True, kw_only=True, tag="purchase"):
    """An item was bought. Lines of one basket share an `order_id`."""

    item_id: Id


class Return(Event, frozen=True, kw_only=True, tag="return"):
    """`quantity` units of an earlier purchase came back (or an order was cancelled)."""

    item_id: Id


class Impression(Event, frozen=True, kw_only=True, tag="impression"):
    """A list was shown: `items` with positions, and the `request_id` of the list if it was ours."""

    items: Annotated[list[Shown], Meta(min_length=1, max_length=1000)]


class Search(Event, frozen=True, kw_only=True, tag="search"):
    """The shopper searched for `query`."""

    query: Annotated[str, Meta(min_length=1, max_length=1024)]


class Rating(Event, frozen=True, kw_only=True, tag="rating"):
    """An item was rated (0 to 100; the scale is the shop's own)."""

    item_id: Id
    rating: Annotated[float, Meta(ge=0.0, le=100.0)]


class Like(Event, frozen=True, kw_only=True, tag="like"):
    """The shopper liked an item."""

    item_id: Id


class Hide(Event, frozen=True, kw_only=True, tag="hide"):
    """The shopper does not want to be shown this item again."""

    item_id: Id


class Identify(Event, frozen=True, kw_only=True, tag="identify"):
    """A visitor turned out to be this shopper: all that is known of `session_id` is this shopper's.

    It is the `user_id` under which the visitor's events came: a session's id, a device's, one of another
    platform."""

    session_id: Id


class Profile(Event, frozen=True, kw_only=True, tag="profile"):
    """Facts a shopper stated (`context`: interests, country, ...). What it says of interests
    (`stream.shoppers.stated`) takes the place of what an earlier one said; an empty one says that there are
    none."""

    context: dict[str, Any]


class Bought(msgspec.Struct, frozen=True):
    """Units of an item that were bought and kept."""

    item_id: Id
    quantity: Quantity


class Claim(Event, frozen=True, kw_only=True, tag="claim"):
    """Written by a worker that was told so: the visitor `user_id` is the shopper `heir`."""

    heir: Id


class Inherit(Event, frozen=True, kw_only=True, tag="inherit"):
    """Written by a worker that was claimed from: what was known of the visitor `session_id`, who is this
    shopper, and is forgotten there. `viewed`: latest first, of which the first `in_session` in one session;
    `seen`, `bought`, `hidden`, `cart` and `shown`: oldest first; `stated`: interests; `cohorts`: hashes by
    field; `events`: how many there were, the last at `ts`."""

    session_id: Id
    events: Annotated[int, Meta(ge=1)]
    viewed: Annotated[list[Id], Meta(max_length=1000)]
    in_session: Annotated[int, Meta(ge=0)]
    seen: Annotated[list[Id], Meta(max_length=1000)]
    bought: Annotated[list[Bought], Meta(max_length=1000)]
    hidden: Annotated[list[Id], Meta(max_length=1000)]
    cart: Annotated[list[Id], Meta(max_length=1000)] = []
    shown: Annotated[list[Id], Meta(max_length=1000)] = []
    stated: Annotated[list[str], Meta(max_length=1000)] = []
    cohorts: Annotated[list[Annotated[int, Meta(ge=0, lt=2**32)]], Meta(max_length=1000)] = []


ShopEvent = (
    View
    | Cart
    | RemoveFromCart
    | Purchase
    | Return
    | Impression
    | Search
    | Rating
    | Like
    | Hide
    | Identify
    | Profile
)
"""What a shop's apps write."""

AnyEvent = ShopEvent | Claim | Inherit
"""What one message of the topic `events` may hold."""


ATTRIBUTES_MAX = 64
"""Named attributes one item may have, tags it may have, and values in one attribute: with more it is
refused."""

Text = Annotated[str, Meta(min_length=1, max_length=256)]
"""One value of an attribute."""

_Texts = Annotated[list[Text], Meta(max_length=ATTRIBUTES_MAX)]

_WHOLE_MAX = 2**53

Attribute = bool | Annotated[int, Meta(ge=-_WHOLE_MAX, le=_WHOLE_MAX)] | float | Text | _Texts
"""A value of a named attribute: text, a list of texts, a number, true or false."""

REPLACES_MAX = 64
"""Items that one item may replace: the rows of all of them are read for its lists."""

_AttributeName = Annotated[str, Meta(min_length=1, max_length=64)]

OWN_FIELDS = frozenset(
    {"age_days", "available_from", "brand", "category", "cost", "item_id", "labels", "list_price", "margin"}
    | {"parent_id", "price", "price_band", "replaces", "stock", "tags", "title"}
)
"""Names that no named attribute may have: rules mean the fields by them."""


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts of one item: one JSON object in the compacted topic `items`, key = item id.

    Money is in the currency's main unit. A later message replaces the earlier one as a whole; a
    null value (tombstone) removes the item from what may be recommended or priced.

    `labels` are the item's tags. `parent_id` is the product of which this item is a variant (a size, a
    colour): the product is recommended, the variant has a price. `replaces` are ids of items that are this
    one now, renamed or merged: what was counted under them counts for it. `available_from` is when it could
    first be bought, `price_band` the shop's own word for what it costs ("budget"), `attributes` all else that
    rules may ask for (`stream.rules`). An item with more than `ATTRIBUTES_MAX` attributes, or with one of a
    name in `OWN_FIELDS`, is refused as a whole.
    """

    item_id: Id
    title: Annotated[str, Meta(max_length=1024)] | None = None
    category: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    brand: Annotated[str, Meta(max_length=256)] | None = None
    list_price: Price | None = None
    cost: Price | None = None
    floor: Price | None = None
    ceiling: Price | None = None
    currency: Annotated[str, Meta(min_length=3, max_length=3)] | None = None
    stock: Annotated[int, Meta(ge=0)] | None = None
    labels: _Texts = []
    price_band: Text | None = None
    parent_id: Id | None = None
    replaces: Annotated[list[Id], Meta(max_length=REPLACES_MAX)] = []
    available_from: Timestamp | None = None
    attributes: Annotated[dict[_AttributeName, Attribute], Meta(max_length=ATTRIBUTES_MAX)] = {}

    def __post_init__(self) -> None:
        for name in self.attributes:
            if name in OWN_FIELDS:
                raise ValueError(f"the attribute {name!r} has the name of a field: call it something else")
