"""What holds for every source, each by its name in the registry: a new one brings these checks along."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import msgspec
import numpy as np
import pytest

from stream.errors import InputError, LayoutError
from stream.events.codes import PROFILE, PURCHASE, RATING, SEARCH, VIEW
from stream.sources.registry import SOURCES, make
from stream.sources.source import Room
from tests.unit.source_kit import (
    ITEMS,
    PAIRS,
    SHOPPERS,
    VISITS,
    Did,
    columns,
    couples,
    describe,
    facts,
    items_of,
    made,
    mixed,
    proposed,
    room,
    taught,
    visit,
)

NOTHING = np.zeros(0, np.int32)

OBVIOUS = {
    "sessions": VIEW,
    "content": VIEW,
    "factors": VIEW,
    "embeddings": VIEW,
    "purchases": PURCHASE,
    "deep": VIEW,
}
"""Sources that find what comes together, and the kind of event that they find it by. The others know what is
popular (popularity, rising), among whom (profile), or how good it is (ratings)."""

EVERY = [*SOURCES, "deep"]
"""Of `deep` a model is given (tests/unit/deep_kit.py), so it is not in the registry."""

each = pytest.mark.parametrize("name", EVERY)


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n, k in OBVIOUS.items() if n in EVERY])
def test_items_that_always_come_together_are_proposed_for_one_another(name: str, kind: int):
    source = taught(name, couples(kind=kind))
    for item in range(2 * PAIRS):
        # A new shopper, who looked at it alone.
        source.forget(NOTHING, np.array([SHOPPERS - 2], np.int32))
        source.learn(columns([Did(SHOPPERS - 2, item, VIEW, 1_700_000_000_000, True)]))
        assert item ^ 1 in items_of(source, visit([item], SHOPPERS - 2))[:3]


@each
def test_a_source_that_has_learned_proposes(name: str):
    source = taught(name, mixed())
    assert source.name == name
    assert sum(bool(items_of(source, to)) for to in VISITS) > len(VISITS) / 4


@each
def test_scores_are_finite_and_fall_and_items_are_distinct(name: str):
    source = taught(name, mixed())
    for to in VISITS:
        found = proposed(source, to)
        assert all(math.isfinite(score) for _, score, _ in found)
        assert all(a[1] >= b[1] for a, b in pairwise(found))
        assert len({item for item, _, _ in found}) == len(found)
        assert all(0 <= item < ITEMS and evidence >= -1 for item, _, evidence in found)


@each
def test_the_last_item_is_never_proposed_nor_more_than_asked(name: str):
    source = taught(name, mixed())
    for to in VISITS:
        assert to.recent[0] not in items_of(source, to)
        every = items_of(source, to)
        assert items_of(source, to._replace(length=2)) == every[:2]
        assert items_of(source, to._replace(length=0)) == []


@each
def test_proposing_changes_nothing(name: str):
    source = taught(name, mixed())
    before = source.save()
    once = [proposed(source, to) for to in VISITS]
    assert [proposed(source, to) for to in VISITS] == once
    assert source.save() == before


@each
def test_the_same_events_give_the_same_whatever_the_batches(name: str):
    events = mixed()
    whole, apart = taught(name, events), taught(name, [])
    rng = Random(3)
    at = 0
    while at < len(events):
        size = rng.randint(1, 40)
        apart.learn(columns(events[at : at + size]))
        at += size
    assert [proposed(apart, to) for to in VISITS] == [proposed(whole, to) for to in VISITS]
    assert apart.save() == whole.save()


@each
def test_other_numbers_for_the_same_items_give_the_same_items(name: str):
    order = Random(5).sample(range(ITEMS), ITEMS)
    number = np.array(order, np.int32)
    mine = room()
    ties = np.zeros(ITEMS, np.uint64)
    ties[number] = mine.ties
    events = mixed()
    one = taught(name, events)
    other = made(name, Room(ITEMS, SHOPPERS, ties))
    other.describe_items(number, facts(range(ITEMS)))
    other.learn(columns([did._replace(item=order[did.item]) for did in events]))
    for to in VISITS:
        renamed = to._replace(recent=number[to.recent])
        assert [(order[item], score) for item, score, _ in proposed(one, to)] == [
            (item, score) for item, score, _ in proposed(other, renamed)
        ]


@each
def test_what_is_saved_proposes_and_learns_the_same(name: str):
    source, copy = taught(name, mixed()), made(name)
    copy.learn(columns(couples(9)))
    copy.load(source.save())
    assert [proposed(copy, to) for to in VISITS] == [proposed(source, to) for to in VISITS]
    for each_one in (source, copy):
        describe(each_one, range(10, 20))
        each_one.hear(3, SEARCH, "thing 4")
        each_one.learn(columns(mixed(7)))
    assert [proposed(copy, to) for to in VISITS] == [proposed(source, to) for to in VISITS]
    assert copy.save() == source.save()


@each
def test_what_cannot_be_loaded_is_said_and_changes_nothing(name: str):
    import cramjam

    source = taught(name, mixed())
    before = source.save()
    saved = msgspec.msgpack.decode(bytes(cramjam.zstd.decompress(before)))
    newer = bytes(cramjam.zstd.compress(msgspec.msgpack.encode(saved | {"layout": 99})))
    others = bytes(cramjam.zstd.compress(msgspec.msgpack.encode(saved | {"name": "stars"})))
    smaller = made(name, room(ITEMS // 2, SHOPPERS)).save()
    for data, sentence in (
        (newer, "was saved with layout 99"),
        (others, "by the source stars"),
        (smaller, "with room for 32 items"),
        (b"nonsense", "no saved source"),
        (before[:-9], "no saved source"),
    ):
        with pytest.raises(LayoutError, match=sentence):
            source.load(data)
    assert source.save() == before


@each
def test_nothing_learned_nothing_proposed(name: str):
    source = made(name)
    assert [proposed(source, to) for to in [*VISITS, visit([]), visit([0], -1)]] == [[]] * (len(VISITS) + 2)


@each
def test_numbers_beyond_the_room_and_empty_events_are_passed_over(name: str):
    source = taught(name, mixed())
    before = [proposed(source, to) for to in VISITS]
    strange = [
        Did(shopper, item, code, 1_600_000_000_000, False, rating)
        for shopper, item in ((-1, -1), (SHOPPERS, ITEMS), (-7, 2 * ITEMS), (0, -1), (0, ITEMS))
        for code in range(12)
        for rating in (float("nan"), float("inf"), -3.0, 1e9)
    ]
    source.learn(columns(strange))
    source.describe_items(np.array([-1, ITEMS], np.int32), facts([1, 2]))
    for shopper in (-1, SHOPPERS):
        source.hear(shopper, SEARCH, "thing 3")
        source.hear(shopper, PROFILE, "c3")
    source.hear(1, SEARCH, "")
    source.forget(np.array([-1, ITEMS], np.int32), np.array([-1, SHOPPERS], np.int32))
    assert [proposed(source, to) for to in VISITS] == before
    # Nor do they hurt where proposals are asked for.
    for to in (visit([ITEMS]), visit([-1]), visit([0], SHOPPERS), visit([0], -1), visit([])):
        proposed(source, to)


@each
def test_an_unusable_rating_is_as_good_as_none(name: str):
    source, plain = taught(name, mixed()), taught(name, mixed())
    usable = [did._replace(rating=float("nan"), code=RATING) for did in couples(11, 30)]
    plain.learn(columns(usable))
    source.learn(columns([d._replace(rating=(-1.0, 101.0, math.inf)[k % 3]) for k, d in enumerate(usable)]))
    assert [proposed(source, to) for to in VISITS] == [proposed(plain, to) for to in VISITS]


@each
def test_a_forgotten_item_is_nowhere(name: str):
    source = taught(name, mixed())
    gone = np.array([0, 5, 8, 9, 17], np.int32)
    source.forget(gone, NOTHING)
    for to in VISITS:
        assert not set(gone.tolist()) & set(items_of(source, to))
    # The number stands for another item now, which is learned as any.
    describe(source, gone.tolist())
    again = [
        Did(shopper, item, code, 1_700_000_000_000 + shopper * 60_000, item == 8, 5.0 - (item == 1))
        for shopper in range(12)
        for item in (8, 9, 1)
        for code in (VIEW, PURCHASE, RATING)
    ]
    source.learn(columns(again))
    assert any(set(gone.tolist()) & set(items_of(source, to)) for to in VISITS)


@each
def test_a_forgotten_shopper_is_as_a_new_one(name: str):
    source = taught(name, mixed())
    source.forget(NOTHING, np.array([3], np.int32))
    for item in range(2 * PAIRS):
        assert proposed(source, visit([item], 3)) == proposed(source, visit([item], SHOPPERS - 1))


@each
def test_memory_is_fixed_whatever_comes_and_goes(name: str):
    """Fifty times as many items and shoppers as there is room for, one after another."""
    source = made(name)
    size = source.nbytes
    rng = Random(4)
    largest = 0
    for turn in range(100):
        items = np.array(rng.sample(range(ITEMS), ITEMS // 2), np.int32)
        shoppers = np.array(rng.sample(range(SHOPPERS), SHOPPERS // 2), np.int32)
        source.forget(items, shoppers)
        describe(source, items.tolist())
        source.learn(
            columns(
                Did(
                    rng.randrange(SHOPPERS),
                    rng.randrange(ITEMS),
                    rng.choice((VIEW, PURCHASE, RATING)),
                    1_600_000_000_000 + turn * 86_400_000 + k * 1000,
                    rng.random() < 0.3,
                    float(rng.randint(1, 5)),
                )
                for k in range(60)
            )
        )
        largest = max(largest, len(source.save()))
    assert source.nbytes == size
    # Random tables hardly compress; what is saved is then no more than what is held.
    assert largest <= size
    for to in VISITS:
        assert all(math.isfinite(score) for _, score, _ in proposed(source, to))


def test_an_unknown_name_is_answered_with_those_that_there_are():
    with pytest.raises(InputError, match="There is no source 'knn': choose from sessions, ") as caught:
        make("knn", room())
    assert all(name in str(caught.value) for name in SOURCES)
