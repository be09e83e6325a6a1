"""What came of a list: by the `request_id` of what was done with it, or else the shopper's next item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events.request import NO_REQUEST, OTHER, offset_named
from stream.items.sweep import sweep
from stream.learn.examples import Columns, Labelled, pack_examples, places_of, unpack_examples
from stream.learn.learner import Learner
from stream.learn.model import pack_snapshot, unpack_snapshot
from stream.recommend.exposures import NOT_SHOWN, new_examples
from stream.recommend.features import N_FEATURES
from tests.unit.core_helpers import MINUTE_MS, T0, Worker, event, lists, log
from tests.unit.test_learner import columns


def shop() -> Worker:
    """A worker that knows b to h as what goes with a, and has nothing to tell."""
    worker = Worker()
    worker.run(log([event("view", f"u{k}", name) for k, n in enumerate("bcdefgh") for name in ("a", n)]))
    worker.talk()
    worker.examples.clear()
    return worker


def ask(worker: Worker, offset: int = 50, item: str = "a") -> tuple[str, list[str]]:
    """A view of one item by `me`; the version and the items of the list that follows."""
    _, value = lists(worker.feed(log([event("view", "me", item, T0 + offset)], offset)))[0]
    return value["version"], value["items"]


def do(worker: Worker, kind: str, offset: int, item: str | None = None, **fields: Any) -> list[Columns]:
    """An event of `me`; the messages for the learner that follow."""
    ts = fields.pop("ts", T0 + offset)
    worker.feed(log([event(kind, "me", item, ts, **fields)], offset))
    told = [unpack_examples(value) for value in worker.examples]
    worker.examples.clear()
    return told


def show(worker: Worker, offset: int, version: str, seen: list[str], first: int = 0) -> None:
    items = [{"item_id": name, "position": first + k} for k, name in enumerate(seen)]
    assert not do(worker, "impression", offset, items=items, request_id=version)


def weights(told: list[Columns]) -> list[int]:
    return [weight for each in told for weight in Labelled(each).weight.tolist()]


def labelled_lists(told: list[Columns]) -> int:
    return sum(len(places_of(each)) for each in told)


def test_click_cart_and_purchase_each_teach_with_their_weight_and_count_one_list():
    worker = shop()
    version, items = ask(worker)
    show(worker, 51, version, items[:5])
    told = []
    for offset, kind in enumerate(("view", "view", "cart", "cart", "purchase", "purchase"), 52):
        told += do(worker, kind, offset, items[1], request_id=version)
    assert weights(told) == [1, 3, 10]
    assert [int(again) for each in told for again in Labelled(each).again] == [0, 1, 1]
    assert labelled_lists(told) == 1
    assert weights(do(worker, "view", 60, items[2], request_id=version)) == [1], (
        "another click of the same list"
    )


def test_what_follows_a_list_that_was_seen_is_no_click_on_it_unless_it_says_so():
    worker = shop()
    version, items = ask(worker)
    show(worker, 51, version, items[:5])
    assert not do(worker, "view", 52, items[1])
    assert weights(do(worker, "view", 53, items[0], request_id=version)) == [1], (
        "it is joined later, all the same"
    )


def test_a_request_id_of_something_else_is_no_click_on_a_list_that_was_seen():
    worker = shop()
    version, items = ask(worker)
    show(worker, 51, version, items[:5])
    assert not do(worker, "view", 52, items[1], request_id="newsletter-7b")


@pytest.mark.parametrize("request_id", [None, "mail", "1-x", "0000000000001-0000000000000003"])
def test_a_list_that_nobody_confirmed_waits_for_the_next_item_whatever_that_names(request_id):
    worker = shop()
    _, items = ask(worker)
    told = do(worker, "view", 52, items[1], **({"request_id": request_id} if request_id else {}))
    assert (weights(told), labelled_lists(told)) == ([1], 1)


def test_an_event_is_joined_to_the_list_it_names_not_to_the_last_one():
    worker = shop()
    first, items = ask(worker)
    second, others = ask(worker, 51, "b")
    worker.examples.clear()
    assert first != second
    told = do(worker, "purchase", 52, items[3], request_id=first)
    shown_first = Labelled(told[0])
    assert weights(told) == [10]
    assert shown_first.size[0] == len(items)
    assert others != items


def test_nobody_clicks_on_the_list_of_another_shopper():
    worker = shop()
    _, items = ask(worker)
    other, _ = lists(worker.feed(log([event("view", "you", "a", T0 + 51)], 51)))[0][1]["version"], None
    worker.feed(log([event("view", "me", "zzz", T0 + 52)], 52))
    worker.examples.clear()
    assert not do(worker, "purchase", 53, "zzz", request_id=other)
    assert items


@pytest.mark.parametrize(("minutes", "labels"), [(29, [10]), (31, [])])
def test_half_an_hour_later_nothing_is_joined_any_more(minutes, labels):
    worker = shop()
    version, items = ask(worker)
    show(worker, 51, version, items[:5])
    told = do(worker, "purchase", 52, items[1], request_id=version, ts=T0 + 50 + minutes * MINUTE_MS)
    assert weights(told) == labels


def test_positions_of_what_was_seen_go_with_the_example_and_nothing_else_does():
    worker = shop()
    version, items = ask(worker)
    show(worker, 51, version, items[2:5], first=2)
    labelled = Labelled(do(worker, "view", 52, items[3], request_id=version)[0])
    assert labelled.size.tolist() == [3]
    assert sorted(labelled.shown[0, :3].tolist()) == [2, 3, 4]
    assert labelled.shown[0, labelled.taken[0]] == 3


def test_what_was_taken_without_being_seen_teaches_nothing_of_places():
    worker = shop()
    version, items = ask(worker)
    show(worker, 51, version, items[:3])
    labelled = Labelled(do(worker, "view", 52, items[5], request_id=version)[0])
    assert labelled.size.tolist() == [4]
    assert (labelled.shown[0, :4] == NOT_SHOWN).all()


def named(text: bytes) -> int:
    return offset_named(np.frombuffer(text, np.uint8), 0, len(text))


@given(st.integers(0, 10**13 - 1), st.integers(0, 10**16 - 1))
def test_the_version_of_a_list_names_its_offset(lineage, offset):
    assert named(b"%013d-%016d" % (lineage, offset)) == offset + 1


@pytest.mark.parametrize("text", [b"1", b"-", b"1-", b"1-2a", b"1-2-3", "1-²".encode(), b"1-" + b"9" * 19])
def test_other_texts_name_no_list(text):
    assert named(text) == OTHER
    assert named(b"") == NO_REQUEST


def test_more_labels_than_lists_are_packed_whole():
    """Of a batch in which many lists were labelled before."""
    examples = new_examples(600)
    examples.size[:], examples.taken[:], examples.weight[:] = 2, 1, 3
    examples.again[:], examples.again[:10] = 1, 0
    examples.filled[:] = 600, 10
    told = [unpack_examples(value) for value in pack_examples(examples)]
    assert labelled_lists(told) == 10
    assert weights(told) == [3] * 600
    assert sum(int(Labelled(each).again.sum()) for each in told) == 590


def test_chances_of_clicks_and_of_purchases_come_true_as_often_as_expected():
    """One click in five is followed by a purchase, told of later, when the list was labelled by the click."""
    learner, random = Learner(), np.random.default_rng(6)
    for _ in range(1_000):
        value = random.integers(-2048, 2048, (40, 10, N_FEATURES))
        taken = (value[:, :, 0] / 2048 * 3 + random.gumbel(size=(40, 10))).argmax(axis=1)
        bought = np.flatnonzero(random.random(40) < 0.2)
        every = np.concatenate([np.arange(40), bought])
        worth = bytes([1]) * 40 + bytes([10]) * len(bought), bytes(40) + bytes([1]) * len(bought)
        record = columns(value[every], taken[every], np.zeros((40, 4)), weight=worth[0], again=worth[1])
        assert not learner.learn([record], T0).refused
    told = unpack_snapshot(pack_snapshot(learner.snapshot())).chances
    assert told["click"]["expected"] == pytest.approx(told["click"]["happened"], rel=0.15)
    assert told["purchase"]["expected"] == pytest.approx(told["purchase"]["happened"], rel=0.35)
    assert 0.1 < told["purchase"]["happened"] / told["click"]["happened"] < 0.3
    again = Learner(unpack_snapshot(pack_snapshot(learner.snapshot()))).snapshot().chances
    assert again == told


def test_after_numbers_of_items_were_given_back_a_list_is_joined_as_the_last_one_only():
    """Its items' numbers may be those of others by then, but for the list that still waits."""
    worker = shop()
    first, items = ask(worker)
    ask(worker, 51, "b")
    worker.examples.clear()
    engine = worker.engine
    sweep(engine.table, engine.shopper_units.values(), engine.popular, engine.catalogue)
    told = do(worker, "view", 52, "c", request_id=first)
    assert labelled_lists(told) == 1
    assert not do(worker, "purchase", 53, items[1], request_id=first, ts=T0 + 40 * MINUTE_MS)
