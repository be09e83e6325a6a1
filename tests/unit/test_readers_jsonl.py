"""`jsonl`: what was written is what is read."""

from __future__ import annotations

import gzip
import string
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import types
from stream.events.readers import Bad, read

IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128)
PRICES = st.floats(0, 1e12)
TIMES = (
    st.integers(-62_135_596_800_000, 253_402_300_799_999)
    | st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
    | st.datetimes(timezones=st.none())
)
CONTEXT = st.dictionaries(
    st.text(string.ascii_letters, max_size=5), st.integers(-9, 9) | st.text(max_size=5), max_size=3
)
SHARED = {
    "event_id": IDS,
    "ts": TIMES,
    "user_id": IDS,
    "session_id": IDS,
    "item_id": IDS,
    "price": PRICES,
    "currency": st.text(string.ascii_uppercase, min_size=3, max_size=3),
    "quantity": st.integers(1, 1_000_000),
    "order_id": IDS,
    "rating": st.floats(0, 100),
    "query": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50),
    "items": st.lists(
        st.builds(types.Shown, item_id=IDS, position=st.integers(0, 10_000)), min_size=1, max_size=4
    ),
    "request_id": IDS,
    "context": CONTEXT,
}
EVENTS = st.one_of(
    [st.builds(kind, **SHARED) for kind in types.ShopEvent.__args__]
    + [st.builds(types.View, event_id=IDS, ts=TIMES, user_id=IDS, item_id=IDS)]
)


@given(st.lists(EVENTS, max_size=5), st.booleans())
def test_round_trip(tmp_path_factory, events, packed):
    text = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
    path = tmp_path_factory.getbasetemp() / "round-trip.jsonl"
    path.write_bytes(gzip.compress(text, 1) if packed else text)
    assert list(read(path, "jsonl")) == events


def test_item_facts_between_events(tmp_path):
    path = tmp_path / "shop.jsonl"
    path.write_text('{"type": "item", "item_id": "a", "list_price": 19.99, "title": "Lamp", "unknown": 1}\n')
    assert list(read(path, "jsonl")) == [types.Item(item_id="a", title="Lamp", list_price=19.99)]


GOOD = '"event_id":"1","ts":1,"user_id":"u","item_id":"i"'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "malformed-json"),
        ('{"type":"view"', "malformed-json"),
        (f'{{"type":"view",{GOOD},"context":{{"a":' + "[" * 100_000, "malformed-json"),
        (f'{{"type":"buy",{GOOD}}}', "unknown-type"),
        (f"{{{GOOD}}}", "missing-field"),
        ('{"type":"view","event_id":"1","ts":1,"user_id":"u"}', "missing-field"),
        (f'{{"type":"view",{GOOD},"price":-1}}', "invalid-field"),
        (f'{{"type":"view",{GOOD},"price":NaN}}', "malformed-json"),
        (f'{{"type":"view",{GOOD},"order_id":""}}', "invalid-field"),
        (f'{{"type":"view",{GOOD},"order_id":"a\\u0000b"}}', "invalid-field"),
        (f'{{"type":"impression",{GOOD},"items":[{{"item_id":"a\\tb","position":0}}]}}', "invalid-field"),
        (f'{{"type":"item",{GOOD},"list_price":"cheap"}}', "invalid-field"),
        ("3", "invalid-field"),
    ],
)
def test_bad_lines(tmp_path, line, reason):
    path = tmp_path / "bad.jsonl"
    path.write_text(f'{{"type":"view",{GOOD}}}\n\n{line}\n{{"type":"like",{GOOD}}}\n')
    first, bad, last = read(path, "jsonl")
    assert isinstance(bad, Bad)
    assert (bad.raw, bad.reason, bad.line) == (line.encode(), reason, 3)
    assert (type(first), type(last)) == (types.View, types.Like)


def test_order_of_the_file_is_kept(tmp_path):
    offset = timezone(timedelta(hours=2))
    events = [
        types.Search(event_id="1", ts=datetime(2020, 1, 1, tzinfo=offset), user_id="u", query="lamp"),
        types.Like(event_id="2", ts=5, user_id="u", item_id="x"),
    ]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(event) for event in events))
    assert list(read(path, "jsonl")) == events
