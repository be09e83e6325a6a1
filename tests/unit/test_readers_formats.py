"""The rules of each known data set, on rows made up for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stream.events.readers import Bad, read
from stream.events.readers.sessions import START_MS
from stream.events.types import Cart, Item, Purchase, Rating, RemoveFromCart, Return, View


def results(folder: Path, format: str, *lines: str) -> list[Any]:
    path = folder / "events"
    path.write_text("\n".join(lines), encoding="utf-8")
    return list(read(path, format))


def ms(when: str) -> int:
    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)


REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"


def test_rees46(tmp_path):
    lamp, view, lamp2, removed, cart, bought, lamp3, free, cut, broken, wish = results(
        tmp_path,
        "rees46",
        REES46,
        "2020-02-01 10:00:00 UTC,view,11,900,home.lamp,acme,20.50,u1,s1",
        "2020-02-01 10:00:01 UTC,remove_from_cart,12,901,,,5.00,u1,s1",
        "2020-02-01 10:00:02 UTC,cart,11,900,home.lamp,acme,20.50,u1,s1",
        "2020-02-01 10:00:03 UTC,purchase,11,900,home.lamp,acme,20.50,u1,s1",
        "2020-02-01 10:00:04 UTC,view,11,900,home.lamp,acme,0.00,u2,s2",
        "2020-02-01 10:00:05 UTC,view,11,900,home.lamp,acme,20.50,u2,",
        "2020-02-01 10:00:06 UTC,view,11,900,home.la",
        "2020-02-01 10:00:07 UTC,wish,11,900,home.lamp,acme,20.50,u2,s2",
    )
    assert lamp == Item(item_id="11", category="home.lamp", brand="acme", list_price=20.5)
    assert lamp2 == Item(item_id="12", category="901", list_price=5.0)
    assert lamp3 == Item(item_id="11", category="home.lamp", brand="acme")
    assert isinstance(view, View)
    assert (view.ts, view.user_id, view.session_id, view.price, view.order_id) == (
        ms("2020-02-01 10:00"), "u1", "s1", 20.5, None,
    )  # fmt: skip
    assert [type(e) for e in (removed, cart, bought, free)] == [RemoveFromCart, Cart, Purchase, View]
    assert (bought.order_id, free.price) == ("s1", None)
    assert [e.reason for e in (cut, broken, wish)] == ["malformed-row", "malformed-row", "unknown-type"]


RETAIL = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def test_online_retail(tmp_path):
    title, bought, guest, returned, gift, renamed, again, post, lost, found, debt, none = results(
        tmp_path,
        "online-retail",
        RETAIL,
        '500001,10001a,"LAMP, RED",6,2011-03-01 08:26:00,2.55,7.0,Utopia',
        '500002,10001A,"LAMP, RED",1,3/1/2011 8:27,2.55,,Utopia',
        'C500003,10001A,"LAMP, RED",-2,2011-03-01 08:28:00,2.55,7,Utopia',
        '500004,10001A,"LAMP, RED",1,2011-03-01 08:29:00,0.0,7.0,Utopia',
        "500005,10001A,LAMP RED,1,2011-03-01 08:30:00,3.0,8.0,Utopia",
        "500006,POST,POSTAGE,1,2011-03-01 08:31:00,18.0,8.0,Utopia",
        "500007,10001A,broken,-9,2011-03-01 08:32:00,0.0,,Utopia",
        "500008,10001A,found,9,2011-03-01 08:33:00,0.0,,Utopia",
        "A500009,10001A,debt,1,2011-03-01 08:34:00,-5.0,,Utopia",
        "500010,10001A,LAMP RED,0,2011-03-01 08:35:00,3.0,8.0,Utopia",
    )
    assert title == Item(item_id="10001A", title="LAMP, RED", list_price=2.55, currency="GBP")
    assert (type(bought), bought.item_id, bought.user_id, bought.order_id) == (
        Purchase,
        "10001A",
        "7",
        "500001",
    )
    assert (bought.quantity, bought.price, bought.ts) == (6, 2.55, ms("2011-03-01 08:26"))
    assert (guest.user_id, guest.ts) == ("guest-500002", ms("2011-03-01 08:27"))
    assert (type(returned), returned.quantity, returned.order_id, returned.user_id) == (
        Return,
        2,
        "C500003",
        "7",
    )
    assert (type(gift), gift.price) == (Purchase, None)
    assert (renamed.title, renamed.list_price, again.user_id) == ("LAMP RED", 3.0, "8")
    assert [e.reason for e in (post, lost, found, debt, none)] == [
        "not-a-product", "stock-adjustment", "stock-adjustment", "invalid-field", "invalid-field",
    ]  # fmt: skip


def test_retailrocket(tmp_path):
    view, cart, bought = results(
        tmp_path,
        "retailrocket",
        "timestamp,visitorid,event,itemid,transactionid",
        "1500000000300,5,transaction,9,77",
        "1500000000100,5,view,9,",
        "1500000000200,5,addtocart,9,",
    )
    assert [type(e) for e in (view, cart, bought)] == [View, Cart, Purchase]
    assert (bought.order_id, bought.ts, bought.user_id, bought.item_id) == ("77", 1500000000300, "5", "9")
    assert view.order_id is None


def test_yoochoose_comes_in_time_order_over_all_sessions(tmp_path):
    header = "SessionId\tItemId\tTime"
    out = results(
        tmp_path, "yoochoose", header, "3\ta\t1500000000.5", "3\tb\t1500000003", "6\tc\t1500000001.25", "x"
    )
    assert isinstance(out[0], Bad)
    assert [(e.ts, e.user_id, e.session_id, e.item_id) for e in out[1:]] == [
        (1500000000500, "3", "3", "a"),
        (1500000001250, "6", "6", "c"),
        (1500000003000, "3", "3", "b"),
    ]


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (["user_id:token\titem_id:token\trating:float\ttimestamp:float"], "\t"),
        (["userId,movieId,rating,timestamp"], ","),
        ([], "\t"),
        ([], "::"),
    ],
)
def test_movielens_in_every_form(tmp_path, header, delimiter):
    rows = [["7", "31", "2.5", "900000002"], ["7", "32", "4", "900000001"], ["8", "33", "101", "900000003"]]
    lines = [delimiter.join(row) for row in rows]
    early, late, bad = results(tmp_path, "movielens", *header, *lines)
    assert isinstance(bad, Bad)
    assert (type(early), early.item_id, early.rating, early.ts) == (Rating, "32", 4.0, 900000001000)
    assert (late.item_id, late.rating, late.user_id) == ("31", 2.5, "7")


def test_sessions(tmp_path):
    out = results(tmp_path, "sessions", "a b\tb", "", "x" * 129 + " c", "d")
    assert [(e.user_id, e.item_id, e.ts) for e in out if not isinstance(e, Bad)] == [
        ("1", "a", START_MS),
        ("1", "b", START_MS + 1000),
        ("1", "b", START_MS + 2000),
        ("4", "d", START_MS + 3000),
    ]
    (bad,) = (e for e in out if isinstance(e, Bad))
    assert (bad.line, bad.reason) == (3, "invalid-field")
