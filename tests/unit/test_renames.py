"""Items that are renamed or merged keep their counts: wherever they are read, old and new ids are one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.catalogue_kit import last_list, published, remove, stands_for, tell, withdrawn
from tests.unit.core_helpers import T0, Worker, assert_close, event, item_counts, log, shopper_states

NEW = {"a": "A", "b": "B", "c": "B"}
"""a is renamed to A, b and c are merged into B."""


def renamed(worker: Worker) -> Worker:
    assert tell(worker.engine, "A", title="A", replaces=["a"]) is None
    assert tell(worker.engine, "B", title="B", replaces=["b", "c"]) is None
    return worker


def under_new_ids(events: list[dict]) -> list[dict]:
    return [e | {"item_id": NEW.get(e["item_id"], e["item_id"])} for e in events]


EVENTS = st.lists(
    st.builds(
        lambda kind, user, item, step: (kind, user, item, step),
        st.sampled_from(["view", "view", "view", "cart", "purchase", "like", "hide"]),
        st.sampled_from("uvw"),
        st.sampled_from("abcdef"),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=60,
)


def as_log(drawn: list[tuple[str, str, str, int]]) -> list[dict]:
    at, out = T0, []
    for kind, user, item, step in drawn:
        at += step * 60_000
        order = {"order_id": "o"} if kind == "purchase" else {}
        out.append(event(kind, user, item, at, **order))
    return out


def flat(worker: Worker, kind: str) -> dict[tuple[str, str], float]:
    found = published(worker, kind)
    return {
        (item, other): score for item, row in found.items() if item not in NEW for other, score in row.items()
    }


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.integers(0, 60), st.sampled_from([1, 3]))
def test_a_log_in_which_items_are_renamed_says_what_it_says_under_the_new_ids(drawn, at, partitions):
    events = as_log(drawn)
    whole = renamed(Worker(item_partitions=partitions)).run(log(under_new_ids(events)))
    midway = Worker(item_partitions=partitions).run(log(events[:at]))
    renamed(midway).run(log(events[at:], at))
    for kind in ("similar", "together"):
        assert_close(flat(midway, kind), flat(whole, kind), relative=1e-4)
    for worker in (whole, midway):
        worker.talk()
    told, expected = (dict(worker.engine.popular.trending) for worker in (midway, whole))
    assert_close(told, expected, relative=1e-4)
    for user in {e["user_id"] for e in events}:
        # In the order of the same scores: but steps of two items, which break ties, are read of one row.
        assert set(last_list(midway, user)) == set(last_list(whole, user))
        assert not set(last_list(midway, user)) & set(NEW)


def test_what_comes_under_the_old_id_counts_for_the_new_one():
    worker = renamed(Worker()).run(log([event("view", "u", "a"), event("view", "u", "d", T0 + 1)]))
    assert item_counts(worker.engine) == {"A": (1, 0, 0, 0, 0), "d": (1, 0, 0, 0, 0)}
    assert shopper_states(worker.engine)["u"]["recent"] == ["d", "A"]
    assert published(worker)["A"].keys() == {"d"}


def test_what_was_bought_hidden_and_returned_under_the_old_id_is_of_the_new_one():
    worker = Worker().run(
        log([event("view", "v", "d"), event("view", "v", "a", T0 + 1), event("view", "v", "b", T0 + 2)])
    )
    worker.run(log([event("purchase", "u", "a", T0 + 3), event("hide", "u", "b", T0 + 4)], 3))
    renamed(worker).run(log([event("view", "u", "d", T0 + 5)], 5))
    worker.talk()
    assert last_list(worker, "u") == [], "A is bought, B hidden"
    worker.run(log([event("return", "u", "A", T0 + 6), event("like", "u", "B", T0 + 7)], 6))
    worker.run(log([event("view", "u", "d", T0 + 8)], 8))
    assert set(last_list(worker, "u")) == {"A", "B"}


def test_an_item_that_was_renamed_has_a_list_before_anything_happens_under_its_new_id():
    worker = Worker().run(log([event("view", "u", item, T0 + k) for k, item in enumerate("dae")]))
    worker.talk()
    renamed(worker)
    told = {name for values in worker.talk() if values.kind == "similar" for name in values.ids}
    assert b"A" in told
    assert published(worker)["A"] == published(worker)["a"]


def test_it_is_shown_in_place_of_the_old_id_and_never_for_its_own_sake():
    worker = Worker().run(log([event("view", "u", item, T0 + k) for k, item in enumerate("daeda")]))
    renamed(worker).talk()
    assert last_list(worker, "u") == ["d", "e"]
    assert "A" not in published(worker)["A"]
    worker.run(log([event("view", "u", "d", T0 + 9)], 5))
    assert set(last_list(worker, "u")) == {"A", "e"}


def test_the_new_id_decides_whether_it_is_for_sale():
    worker = Worker().run(log([event("view", "v", item, T0 + k) for k, item in enumerate("dad")]))
    remove(renamed(worker).engine, "a")
    worker.run(log([event("view", "u", "d", T0 + 9)], 3)).talk()
    assert last_list(worker, "u") == ["A"], "the old entry was removed"
    tell(worker.engine, "A", replaces=["a"], stock=0)
    assert last_list(worker, "u") == []


def test_the_tombstone_of_the_new_id_takes_it_back():
    worker = Worker().run(log([event("view", "v", item, T0 + k) for k, item in enumerate("dad")]))
    renamed(worker)
    remove(worker.engine, "A")
    worker.run(log([event("view", "u", "d", T0 + 9)], 3)).talk()
    assert last_list(worker, "u") == ["a"]
    assert worker.engine.table.facts.stands[0] == 2, "b and c"


CHAIN = [
    ("M", {"replaces": ["k", "l"]}),
    ("N", {"replaces": ["M"], "parent_id": "P"}),
    ("P", {"stock": 0}),
    ("Q", {"replaces": ["P"]}),
    ("R", {"replaces": ["k"], "parent_id": "Q"}),
]


@given(st.permutations(CHAIN), st.permutations(CHAIN))
@settings(max_examples=40, deadline=None)
def test_links_are_followed_to_their_end_whatever_the_order_of_the_messages(one, other):
    found = []
    for order in (one, other):
        worker = Worker()
        for item, fields in order:
            assert tell(worker.engine, item, **fields) is None
        table = worker.engine.table
        sold = table.standing(table.numbers(b"k\0l\0M\0N", 4))[1]
        also, at = [], table.interner.find(b"N")
        while at := int(table.facts.also[at]):
            at -= 1
            also.append(table.interner.name(at))
        found.append(
            (
                [stands_for(worker.engine, item) for item in "klMNPQR"],
                [table.interner.name(n) for n in sold.tolist()],
                also,
                withdrawn(worker.engine, "Q"),
                int(table.facts.stands[0]),
            )
        )
    assert found[0] == found[1]
    # Of two that replace k, the first by id.
    assert found[0] == (["Q"] * 7, [b"N"] * 4, [b"M", b"k", b"l"], False, 6)


def test_a_cycle_is_refused_in_a_sentence_and_the_old_facts_stay():
    worker = Worker()
    tell(worker.engine, "b", title="as it was")
    assert tell(worker.engine, "a", replaces=["b"]) is None
    refused = tell(worker.engine, "b", title="new", replaces=["a"])
    assert refused is not None
    assert "'b'" in refused
    assert "'a'" in refused
    assert "take" in refused
    assert worker.engine.catalogue.facts[b"b"].title == "as it was"
    assert stands_for(worker.engine, "b") == "a"
    for entry in ({"parent_id": "b", "replaces": ["b"]}, {"replaces": ["a"]}):
        assert tell(worker.engine, "a", **entry) is not None
    assert tell(worker.engine, "b", parent_id="c") is None
    assert tell(worker.engine, "c", parent_id="b") is not None
    # What goes before another link counts too: taking it away later makes no cycle.
    assert stands_for(worker.engine, "b") == "a"
    assert worker.engine.metrics.catalogue_refused == 4
    remove(worker.engine, "a")
    assert tell(worker.engine, "b", replaces=["a"]) is None
    assert stands_for(worker.engine, "a") == "b"


@pytest.mark.parametrize(
    "entry",
    [
        {"replaces": [f"i{k}" for k in range(10_000)]},
        {"replaces": ["x" * 129]},
        {"replaces": [""]},
        {"replaces": ["x\0y"]},
        {"replaces": "x"},
        {"parent_id": "x\0y"},
        {"attributes": {"replaces": "x"}},
    ],
)
def test_what_cannot_be_replaced_is_refused_in_a_sentence(entry):
    engine = Worker().engine
    tell(engine, "a", title="as it was")
    refused = tell(engine, "a", **entry)
    assert refused is not None
    assert "b'a'" in refused
    assert len(refused) < 300
    assert engine.catalogue.facts[b"a"].title == "as it was"
    assert engine.table.facts.stands[0] == 0


def test_a_rename_outlives_the_sweep_of_numbers_that_nobody_holds():
    worker = renamed(Worker(max_items=64))
    for at in range(0, 6_000, 50):
        events = [event("view", f"u{k % 9}", f"i{k}", T0 + k) for k in range(at, at + 50)]
        worker.run(log(events, at))
    assert worker.engine.table.interner.used <= worker.engine.table.interner.capacity
    worker.run(log([event("view", "u", "a", T0 + 20_000)], 6_000))
    assert shopper_states(worker.engine)["u"]["recent"] == ["A"]


def test_neighbours_of_the_old_id_that_another_worker_has_are_fetched_and_joined():
    # This worker shares the engine of nobody: it knows the old row only as its owner published it.
    other = Worker().run(log([event("view", "v", item, T0 + k) for k, item in enumerate("dadeada")]))
    rows = dict(lists_of(other))
    worker = renamed(Worker())
    worker.engine.close_items(0)
    worker.feed(log([event("view", "u", "a", T0)]))
    assert set(worker.engine.wanted(10)) >= {b"A", b"a"}
    worker.engine.adopt(b"A", None, None)
    worker.engine.adopt(b"a", rows["a"], None)
    assert set(last_list(worker, "u")) == {"d", "e"}


def lists_of(worker: Worker) -> list[tuple[str, bytes]]:
    numbers = np.flatnonzero(worker.engine.table.rows["owned"]).astype(np.int32)
    made = worker.engine.item_lists_again(0, numbers, 0)
    return [
        (name.decode(), value)
        for values in made
        if values.kind == "similar"
        for name, value in zip(values.ids, values.values, strict=True)
    ]
