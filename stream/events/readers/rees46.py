"""`rees46`: logs of the REES46 multi-category and cosmetics stores (CSV, prices, brands, categories).

The files are in time order and are streamed as they are. Rules:

- `order_id` of a purchase is its session: the data's authors count one order a session.
- A price of 0.00 means that it is unknown.
- Facts of an item come before the event that shows them, at its first sight and whenever category,
  brand or price change: `category_code`, or else `category_id`, and the price as list price.
- A row without `user_session` is cut and refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from stream.events.readers.base import Reader, ReadResult, RowError, columns_error
from stream.events.readers.fields import event_id, identifier, iso_ms, price, text
from stream.events.readers.lines import Log
from stream.events.readers.rows import Row, columns, rows
from stream.events.types import Cart, Item, Purchase, RemoveFromCart, View

COLUMNS = (
    "event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id",
    "user_session",
)  # fmt: skip
TYPES: dict[str, type[View] | type[Cart] | type[RemoveFromCart] | type[Purchase]] = {
    "view": View,
    "cart": Cart,
    "remove_from_cart": RemoveFromCart,
    "purchase": Purchase,
}


def _read(log: Log) -> Iterator[ReadResult]:
    where = columns(log, ",", COLUMNS, "a rees46 file")
    return _events(rows(log.lines(), ","), where)


def _events(table: Iterator[Row], where: list[int]) -> Iterator[ReadResult]:
    pick = itemgetter(*where)
    width = len(next(table)[2])
    shown: dict[str, tuple[str, str, str, str]] = {}
    for number, line, cells in table:
        try:
            if len(cells) != width:
                raise columns_error(len(cells), width)
            time, kind, product, category_id, category_code, brand, cost, user, session = pick(cells)
            if not session:
                raise RowError("malformed-row", "user_session is empty: the row is cut")
            event = TYPES.get(kind)
            if event is None:
                raise RowError("unknown-type", f"event_type {kind!r} is none of {', '.join(TYPES)}")
            item_id = identifier(product, "product_id")
            paid = price(cost, "price") or None if cost else None
            session = identifier(session, "user_session")
            result = event(
                event_id=event_id(line, number),
                ts=iso_ms(time.removesuffix(" UTC"), "event_time"),
                user_id=identifier(user, "user_id"),
                session_id=session,
                item_id=item_id,
                price=paid,
                order_id=session if event is Purchase else None,
            )
            facts = (category_code, category_id, brand, cost)
            item = None
            if shown.get(item_id) != facts:
                item = Item(
                    item_id=item_id,
                    category=text(category_code or category_id, "category_code") or None,
                    brand=text(brand, "brand") or None,
                    list_price=paid,
                )
                shown[item_id] = facts
        except RowError as error:
            yield error.bad(line, number)
        else:
            if item is not None:
                yield item
            yield result


REES46 = Reader("REES46 store logs: CSV with event_time, event_type, product_id, ..., user_session", _read)
