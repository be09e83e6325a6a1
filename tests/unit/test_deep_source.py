from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.errors import LayoutError
from stream.events.codes import VIEW
from stream.sources.deep import Deep
from stream.sources.deep_model import BLOCK, model_of
from stream.sources.source import Room, Visit, proposals
from stream.state.hashing import hash64
from tests.unit.deep_kit import arrays, names
from tests.unit.source_kit import ITEMS, SHOPPERS, Did, columns, items_of, room, visit


def seen(source: Deep, items: list[int]) -> Deep:
    source.learn(columns([Did(0, item, VIEW) for item in items]))
    return source


def test_only_items_that_are_there_are_proposed():
    source = seen(Deep(room(), model_of(arrays(names(ITEMS)))), [0, 1, 2, 5])
    assert items_of(source, visit([0]))[0] == 1
    assert sorted(items_of(source, visit([0]))) == [1, 2, 5]


def test_an_item_that_the_model_does_not_know_says_nothing_and_is_not_proposed():
    source = seen(Deep(room(), model_of(arrays(names(8)))), list(range(12)))
    assert items_of(source, visit([9])) == []
    assert set(items_of(source, visit([9, 0]))) <= set(range(8))
    assert items_of(source, visit([9, 0]))[:2] == [0, 1]


def test_items_from_before_the_session_do_not_count():
    source = seen(Deep(room(), model_of(arrays(names(ITEMS)))), list(range(ITEMS)))
    recent = np.array([0, 20, 21], np.int32)
    assert items_of(source, Visit(0, recent, 1, 20)) == items_of(source, visit([0]))
    assert items_of(source, Visit(0, recent, 3, 20)) != items_of(source, visit([0]))
    # A session that has no item yet goes on from the last one.
    assert items_of(source, Visit(0, recent, 0, 20)) == items_of(source, visit([0]))


def test_a_list_is_the_exact_best_of_more_items_than_a_block():
    count = 2 * BLOCK + 77
    ids = names(count)
    held = arrays(ids, alike=1)
    ties = np.array([hash64(np.frombuffer(i.encode(), np.uint8), 0, len(i)) for i in ids], np.uint64)
    source = seen(Deep(Room(count, SHOPPERS, ties), model_of(held)), list(range(count)))
    unit = held["vectors"] / np.linalg.norm(held["vectors"], axis=1, keepdims=True)
    for item in (0, BLOCK - 1, BLOCK, count - 1):
        order = np.argsort(-(unit @ unit[item]), kind="stable")
        found = items_of(source, visit([item]))
        assert found == [k for k in order.tolist() if k != item][:20]


def test_a_newer_model_takes_over_between_two_lists():
    source = seen(Deep(room(), model_of(arrays(names(ITEMS)))), list(range(ITEMS)))
    assert items_of(source, visit([0]))[0] == 1
    assert items_of(source, visit([2]))[0] == 3
    # Its rows are other items: what was known of them stands.
    source.swap(model_of(arrays([f"item-{k}" for k in range(1, ITEMS)])))
    assert items_of(source, visit([0])) == []
    assert items_of(source, visit([2]))[0] == 1
    source.forget(np.array([1], np.int32), np.zeros(0, np.int32))
    assert 1 not in items_of(source, visit([2]))


def test_what_was_saved_under_one_model_is_loaded_under_another():
    source = seen(Deep(room(), model_of(arrays(names(ITEMS)))), [0, 1, 2, 3])
    other = Deep(room(), model_of(arrays(names(ITEMS)[::-1])))
    other.load(source.save())
    assert sorted(items_of(other, visit([0]))) == [1, 2, 3]
    assert items_of(other, visit([0]))[0] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layout": np.array(99)}, "has layout 99 and this version reads 1"),
        ({"layout": np.array("one")}, "no session model"),
        ({"vectors": np.zeros((8, 4), np.float32)}, "do not fit together"),
        ({"vectors": np.zeros((8, 16), np.float64)}, "no usable array 'vectors'"),
        ({"vectors": np.full((8, 16), np.nan, np.float32)}, "not finite"),
        ({"places": np.zeros((3, 16), np.float32)}, "do not fit together"),
        ({"names": np.zeros(3, np.uint8)}, "item ids of the session model are cut"),
        ({"ends": np.arange(8)}, "item ids of the session model are cut"),
        ({"about": np.frombuffer(b"{}", np.uint8)}, "does not say what it was trained on"),
    ],
)
def test_arrays_that_are_no_model_are_refused_in_one_sentence(change: dict[str, NDArray[Any]], sentence: str):
    with pytest.raises(LayoutError, match=sentence) as caught:
        model_of(arrays(names(8)) | change)
    assert "stream train sessions" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_that_lacks_an_array_is_refused():
    for name in arrays(names(8)):
        held = arrays(names(8))
        del held[name]
        with pytest.raises(LayoutError, match="session model"):
            model_of(held)


def test_a_shopper_without_items_is_given_nothing():
    source = seen(Deep(room(), model_of(arrays(names(ITEMS)))), [0, 1])
    assert source.propose(Visit(-1, np.zeros(0, np.int32), 0, 20), proposals(20)) == 0
