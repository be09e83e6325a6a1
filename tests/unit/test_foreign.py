from __future__ import annotations

import json

import numpy as np
import pytest

from tests.unit.core_helpers import T0, Worker, event, items_of, log


def similar(**changes: object) -> bytes:
    value = {
        "version": "0000000000001-0000000000000007",
        "generated_at": 1,
        "model": "share",
        "items": ["desk", "lamp"],
        "scores": [0.5, 0.25],
        "reasons": ["viewed", "viewed"],
    }
    return json.dumps(value | changes).encode()


@pytest.fixture
def worker() -> Worker:
    """One that counts no item itself, and has seen somebody look at a chair."""
    worker = Worker()
    worker.engine.close_items(0)
    worker.feed(log([event("view", "u", "chair")]))
    return worker


def lists(worker: Worker, user: str) -> list[str]:
    return items_of(worker.feed(log([event("view", user, "chair")], 100 + len(user))), user)


def test_rows_of_other_workers_are_wanted_once_used_and_rank_like_own_ones(worker):
    assert worker.engine.wanted(10) == [b"chair"]
    assert worker.engine.wanted(10) == []
    assert worker.engine.adopt(b"chair", similar(), similar(items=["rug"], scores=[0.9])) is None
    assert lists(worker, "v") == ["rug", "desk", "lamp"]
    assert worker.engine.wanted(10) == [b"desk", b"lamp", b"chair"], "neighbours' own, and once used again"
    assert worker.engine.adopt(b"chair", similar(items=["bed"], scores=[0.1]), None) is None
    assert lists(worker, "vv") == ["rug", "bed"], "what is not published any more keeps its last state"


@pytest.mark.parametrize(
    "broken", [b"", b"[]", similar(items=[1, 2]), similar(scores=[0.5]), b'{"items":["x"]}', b"\xff"]
)
def test_what_is_no_list_of_ours_is_refused_and_changes_nothing(worker, broken):
    assert worker.engine.adopt(b"chair", similar(), None) is None
    for pair in ((broken, None), (similar(items=["x"], scores=[1.0]), broken)):
        refused = worker.engine.adopt(b"chair", *pair)
        assert refused is not None
        assert "b'chair'" in refused
    assert lists(worker, "v") == ["desk", "lamp"]


def test_an_item_of_which_nothing_is_known_does_not_wait_behind_those_to_be_refreshed(worker):
    known = [f"i{k}" for k in range(20)]
    for name in ("chair", *known):
        assert worker.engine.adopt(name.encode(), similar(), None) is None
    worker.engine.wanted(100)
    worker.feed(log([event("view", "v", name) for name in [*known, "new"]], 10))
    *first, other = worker.engine.wanted(4)
    assert sorted(first) == [b"desk", b"lamp", b"new"], "neighbours of which nothing is known either"
    assert sorted([other, *worker.engine.wanted(100)]) == sorted(name.encode() for name in known)


def test_a_copy_ranks_as_its_owners_row_does():
    """What an owner publishes of a row is all that ranking asks of it."""
    random = np.random.default_rng(2)
    views = [event("view", f"u{k // 5}", f"i{random.integers(12)}", T0 + k) for k in range(400)]
    owner = Worker().run(log(views))
    owner.talk()
    told = {}
    for kind in ("similar", "together"):
        for values in owner.engine.publisher.lists_of(owner.engine.item_units[0], numbers_of(owner), T0):
            if values.kind == kind:
                told[kind] = dict(zip(values.ids, values.values, strict=True))
    copy = Worker()
    copy.engine.close_items(0)
    for name, value in told["similar"].items():
        assert copy.engine.adopt(name, value, None) is None
    compared = 0
    for name in told["similar"]:
        tables = owner.engine.table, copy.engine.table
        row, other = (table.rows[table.interner.find(name)]["viewed"] for table in tables)
        events, steps = row["total"] / row["gain"], row["step_total"] / row["gain"]
        assert other["total"] == pytest.approx(events, abs=0.51)
        assert other["step_total"] == pytest.approx(steps, abs=0.51)
        totals = {
            "weight": row["total"] + 2 * row["gain"],
            "step": row["step_total"] + row["gain"],
            "recent": row["recent_total"] + 2 * row["recent_gain"],
        }
        slots = {owner.engine.table.interner.name(n - 1): k for k, n in enumerate(row["item"].tolist()) if n}
        for k, n in enumerate(other["item"].tolist()):
            if n:
                slot = slots[copy.engine.table.interner.name(n - 1)]
                for column, total in totals.items():
                    assert other[column][k] == pytest.approx(row[column][slot] / total, abs=1e-5)
                    compared += 1
    assert compared > 100


def numbers_of(worker: Worker) -> np.ndarray:
    return worker.engine.item_units[0].members()
