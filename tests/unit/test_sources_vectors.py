from __future__ import annotations

import numpy as np

from stream.sources import vectors
from stream.sources.source import Room, proposals
from stream.sources.vectors import DIM, SCANNED, leave, nearest, new_index, new_planes, settle

ITEMS = 8_000


def indexed(items: int) -> tuple[vectors.Index, np.ndarray, Room]:
    rng = np.random.default_rng(1)
    room = Room(ITEMS, 1, rng.integers(0, 1 << 63, ITEMS).astype(np.uint64))
    # Like what is learned: clusters, not noise.
    centres = rng.normal(0, 1, (60, DIM))
    rows = (centres[rng.integers(0, 60, ITEMS)] + rng.normal(0, 0.4, (ITEMS, DIM))).astype(np.float32)
    index, planes = new_index(room), new_planes()
    for item in range(items):
        settle(index, planes, rows, item)
    return index, rows, room


def found(index: vectors.Index, rows: np.ndarray, room: Room, item: int, length: int = 20) -> list[int]:
    out = proposals(length)
    zeros = np.zeros(ITEMS, np.float32)
    n = nearest(index, new_planes(), rows, zeros, rows[item].copy(), room.ties, item, length, out)
    return [int(each) for each in out.item[:n]]


def truth(rows: np.ndarray, item: int, items: int) -> list[int]:
    order = np.argsort(-(rows[:items] @ rows[item]), kind="stable")
    return [int(each) for each in order if each != item][:20]


def test_of_a_small_catalogue_the_nearest_are_found_exactly():
    index, rows, room = indexed(SCANNED)
    for item in range(0, SCANNED, 97):
        assert set(found(index, rows, room, item)) == set(truth(rows, item, SCANNED))


def test_of_a_large_one_most_are_found_though_a_quarter_is_looked_at():
    index, rows, room = indexed(ITEMS)
    shares = [
        len(set(found(index, rows, room, item)) & set(truth(rows, item, ITEMS))) / 20
        for item in range(0, ITEMS, 97)
    ]
    assert np.mean(shares) > 0.8


def test_a_vector_that_moves_is_found_where_it_is_and_one_that_left_nowhere():
    index, rows, room = indexed(ITEMS)
    planes = new_planes()
    rows[5] = rows[4000] * 1.5
    settle(index, planes, rows, 5)
    assert found(index, rows, room, 4000)[0] == 5
    leave(index, np.array([5], np.int32))
    assert 5 not in found(index, rows, room, 4000)
    # Every chain holds each item that is left once.
    chained = []
    for at in index.head:
        while at:
            chained.append(int(at) - 1)
            at = index.after[at - 1]
    assert sorted(chained) == [item for item in range(ITEMS) if item != 5]
    assert sorted(index.member[: index.counts[0]].tolist()) == sorted(chained)
