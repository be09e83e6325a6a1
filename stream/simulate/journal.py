"""Writes down what happens in the shop, as events with ids of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stream.events import types
from stream.simulate.browsing import Visit
from stream.simulate.config import ShopConfig

Priced = types.View | types.Cart | types.RemoveFromCart | types.Purchase | types.Return


class Line(NamedTuple):
    """An item, by its number, at the price at which it was seen."""

    item: int
    price_minor: int


class Journal:
    """Passes events on to `emit`. Ids begin with the shop's seed, so that two shops can share a topic."""

    def __init__(
        self, config: ShopConfig, item_ids: list[str], emit: Callable[[types.AnyEvent], None]
    ) -> None:
        self._item_ids = item_ids
        self._emit = emit
        self._currency = config.currency
        self._prefix = f"{config.seed}-"
        self.written = 0

    def priced(
        self,
        kind: type[Priced],
        user_id: str,
        line: Line,
        ts: int,
        session_id: str | None,
        *,
        order_id: str | None = None,
        quantity: int = 1,
        request_id: str | None = None,
        context: dict[str, str] | None = None,
    ) -> None:
        """An event of one item at a price."""
        self._emit(
            kind(
                event_id=self._id(),
                ts=ts,
                user_id=user_id,
                session_id=session_id,
                item_id=self._item_ids[line.item],
                price=line.price_minor / 100,
                currency=self._currency,
                order_id=order_id,
                quantity=quantity,
                request_id=request_id,
                context=context,
            )
        )

    def opinion(self, kind: type[types.Like | types.Hide], visit: Visit, item: int, ts: int) -> None:
        """A like, or a wish not to see the item again."""
        self._emit(
            kind(
                event_id=self._id(),
                ts=ts,
                user_id=visit.shopper.id,
                session_id=visit.session_id,
                item_id=self._item_ids[item],
            )
        )

    def rating(self, user_id: str, item: int, stars: int, ts: int) -> None:
        """One to five stars."""
        item_id = self._item_ids[item]
        self._emit(
            types.Rating(event_id=self._id(), ts=ts, user_id=user_id, item_id=item_id, rating=float(stars))
        )

    def impression(self, visit: Visit, item_ids: list[str], request_id: str | None, ts: int) -> None:
        """A list was shown, from the top."""
        self._emit(
            types.Impression(
                event_id=self._id(),
                ts=ts,
                user_id=visit.shopper.id,
                session_id=visit.session_id,
                items=[types.Shown(item_id=item_id, position=n) for n, item_id in enumerate(item_ids)],
                request_id=request_id,
            )
        )

    def search(self, visit: Visit, query: str, ts: int) -> None:
        """The shopper searched."""
        self._emit(
            types.Search(
                event_id=self._id(),
                ts=ts,
                user_id=visit.shopper.id,
                session_id=visit.session_id,
                query=query,
            )
        )

    def identify(self, visit: Visit, ts: int) -> None:
        """The shopper logged in."""
        user_id, session_id = visit.shopper.id, visit.session_id
        self._emit(types.Identify(event_id=self._id(), ts=ts, user_id=user_id, session_id=session_id))

    def profile(self, user_id: str, interests: list[str], country: str, ts: int) -> None:
        """The shopper filled in a form."""
        context = {"interests": interests, "country": country}
        self._emit(types.Profile(event_id=self._id(), ts=ts, user_id=user_id, context=context))

    def _id(self) -> str:
        self.written += 1
        return f"{self._prefix}{self.written}"
