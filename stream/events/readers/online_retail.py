"""`online-retail`: the invoice lines of UCI "Online Retail" (CSV, a year of a British gift shop).

The file is in time order and is streamed as it is. It is a ledger rather than a shop's log. Rules:

- An invoice is a basket (`order_id`), a line is a purchase, a line of a cancellation (invoice C...) is
  a return of its absolute quantity under the cancellation's own number: the file does not say which
  order it cancels.
- A line without customer belongs to the shopper ``guest-<invoice>``: one basket, never one shared id.
- Stock codes are compared in capitals (the file has 85123A and 85123a for one product).
- Lines that are no product (postage, carriage, bank charges, manual corrections, ...: `NOT_PRODUCTS`)
  are refused as `not-a-product`.
- Negative quantities outside a cancellation, and unpriced lines without customer, are goods written
  off or found: refused as `stock-adjustment`. An unpriced line of a customer is a gift: a purchase
  without a price. A negative price is refused as `invalid-field`.
- Facts of an item (title, unit price as list price) come at its first sight and when its title
  changes; prices differ with the quantity bought and are not taken as new list prices.
- The country of a line is its context (`stream.cohorts`).
- Times have no offset and are taken as UTC; prices are pounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from stream.events.readers.base import Reader, ReadResult, RowError, columns_error
from stream.events.readers.fields import event_id, identifier, iso_ms, number, price, quantity, text
from stream.events.readers.lines import Log
from stream.events.readers.rows import Row, columns, rows
from stream.events.types import Item, Purchase, Return

COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
)  # fmt: skip
NOT_PRODUCTS = frozenset({"POST", "DOT", "M", "C2", "D", "S", "B", "AMAZONFEE", "CRUK", "BANK CHARGES"})
"""Postage, dotcom postage, manual, carriage, discount, samples, bad debt, Amazon's fee, commission."""
CURRENCY = "GBP"
US_DATE = "%m/%d/%Y %H:%M"
"""How spreadsheets export the same file; the other form is ISO 8601."""


def _read(log: Log) -> Iterator[ReadResult]:
    where = columns(log, ",", COLUMNS, "a online-retail file")
    return _events(rows(log.lines(), ","), where)


def _events(table: Iterator[Row], where: list[int]) -> Iterator[ReadResult]:
    pick = itemgetter(*where)
    width = len(next(table)[2])
    titles: dict[str, str] = {}
    for row, line, cells in table:
        try:
            if len(cells) != width:
                raise columns_error(len(cells), width)
            invoice, code, title, units, when, cost, customer, country = pick(cells)
            code = code.upper()
            if code in NOT_PRODUCTS:
                raise RowError("not-a-product", f"stock code {code} is bookkeeping, no product")
            item_id = identifier(code, "StockCode")
            order_id = identifier(invoice, "InvoiceNo")
            cancelled = order_id.startswith("C")
            paid = price(cost, "UnitPrice") or None
            if not cancelled and number(units, "Quantity") < 0:
                raise RowError("stock-adjustment", f"{units} units outside a cancellation are a write-off")
            if paid is None and not customer:
                raise RowError("stock-adjustment", "a line without price and customer is no purchase")
            shopper = customer.removesuffix(".0") or f"guest-{invoice}"
            event = Return if cancelled else Purchase
            result = event(
                event_id=event_id(line, row),
                ts=iso_ms(when, "InvoiceDate", US_DATE if "/" in when else None),
                user_id=identifier(shopper, "CustomerID"),
                item_id=item_id,
                price=paid,
                currency=CURRENCY,
                quantity=quantity(units.removeprefix("-") if cancelled else units, "Quantity"),
                order_id=order_id,
                context={"country": country} if country else None,
            )
            item = None
            if title and titles.get(item_id) != title:
                item = Item(
                    item_id=item_id,
                    title=text(title.strip(), "Description", max_chars=1024),
                    list_price=paid,
                    currency=CURRENCY,
                )
                titles[item_id] = title
        except RowError as error:
            yield error.bad(line, row)
        else:
            if item is not None:
                yield item
            yield result


ONLINE_RETAIL = Reader('UCI "Online Retail": CSV of invoice lines; invoice = basket, C... = return', _read)
