from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.redis_cluster import key_slot
from stream.runtime.redis_connection import Address
from stream.runtime.resp import Parser, ReplyError, pack

scalars = st.one_of(st.integers(-(2**40), 2**40), st.none(), st.binary(max_size=40))
replies = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


def encode(reply: object) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%s\r\n" % (len(reply), reply)
    assert isinstance(reply, list)
    return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))


@given(st.lists(replies, max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_replies_are_found_however_the_bytes_arrive(many, cuts):
    data, parser, found, at, turn = b"".join(map(encode, many)), Parser(), [], 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        found += parser.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert found == many


def test_commands_are_packed_as_the_protocol_says():
    assert pack("SET", "k", b"v\r\n", 12) == b"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv\r\n\r\n$2\r\n12\r\n"


def test_errors_are_values_with_a_code():
    status, error = Parser().feed(b"+OK\r\n-NOSCRIPT No matching script.\r\n")
    assert status == "OK"
    assert isinstance(error, ReplyError)
    assert error.code == "NOSCRIPT"


def test_addresses():
    assert Address.parse("redis://cache") == Address("cache", 6379, None, None, 0, False)
    assert Address.parse("rediss://me:p%40ss@cache:7000/3") == Address("cache", 7000, "me", "p@ss", 3, True)


def test_slots_are_those_of_the_cluster_specification():
    assert key_slot(b"123456789") == 0x31C3
    assert key_slot(b"stream:v1:recs:{42}") == key_slot(b"stream:v1:price:{42}") == key_slot(b"42")
    assert key_slot(b"foo{}{bar}") == 8363
    assert key_slot(b"{}x") != key_slot(b"")
