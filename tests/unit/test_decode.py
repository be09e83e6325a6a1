"""From records to columns: what is refused and why, and that the rest of the batch goes on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stream.events.cloudevents import REKEYED_HEADER
from stream.events.codes import NO_PRICE, PURCHASE, VIEW
from stream.events.decode import EVENT_MAX_BYTES, Bounds, decode
from stream.events.records import LogRecord
from tests.unit.core_helpers import T0, event, log

GOOD = {"event_id": "e", "type": "view", "ts": T0, "user_id": "u", "item_id": "i"}


def record(value: Any, key: bytes | None = b"u", offset: int = 5, headers: Any = ()) -> LogRecord:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return LogRecord(offset, T0, key, raw, headers)


def fields(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (GOOD | changes).items() if value is not ...}


DEEP = (
    b'{"event_id":"e","type":"profile","ts":1,"user_id":"u","context":{"a":'
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}}"
)

BAD = {
    "null value": (None, "null-value"),
    "empty": (b"", "malformed-json"),
    "text": (b"hello", "malformed-json"),
    "cut": (b'{"event_id":"e",', "malformed-json"),
    "binary": (b"\xff\xfe\x00", "malformed-json"),
    "bad utf-8": (json.dumps(GOOD).encode().replace(b'"i"', b'"\xff"'), "malformed-json"),
    "lone surrogate": (json.dumps(GOOD).encode().replace(b'"i"', b'"\\ud800"'), "malformed-json"),
    "NaN": (json.dumps(fields(price=float("nan"))).encode(), "malformed-json"),
    "Infinity": (json.dumps(fields(price=float("inf"))).encode(), "malformed-json"),
    "too deep": (DEEP, "malformed-json"),
    "array": ([GOOD], "not-an-object"),
    "number": (7, "not-an-object"),
    "null": (b"null", "not-an-object"),
    "no type": (fields(type=...), "missing-field"),
    "unknown type": (fields(type="teleport"), "unknown-type"),
    "wrong type's type": (fields(type=3), "invalid-field"),
    "no user": (fields(user_id=...), "missing-field"),
    "no item": (fields(item_id=...), "missing-field"),
    "no time": (fields(ts=...), "missing-field"),
    "no event id": (fields(event_id=...), "missing-field"),
    "wrong type of user": (fields(user_id=5), "invalid-field"),
    "empty user": (fields(user_id=""), "invalid-field"),
    "empty item": (fields(item_id=""), "invalid-field"),
    "null item": (fields(item_id=None), "invalid-field"),
    "long id": (fields(item_id="x" * 129), "invalid-field"),
    "negative price": (fields(price=-0.01), "invalid-field"),
    "huge price": (fields(price=1e13), "invalid-field"),
    "price beyond float": (
        json.dumps(GOOD).encode()[:-1] + b',"price":1' + b"0" * 400 + b"}",
        "invalid-field",
    ),
    "quantity 0": (fields(quantity=0), "invalid-field"),
    "quantity beyond int64": (fields(quantity=2**70), "invalid-field"),
    "time beyond int64": (fields(ts=2**70), "invalid-field"),
    "time that is none": (fields(ts="yesterday"), "invalid-field"),
    "1970": (fields(ts=0), "too-old"),
    "1970 in words": (fields(ts="1970-01-01T00:00:00Z"), "too-old"),
    "2100": (fields(ts="2100-01-01T00:00:00Z"), "from-the-future"),
    "six minutes ahead": (fields(ts=T0 + 360_000), "from-the-future"),
    "10 MB": (fields(context={"a": "x" * 10_000_000}), "too-large"),
    "NUL in an item": (fields(item_id="a\0b"), "invalid-field"),
    "newline in a session": (fields(session_id="a\nb"), "invalid-field"),
    "tab in an order": (fields(order_id="a\tb"), "invalid-field"),
    "escape in an event id": (fields(event_id="\x1b[31m"), "invalid-field"),
    "search without query": (fields(type="search"), "missing-field"),
    "impression of nothing": (fields(type="impression", items=[]), "invalid-field"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_its_reason_and_the_rest_goes_on(name):
    value, reason = BAD[name]
    bad = record(value)
    good = log([event("view", "u", "i"), event("view", "v", "j")])
    decoded = decode([good[0], bad, good[1]], Bounds())
    assert [(refused.record, refused.reason) for refused in decoded.refused] == [(bad, reason)]
    assert decoded.refused[0].message
    assert len(decoded.refused[0].message) < 500
    assert decoded.batch.users == b"u\0v"
    assert decoded.batch.items == b"i\0j"


def test_control_characters_in_a_user_are_refused():
    decoded = decode([record(fields(user_id="a\x01b"), b"a\x01b")], Bounds())
    assert [refused.reason for refused in decoded.refused] == ["invalid-field"]


def test_everything_bad_at_once_leaves_nothing_out():
    records = [record(value, offset=k) for k, (value, _) in enumerate(BAD.values())]
    decoded = decode(records, Bounds())
    assert sorted(refused.record.offset for refused in decoded.refused) == list(range(len(BAD)))
    assert len(decoded.batch.offset) == 0


def test_an_empty_batch_is_a_batch():
    assert len(decode([], Bounds()).batch.offset) == 0


def test_columns_hold_what_the_events_say():
    events = [
        event("purchase", "u", "ä", T0, price=19.99, quantity=3, order_id="o", session_id="s"),
        event("search", "v", None, T0 + 1, query="x"),
        event("view", "u", "b", T0 + 2, price=0.29),
    ]
    batch = decode(log(events, 7), Bounds()).batch
    assert batch.offset.tolist() == [7, 8, 9]
    assert batch.ts_ms.tolist() == [T0, T0 + 1, T0 + 2]
    assert batch.code.tolist()[::2] == [PURCHASE, VIEW]
    assert batch.price_minor.tolist() == [1999, NO_PRICE, 29]
    assert batch.quantity.tolist() == [3, 1, 1]
    assert batch.users == b"u\0v\0u"
    assert batch.items == "ä\0\0b".encode()
    assert (batch.session != 0).tolist() == [True, False, False]
    assert (batch.order != 0).tolist() == [True, False, False]
    assert len(set(batch.event.tolist())) == 3


@pytest.mark.parametrize(
    ("ts", "ms"),
    [
        ("2023-11-14T22:13:20Z", T0), ("2023-11-14T22:13:20", T0), ("2023-11-14T23:13:20+01:00", T0),
        ("2023-11-14T22:13:20.123Z", T0 + 123), (T0, T0), (T0 + 0.7, T0), ("2023-11-14 22:13:20Z", T0),
    ],
)  # fmt: skip
def test_times_are_utc_milliseconds(ts, ms):
    assert decode([record(fields(ts=ts))], Bounds()).batch.ts_ms.tolist() == [ms]


def test_bounds_are_those_of_the_record_not_of_a_clock():
    old = fields(ts=T0 - 10_000)
    tight = Bounds(max_age_ms=9_999, max_ahead_ms=0)
    assert decode([record(old)], tight).refused[0].reason == "too-old"
    assert not decode([record(old)], Bounds(10_000, 0)).refused
    year_2000 = LogRecord(0, 946_684_800_000, b"u", json.dumps(fields(ts=946_684_800_000)).encode())
    assert not decode([year_2000], Bounds()).refused


def test_unknown_fields_are_ignored():
    assert not decode([record(fields(color="red", nested={"a": [1, 2]}))], Bounds()).refused


def test_the_largest_event_that_is_read():
    room = EVENT_MAX_BYTES - len(json.dumps(fields(context={"a": ""})))
    assert not decode([record(fields(context={"a": "x" * room}))], Bounds()).refused
    assert (
        decode([record(fields(context={"a": "x" * (room + 1)}))], Bounds()).refused[0].reason == "too-large"
    )


@pytest.mark.parametrize("key", [None, b"", b"someone else", b"\xff"])
def test_a_wrong_key_is_written_again_once_and_then_refused(key):
    first = record(GOOD, key)
    decoded = decode([first, record(GOOD)], Bounds())
    assert decoded.rekeyed == [(b"u", first)]
    assert len(decoded.batch.offset) == 1
    again = record(GOOD, key, headers=[(REKEYED_HEADER, b"0:5")])
    assert [refused.reason for refused in decode([again], Bounds()).refused] == ["wrong-key"]
    right = record(GOOD, b"u", headers=[(REKEYED_HEADER, b"0:5")])
    assert len(decode([right], Bounds()).batch.offset) == 1


CE = [("ce_specversion", b"1.0"), ("ce_id", b"evt"), ("ce_type", b"com.shop.view"), ("ce_source", b"/web")]


def test_cloudevents_headers_fill_in_what_the_body_lacks():
    headers = [*CE, ("ce_time", b"2023-11-14T22:13:20Z"), ("ce_subject", b"u")]
    decoded = decode([record({"item_id": "i"}, headers=headers)], Bounds())
    assert not decoded.refused
    plain = decode([record(fields(event_id="evt"))], Bounds())
    for mine, expected in zip(decoded.batch[:-1], plain.batch[:-1], strict=True):
        assert np.array_equal(np.asarray(mine), np.asarray(expected))


def test_the_body_wins_over_cloudevents_headers():
    decoded = decode([record(fields(type="cart"), headers=[*CE, ("ce_subject", b"x")])], Bounds())
    assert decoded.batch.users == b"u"
    assert decoded.batch.code.tolist() == [1]


def test_headers_without_a_specversion_are_not_cloudevents():
    assert decode([record({"item_id": "i"}, headers=CE[1:])], Bounds()).refused[0].reason == "missing-field"


@pytest.mark.parametrize(
    ("value", "header", "reason"),
    [
        (b"[]", ("ce_subject", b"u"), "not-an-object"),
        (b"nonsense", ("ce_subject", b"u"), "malformed-json"),
        (b'{"item_id":"i"}', ("ce_time", b"\xff"), "malformed-json"),
        (b'{"item_id":"i"}', ("ce_time", None), "missing-field"),
        (b'{"item_id":"i","ts":1' + b"0" * 30 + b"}", ("ce_subject", b"u"), "invalid-field"),
        (
            b'{"item_id":"i","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            ("ce_subject", b"u"),
            "malformed-json",
        ),
    ],
)
def test_bad_cloudevents_are_refused(value, header, reason):
    decoded = decode([record(value, headers=[*CE, header])], Bounds())
    assert [refused.reason for refused in decoded.refused] == [reason]
