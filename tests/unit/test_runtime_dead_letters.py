from __future__ import annotations

from stream.events.records import LogRecord, Refused
from stream.runtime.dead_letters import dead_letters, rekeyed


def test_key_and_bytes_are_untouched_and_headers_tell_the_rest():
    record = LogRecord(17, 1_700_000_000_000, b"k\xff", b"\x00not json", [("trace", b"1")])
    (letter,) = dead_letters([Refused(record, "malformed", "Not JSON: byte 0.")], "shop.events", 3)
    assert (letter.topic, letter.key, letter.value, letter.partition) == (
        "dead-letters",
        b"k\xff",
        b"\x00not json",
        None,
    )
    assert dict(letter.headers) == {
        "trace": b"1",
        "stream-topic": b"shop.events",
        "stream-partition": b"3",
        "stream-offset": b"17",
        "stream-timestamp": b"1700000000000",
        "stream-error": b"malformed",
        "stream-message": b"Not JSON: byte 0.",
        "stream-attempt": b"1",
    }


def test_a_null_value_stays_null():
    (letter,) = dead_letters([Refused(LogRecord(0, 0, None, None), "null-value", "No value.")], "events", 0)
    assert (letter.key, letter.value) == (None, None)


def test_a_rekeyed_record_tells_where_it_came_from():
    record = LogRecord(5, 0, None, b"{}", [("trace", b"1")])
    (again,) = rekeyed([(b"shopper", record)], 2)
    assert (again.topic, again.key, again.value) == ("events", b"shopper", b"{}")
    assert list(again.headers) == [("trace", b"1"), ("stream-rekeyed-from", b"2:5")]
