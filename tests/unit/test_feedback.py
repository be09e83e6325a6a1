"""What a shopper says of an item counts both ways: in the next list at once, and in what is popular."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events.codes import DISLIKE, RATING
from stream.events.decode import Bounds, decode
from stream.events.readers import read
from tests.unit.core_helpers import T0, Worker, event, items_of, lists, log, shopper_states

PAIRS = [event("view", f"u{k // 2}", "ab"[k % 2], T0 + k) for k in range(12)]


class Anna:
    """A shopper where others view a and b together."""

    def __init__(self, **config: Any) -> None:
        self.worker = Worker(**config).run(log(PAIRS))
        self._at = itertools.count(len(PAIRS))

    def list_after(self, kind: str, item: str, **fields: Any) -> list[str]:
        n = next(self._at)
        effects = self.worker.feed(log([event(kind, "anna", item, T0 + n, **fields)], n))
        self.worker.deliver()
        return items_of(effects, "anna") if lists(effects) else []

    def popularity(self, item: str) -> tuple[float, float]:
        """As the items have it, and as this worker has heard."""
        table = self.worker.engine.table
        number = table.interner.find(item.encode())
        return float(table.rows["popular"][number]), float(table.facts.item["popular"][number])


@pytest.mark.parametrize(("kind", "fields"), [("rating", {"rating": 1.0}), ("hide", {})])
def test_what_is_disliked_leaves_the_next_list_and_takes_a_look_back(kind: str, fields: dict[str, Any]):
    anna = Anna()
    assert "b" in anna.list_after("view", "a")
    before = anna.popularity("b")
    anna.list_after(kind, "b", **fields)
    anna.list_after("view", "c")
    assert "b" not in anna.list_after("view", "a")
    assert shopper_states(anna.worker.engine)["anna"]["hidden"] == ["b"]
    assert [now < then for now, then in zip(anna.popularity("b"), before, strict=True)] == [True, True]


@pytest.mark.parametrize(("kind", "fields"), [("rating", {"rating": 4.0}), ("like", {})])
def test_what_is_liked_is_more_popular_than_before(kind: str, fields: dict[str, Any]):
    anna = Anna()
    before = anna.popularity("b")
    anna.list_after(kind, "b", **fields)
    assert [now > then for now, then in zip(anna.popularity("b"), before, strict=True)] == [True, True]
    assert shopper_states(anna.worker.engine)["anna"]["hidden"] == []


@pytest.mark.parametrize(("kind", "rating"), [("like", None), ("rating", 5.0)])
def test_a_like_or_a_good_rating_shows_what_was_hidden_again(kind: str, rating: float | None):
    anna = Anna()
    anna.list_after("hide", "b")
    assert "b" not in anna.list_after("view", "a")
    anna.list_after(kind, "b", **({"rating": rating} if rating else {}))
    assert "b" in anna.list_after("view", "a")


@pytest.mark.parametrize(
    ("rating", "rating_max", "code"),
    [(2.4, 5.0, DISLIKE), (2.5, 5.0, RATING), (4.0, 10.0, DISLIKE), (8.0, 5.0, RATING), (0.0, 1.0, DISLIKE)],
)
def test_half_of_the_shops_scale_divides(rating: float, rating_max: float, code: int):
    records = log([event("rating", "anna", "a", rating=rating)])
    assert decode(records, Bounds(rating_max=rating_max)).batch.code.tolist() == [code]


KINDS = st.sampled_from(["view", "hide", "rating"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(KINDS, st.sampled_from("abc")), min_size=1, max_size=30))
def test_nothing_is_less_popular_than_not_at_all(said: list[tuple[str, str]]):
    worker = Worker()
    events = [event(kind, f"u{k}", item, T0 + k, rating=0.0) for k, (kind, item) in enumerate(said)]
    worker.run(log(events))
    table = worker.engine.table
    assert (table.rows["popular"] >= 0).all()
    assert (table.rows["trending"] >= 0).all()
    assert (table.facts.item["popular"] >= 0).all()
    heard = float(table.facts.item["popular"].sum())
    assert float(table.facts.heard[3]) == pytest.approx(heard, abs=0.1), "one look is some 30,000 here"


@pytest.mark.parametrize("rating", ["nan", "NaN", "inf", "-1", "101", "much"])
def test_a_rating_that_is_none_is_refused(tmp_path: Any, rating: str):
    mapping = tmp_path / "shop.toml"
    mapping.write_text('[fields]\nts = "at"\nuser_id = "who"\nitem_id = "what"\nrating = "stars"\n'
                       '[constants]\ntype = "rating"\n[time]\nunit = "s"\n')  # fmt: skip
    file = tmp_path / "ratings.csv"
    file.write_text(f"at,who,what,stars\n1700000000,anna,a,{rating}\n")
    (refused,) = read(file, "mapping", mapping)
    assert getattr(refused, "reason", None) == "invalid-field"
