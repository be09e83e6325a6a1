"""What the kernel reads of an event is what Python reads, and what it does not read it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import decode as decoding
from stream.events.block import Block, since
from stream.events.decode import EVENT_MAX_BYTES, Bounds, Decoded, decode
from stream.events.records import LogRecord
from stream.events.scan import new_columns, scan
from tests.unit.core_helpers import T0

TYPES = [
    "view",
    "cart",
    "remove_from_cart",
    "purchase",
    "return",
    "like",
    "hide",
    "search",
    "rating",
    "views",
]
ID = st.one_of(
    st.text("abc-_19", max_size=5), st.text(max_size=3), st.sampled_from(["x" * 128, "x" * 129, None, 7])
)
FIELDS: dict[str, Any] = {
    "event_id": ID,
    "type": st.sampled_from(TYPES),
    "ts": st.sampled_from([T0, T0 + 1, -1, 0, 1.5, float(T0), "2023-11-14T22:13:20Z", 253402300800000, True]),
    "user_id": st.sampled_from(["u", "u", "u", "ü", "", "v"]),
    "item_id": ID,
    "session_id": ID,
    "order_id": ID,
    "request_id": st.one_of(ID, st.sampled_from(["1-2", "0000000000001-0000000000000004", "1-²", "-1"])),
    "price": st.one_of(
        st.floats(0, 1e12),
        st.decimals(0, 10**9, places=2).map(float),
        st.sampled_from([0, 1, 19.99, 5.5, 1e9, 999999999.99, -1, 1.005, None]),
    ),
    "currency": st.sampled_from(["EUR", "EURO", "", None]),
    "quantity": st.sampled_from([1, 2, 1_000_000, 1_000_001, 0, -1, 1.0, 2.5, None]),
    "query": st.just("q"),
    "rating": st.just(3),
    "extra": st.sampled_from([1, "a", {"b": [1]}]),
}  # fmt: skip
GOOD = {"event_id": "e1", "type": "view", "ts": T0, "user_id": "u", "item_id": "i"}
WRITTEN = [
    b' {"event_id" : "e","type":"view",\n\t"ts":%d,"user_id":"u","item_id":"i"}\r\n' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i","item_id":"j"}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i"}{}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i",}' % T0,
    b'{"event_id":"e","type":"view","ts":%d.0,"user_id":"u","item_id":"i"}' % T0,
    b'{"event_id":"e","type":"view","ts":0%d,"user_id":"u","item_id":"i"}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i","price":1.}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i","price":01.5}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i","price":1.50}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i","price":1e2}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"\\u0069"}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"a\x7fb"}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i","a":1}' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i"' % T0,
    b'{"event_id":"e","type":"view","ts":%d,"user_id":"u","item_id":"i' % T0,
    b'{"event_id":"e","type":"view","ts":',
    b'{"event_id"',
    b"{}",
    b"{",
    b"",
]
PLAIN = [
    GOOD,
    GOOD | {"price": 19.99, "currency": "EUR", "quantity": 3, "session_id": "s", "order_id": "o"},
    GOOD | {"price": 5, "request_id": "r"},
    *[GOOD | {"type": kind} for kind in TYPES[:7]],
]  # fmt: skip

texts = st.one_of(
    st.fixed_dictionaries({}, optional=FIELDS).map(lambda fields: GOOD | fields),
    st.fixed_dictionaries({}, optional=FIELDS),
).map(lambda fields: json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass"))
values = st.one_of(texts, texts, st.sampled_from(WRITTEN), st.none(), st.binary(max_size=9))
keys = st.sampled_from([b"u", b"u", b"u", b"v", "ü".encode(), None])


def without_scan(records: list[LogRecord]) -> Decoded:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(decoding, "scan", lambda *_: None)
        return decode(records, Bounds())


def scanned(records: list[LogRecord]) -> list[bool]:
    block = Block.of(records)
    read = np.zeros(len(block), np.bool_)
    scan(
        np.frombuffer(block.data, np.uint8),
        block.key,
        block.value,
        EVENT_MAX_BYTES,
        new_columns(len(read)),
        read,
    )
    return [bool(each) for each in read]


def assert_same(mine: Decoded, theirs: Decoded) -> None:
    for one, other in zip(mine.batch, theirs.batch, strict=True):
        if isinstance(one, np.ndarray):
            assert one.dtype == np.asarray(other).dtype
            assert one.tolist() == np.asarray(other).tolist()
        else:
            assert one == other
    assert mine.refused == theirs.refused
    assert mine.rekeyed == theirs.rekeyed


@given(st.lists(st.tuples(keys, values), max_size=8))
def test_a_scanned_batch_is_the_batch_that_python_reads(pairs):
    records = [LogRecord(3 * k, T0, key, value) for k, (key, value) in enumerate(pairs)]
    assert_same(decode(records, Bounds()), without_scan(records))


@pytest.mark.parametrize("value", WRITTEN)
def test_however_it_is_written(value):
    records = [LogRecord(0, T0, b"u", value)]
    assert_same(decode(records, Bounds()), without_scan(records))


def test_what_shops_mostly_send_is_scanned():
    records = [LogRecord(k, T0, b"u", json.dumps(event).encode()) for k, event in enumerate(PLAIN)]
    assert scanned(records) == [True] * len(PLAIN)
    compact = [
        LogRecord(k, T0, b"u", json.dumps(e, separators=(",", ":")).encode()) for k, e in enumerate(PLAIN)
    ]
    assert scanned(compact) == [True] * len(PLAIN)
    assert not any(scanned([LogRecord(0, T0, b"v", json.dumps(GOOD).encode())]))


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.binary(max_size=5)), st.one_of(st.none(), st.binary(max_size=9))),
        min_size=1,
        max_size=9,
    ),
    st.data(),
)
def test_a_block_is_a_sequence_of_its_records(pairs, data):
    headers = data.draw(
        st.lists(st.sampled_from([(), [("h", b"1")]]), min_size=len(pairs), max_size=len(pairs))
    )
    records = [
        LogRecord(10 + 2 * k, 5 + k, pair[0], pair[1], h)
        for k, (pair, h) in enumerate(zip(pairs, headers, strict=True))
    ]
    block = Block.of(records)
    assert list(block) == records == [block[k] for k in range(len(block))]
    assert block[-1] == records[-1]
    assert Block.of(block) is block
    at = data.draw(st.integers(0, len(records)))
    assert list(block[at:]) == records[at:]
    assert list(block[::2]) == records[::2]
    assert list(Block.chained([block[:at], Block.of(records[at:])])) == records
    offset = data.draw(st.integers(8, 30))
    assert list(block.until(offset)) == [record for record in records if record.offset < offset]
    for some in (block, records):
        assert list(since(some, offset)) == [record for record in records if record.offset >= offset]
