"""Lists as JSON: what the kernel writes is what a JSON encoder would write."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.recommend.encode import Writer, new_lists
from stream.state.interner import Interner, joined

REASONS = ("viewed", "bought", "trending")
IDS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=128)
ENTRY = st.tuples(IDS, st.floats(0, 9.75, width=32), st.integers(0, 2))


@given(
    st.lists(st.lists(ENTRY, max_size=5), min_size=1, max_size=4),
    st.integers(0, 10**15),
    st.integers(0, 2**45),
)
def test_lists_are_json_with_a_version_of_fixed_width(content, offset, now_ms):
    interner = Interner(64)
    lists = new_lists(len(content), 5)
    for n, entries in enumerate(content):
        lists.size[n] = len(entries)
        for k, (name, score, reason) in enumerate(entries):
            lists.item[n, k] = interner.intern_one(name.encode())
            lists.score[n, k], lists.reason[n, k] = score, reason
    offsets = np.arange(len(content)) + offset
    values = Writer(1, 5, REASONS).write(lists, len(content), interner.names, 17, offsets, now_ms, "share")
    assert len(values) == len(content)
    for n, (value, entries) in enumerate(zip(values, content, strict=True)):
        assert value.startswith(b'{"version":"%013d-%016d"' % (17, offset + n))
        told = json.loads(value)
        assert list(told) == ["version", "generated_at", "model", "items", "scores", "reasons"]
        assert told["generated_at"] == now_ms
        assert told["model"] == "share"
        assert told["items"] == [name for name, _, _ in entries]
        assert told["reasons"] == [REASONS[reason] for _, _, reason in entries]
        assert np.allclose(told["scores"], [score for _, score, _ in entries], atol=0.51e-5)
        assert all(len(json.dumps(score)) <= 7 for score in told["scores"])


@given(
    st.lists(st.tuples(IDS, st.integers(-1, 2), st.integers(0, 99)), max_size=5),
    st.lists(IDS, min_size=4, max_size=4),
)
def test_what_stands_behind_places_is_told_unless_it_is_nothing(entries, last):
    interner = Interner(64)
    lists = new_lists(1, 5)
    lists.size[0] = len(entries)
    lists.anchor[0] = [interner.intern_one(name.encode()) + 1 for name in last]
    for k, (name, because, shoppers) in enumerate(entries):
        lists.item[0, k] = interner.intern_one(name.encode())
        lists.because[0, k], lists.shoppers[0, k] = because, shoppers
    value = Writer(1, 5, REASONS).write(lists, 1, interner.names, 1, np.zeros(1, np.int64), 1, "m")[0]
    told = json.loads(value)
    because, shoppers = [entry[1] for entry in entries], [entry[2] for entry in entries]
    used = max(because, default=-1) + 1
    assert told.get("anchors") == (last[:used] or None)
    assert told.get("because") == (because if used else None)
    assert told.get("shoppers") == (shoppers if any(shoppers) else None)


def test_more_lists_than_the_buffer_holds_all_come_out():
    interner = Interner(4_000)
    names = ["ü" * 100 + f'"{k}\\' for k in range(4_000)]
    lists = new_lists(3_000, 20)
    lists.item[:] = interner.intern(joined(names), 4_000)[np.arange(60_000).reshape(3_000, 20) % 4_000]
    lists.size[:] = 20
    values = Writer(10, 20, REASONS).write(lists, 3_000, interner.names, 1, np.arange(3_000), 5, "share")
    assert [json.loads(v)["items"] for v in values] == [
        [names[k % 4_000] for k in range(n * 20, n * 20 + 20)] for n in range(3_000)
    ]


def test_scores_beyond_the_range_are_cut_to_it():
    interner = Interner(1)
    interner.intern_one(b"a")
    for score, told in (
        (-1.0, 0),
        (0.0, 0),
        (123.0, 9.99999),
        (1.0, 1),
        (0.1, 0.1),
        (9.999999, 9.99999),
        (1e-7, 0),
    ):
        lists = new_lists(1, 1)
        lists.size[0], lists.score[0, 0] = 1, score
        value = Writer(1, 1, REASONS).write(lists, 1, interner.names, 1, np.zeros(1, np.int64), 1, "m")[0]
        assert json.loads(value)["scores"] == [told]
