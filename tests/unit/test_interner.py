"""Ids to numbers and back, also when numbers are given out again; and the hashes behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import StreamError
from stream.items.table import ItemTable
from stream.state.arena import reserve
from stream.state.hashing import hash_ids, murmur2
from stream.state.interner import Interner, joined

IDS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=128)


@given(st.lists(IDS, min_size=1, max_size=30))
def test_every_id_comes_back(ids):
    interner = Interner(64)
    numbers = interner.intern(joined(ids), len(ids))
    assert [interner.name(n).decode() for n in numbers.tolist()] == ids
    assert interner.blob(numbers) == joined(ids)
    assert len(interner) == len(set(ids)) == len(set(numbers.tolist()))
    assert [interner.find(name.encode()) for name in ids] == numbers.tolist()
    assert interner.intern(joined(ids), len(ids)).tolist() == numbers.tolist()


def test_an_empty_id_has_no_number():
    interner = Interner(8)
    assert interner.intern(b"\0a\0\0b\0", 5).tolist() == [-1, 0, -1, 1, -1]
    assert interner.find(b"") == -1
    assert interner.intern(b"", 1).tolist() == [-1]
    assert len(interner) == 2


def test_finding_adds_nothing():
    interner = Interner(8)
    assert interner.find(b"a") == -1
    assert len(interner) == 0


def test_at_the_cap_there_is_no_number_until_one_is_given_back():
    interner = Interner(2)
    assert interner.intern(b"a\0b\0c", 3).tolist() == [0, 1, -1]
    interner.release(np.array([0], np.int32))
    assert interner.intern(b"c\0a", 2).tolist() == [0, -1]
    assert interner.name(0) == b"c"


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=400))
def test_taking_and_giving_back_is_a_dictionary(steps):
    interner = Interner(300)
    names: dict[str, int] = {}
    for take, k in steps:
        name = f"{k}" * (1 + k % 30)
        if take:
            number = interner.intern_one(name.encode())
            assert names.setdefault(name, number) == number
        elif name in names:
            interner.release(np.array([names.pop(name)], np.int32))
    assert len(interner) == len(names)
    assert {name: interner.find(name.encode()) for name in names} == names
    assert interner.used <= 201


def test_it_grows_without_changing_a_number():
    interner = Interner(5_000)
    ids = [f"item-{k}" for k in range(5_000)]
    for start in range(0, 5_000, 700):
        part = ids[start : start + 700]
        assert interner.intern(joined(part), len(part)).tolist() == list(range(start, start + len(part)))
    assert [interner.find(name.encode()) for name in ids] == list(range(5_000))


def test_reuse_with_ever_longer_ids_stays_within_the_arena():
    interner = Interner(4)
    longest = "€" * 170 + "xx"
    assert len(longest.encode()) == 512
    for length in range(1, 512):
        names = [f"{k}{'x' * length}"[:length] if length > 1 else str(k) for k in range(4)]
        numbers = np.unique(interner.intern(joined(names), 4))
        interner.release(numbers[numbers >= 0])
    assert int(interner._counts[1]) <= len(interner.names.arena)
    assert interner.name(interner.intern_one(longest.encode())).decode() == longest


def test_an_id_longer_than_any_event_may_hold_gets_no_number():
    assert Interner(4).intern_one(b"x" * 513) == -1


def test_a_full_table_of_items_says_which_setting_to_raise():
    table = ItemTable(1, 1)
    room = table.interner.capacity
    ids = [f"i{k}" for k in range(room)]
    assert (table.numbers(joined(ids), room) >= 0).all()
    assert table.numbers(joined([ids[0], "", ids[1]]), 3).tolist() == [0, -1, 1]
    for _ in range(2):
        with pytest.raises(StreamError, match="max_items"):
            table.numbers(b"one-more", 1)


@pytest.mark.parametrize(
    ("key", "expected"),
    # Values of Kafka's own Utils.murmur2, sign bit taken off.
    [
        (b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829), (b"abc", 479470107),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)  # fmt: skip
def test_murmur2_is_kafkas(key, expected):
    assert murmur2(np.frombuffer(key, np.uint8), 0, len(key)) == expected & 0x7FFFFFFF


def test_hashes_are_those_of_the_ids_alone():
    one, other = np.zeros(3, np.uint64), np.zeros(2, np.uint64)
    hash_ids(np.frombuffer(b"a\0\0bc", np.uint8), one)
    hash_ids(np.frombuffer(b"bc\0a", np.uint8), other)
    assert one.tolist() == [int(other[1]), 0, int(other[0])]
    # Pinned: states and partitions of other workers rely on it.
    assert int(other[1]) == fnv1a_mixed(b"a")


def fnv1a_mixed(data: bytes) -> int:
    mask, h = (1 << 64) - 1, 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & mask
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & mask
    h = (h ^ h >> 27) * 0x94D049BB133111EB & mask
    return h ^ h >> 31


def test_a_reserved_array_is_zero_and_takes_memory_only_where_it_is_used():
    rows = reserve(1 << 32, np.int64)
    assert rows[0] == rows[-1] == 0
    rows[1 << 31] = 7
    assert rows[1 << 31] == 7
