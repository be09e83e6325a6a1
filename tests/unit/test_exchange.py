"""The exchange message: columns and ids that come back as they were, in messages of bounded size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import LayoutError
from stream.exchange import (
    BACKWARD,
    BACKWARD_SHARE,
    FORWARD,
    PAIR_WEIGHT,
    Exchange,
    Pairs,
    Touches,
    decode,
    pair_code,
    pair_kind,
)
from stream.runtime.topics import ITEM_UPDATES, TOPICS
from tests.exchange_writer import encode
from tests.unit.core_helpers import T0, Worker, event, log

INT64 = st.integers(-(2**63), 2**63 - 1)

KAFKAS_LIMIT = 1_048_588
"""`max.message.bytes` of a topic that says nothing."""


def column(draw: st.DrawFn, values: st.SearchStrategy[int], dtype: type, size: int) -> np.ndarray:
    return np.array(draw(st.lists(values, min_size=size, max_size=size)), dtype)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    n, names = draw(st.integers(0, 5)), draw(st.lists(st.binary(max_size=9), max_size=5))
    names = [name.replace(b"\0", b"") for name in names]
    t, p = (draw(st.integers(0, 5 if n and len(b"\0".join(names)) else 0)) for _ in range(2))
    e, index, byte = (st.integers(0, most) for most in (max(n - 1, 0), max(len(names) - 1, 0), 255))
    return Exchange(
        draw(st.integers(0, 65_535)), draw(INT64), draw(INT64),
        column(draw, INT64, np.int64, n), column(draw, INT64, np.int64, n),
        Touches(
            column(draw, e, np.uint32, t), column(draw, index, np.uint32, t),
            column(draw, byte, np.uint8, t), column(draw, st.integers(-(2**31), 2**31 - 1), np.int32, t),
            column(draw, INT64, np.int64, t),
        ),
        Pairs(
            column(draw, e, np.uint32, p), column(draw, index, np.uint32, p),
            column(draw, index, np.uint32, p), column(draw, byte, np.uint8, p),
        ),
        b"\0".join(names), len(names) if b"\0".join(names) else 0,
        column(draw, byte, np.uint8, draw(st.sampled_from([0, n]))),
    )  # fmt: skip


@given(exchanges())
def test_a_message_comes_back_whole(message):
    back = decode(encode(message))
    mine: Any
    theirs: Any
    for mine, theirs in zip(message, back, strict=True):
        if isinstance(mine, tuple):
            assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
        else:
            assert np.array_equal(mine, theirs)


@given(exchanges(), st.data())
def test_a_message_that_was_cut_is_no_message(message, data):
    value = encode(message)
    with pytest.raises(ValueError, match=r".+"):
        decode(value[: data.draw(st.integers(0, len(value) - 1))])


def test_a_newer_layout_says_what_to_do():
    value = bytearray(encode(decode(Worker().run(log([event("view", "u", "a")])).sent[0][0].value or b"")))
    value[4] += 1
    with pytest.raises(LayoutError, match="upgrade"):
        decode(bytes(value))


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("distance", [1, 10, 31])
def test_codes_hold_kind_direction_and_distance(kind, distance):
    forward, backward = pair_code(kind, FORWARD, distance), pair_code(kind, BACKWARD, distance)
    assert pair_kind(forward) == pair_kind(backward) == kind
    assert PAIR_WEIGHT[forward] == 1 / distance
    assert PAIR_WEIGHT[backward] == pytest.approx(BACKWARD_SHARE / distance)


def test_every_partition_hears_of_its_own_items_only_and_ranges_join_up():
    worker = Worker(item_partitions=4)
    worker.run(
        log([event("view", f"u{k % 9}", f"i{k % 37}", T0 + k) for k in range(400)]), [1, 2, 50, 51, 300]
    )
    homes: list[set[bytes]] = [set(), set(), set(), set()]
    for partition, records in enumerate(worker.sent):
        upto = -1
        for record in records:
            message = decode(record.value or b"")
            names = message.names.split(b"\0")
            assert message.n_names == len(names) == len(set(names))
            assert message.since == upto
            upto = message.upto
            homes[partition] |= {names[k] for k in (*message.touches.item, *message.pairs.item)}
            assert (np.diff(message.offset) > 0).all()
    assert sum(map(len, homes)) == len(set().union(*homes)) == 37


def test_no_message_is_larger_than_its_topic_takes():
    """Ids of 128 four-byte characters, windows full of different items, baskets of ten."""
    topic = next(topic for topic in TOPICS if topic.name == ITEM_UPDATES)
    limit = int(topic.config.get("max.message.bytes", KAFKAS_LIMIT))

    def name(k: int) -> str:
        return "\U0001f45f" * 118 + f"{k:010}"

    worker = Worker(max_items=1 << 15)
    for turn in range(21):
        events = [
            event("purchase", f"u{k}", name(k * 21 + turn), T0 + turn, order_id="o") for k in range(1_024)
        ]
        worker.feed(log(events, turn * 1_024))
    assert max(len(record.value or b"") for record in worker.sent[0]) < limit
