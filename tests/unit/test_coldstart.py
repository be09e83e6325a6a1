"""Before anybody has found an item, and before a shopper has looked at any."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events.records import LogRecord
from stream.items.facts import FACT
from stream.items.newcomers import FEW, HELD_EACH, MAX_CATEGORIES
from stream.items.postings import EACH, forget, new_postings, offer, retract
from stream.items.words import new_vocabulary, ones, plain, sign
from stream.saving import whole
from stream.shoppers.describe import describe
from stream.shoppers.row import STATED_BYTES
from stream.shoppers.stated import KEYS, interests, packed, unpacked
from tests.unit.core_helpers import T0, Worker, event, items_of, lists, log

LAMPS = ("brass desk lamp Acme", "brass floor lamp Acme", "oak shelf", "steel kettle", "woollen rug")


def tell(worker: Worker, item: str, title: str, category: str = "home", **facts: Any) -> None:
    """One entry of the catalogue."""
    told = {"item_id": item, "title": title, "category": category} | facts
    assert worker.engine.control("items", item.encode(), msgspec.json.encode(told)) is None


def stocked() -> Worker:
    """A shop whose items a few shoppers have looked at."""
    worker = Worker()
    for k, title in enumerate(LAMPS):
        tell(worker, f"i{k}", title)
    views = [event("view", f"u{k % 6}", f"i{k % 5}", T0 + k) for k in range(5 * FEW)]
    worker.run(log(views), [40])
    worker.talk()
    return worker


def viewed(worker: Worker, user: str, item: str, first: int = 1_000, **fields: Any) -> dict[str, Any]:
    """The list after a view, with everything in it."""
    effects = worker.feed(log([event("view", user, item, T0 + first, **fields)], first))
    return next(value for name, value in reversed(lists(effects)) if name == user)


def test_a_new_item_like_the_last_one_is_recommended_before_anybody_found_it():
    worker = stocked()
    tell(worker, "new", "brass wall lamp Acme")
    tell(worker, "other", "cotton bath towel")
    found = viewed(worker, "zoe", "i0")
    reasons = dict(zip(found["items"], found["reasons"], strict=True))
    assert reasons["new"] == "alike"
    assert "other" not in reasons
    assert "new" not in viewed(worker, "yan", "i4", 1_001)["items"]


@pytest.mark.parametrize("gone", ["withdrawn", "sold out", "of another category", "hidden"])
def test_a_new_item_that_may_not_be_shown_is_not(gone: str):
    worker = stocked()
    tell(worker, "new", "brass wall lamp Acme")
    if gone == "withdrawn":
        worker.engine.control("items", b"new", None)
    elif gone == "sold out":
        tell(worker, "new", "brass wall lamp Acme", stock=0)
    elif gone == "of another category":
        tell(worker, "new", "brass wall lamp Acme", "garden")
    else:
        worker.feed(log([event("hide", "zoe", "new")], 900))
    assert "new" not in viewed(worker, "zoe", "i0")["items"]


def test_who_was_heard_of_often_enough_is_new_no_more_and_makes_room():
    worker = Worker()
    for k in range(HELD_EACH + 1):
        tell(worker, f"n{k}", f"brass lamp number{k}")
    rings = worker.engine.table.facts.new.item
    number = worker.engine.table.interner.find

    def held() -> set[int]:
        return set((rings[rings > 0] - 1).tolist())

    # The one told of first had to go.
    assert held() == {number(b"n%d" % k) for k in range(1, HELD_EACH + 1)}
    worker.run(log([event("view", f"u{k}", "n5", T0 + k) for k in range(FEW)]))
    worker.engine.tick(T0)
    assert held() == {number(b"n%d" % k) for k in range(HELD_EACH + 1) if k != 5}


def test_without_a_catalogue_nothing_is_known_of_words_and_nothing_is_spent_on_them():
    worker = Worker()
    worker.run(log([event("view", f"u{k % 6}", f"i{k % 9}", T0 + k) for k in range(200)]), [50, 100])
    facts = worker.engine.table.facts
    assert not facts.words.any()
    assert not facts.new.item.any()
    assert facts.new.item.shape == (MAX_CATEGORIES, HELD_EACH)
    assert worker.engine._ranker.description.used[0] < len(worker.engine._ranker.description.value)


def test_words_that_most_items_have_say_nothing():
    vocabulary = new_vocabulary()
    worker = Worker()
    for k in range(40):
        tell(worker, f"i{k}", f"the thing number{k}", category=f"c{k}")
    words = worker.engine.table.facts.words[: worker.engine.table.interner.used]
    assert np.bitwise_and.reduce(words).tolist() == [0, 0]
    assert sum(ones(np.uint64(half)) for half in sign(vocabulary, plain("The Thing"))) == 2
    assert sign(vocabulary, b" ,; ").tolist() == [0, 0]


def test_a_list_of_words_is_read_in_any_case_and_script():
    vocabulary = new_vocabulary()
    one = sign(vocabulary, plain("Żółta LAMPA, biurkowa")).tolist()
    assert one == sign(vocabulary, plain("biurkowa żółta lampa")).tolist()
    assert one != sign(vocabulary, plain("zolta lampa biurkowa")).tolist()


def test_what_the_catalogue_says_now_counts():
    worker = stocked()
    tell(worker, "new", "cotton bath towel")
    assert "new" not in viewed(worker, "zoe", "i0")["items"]
    tell(worker, "new", "brass wall lamp Acme")
    assert "new" in viewed(worker, "yan", "i0", 1_001)["items"]
    tell(worker, "new", "cotton bath towel")
    assert "new" not in viewed(worker, "xia", "i0", 1_002)["items"]


def test_an_item_that_comes_back_from_saved_state_is_no_newcomer():
    worker = stocked()
    tell(worker, "new", "brass wall lamp Acme")
    worker.run(log([event("view", f"v{k}", "new", T0 + k) for k in range(FEW)], 500))
    saved = [message.value for message in whole(worker.engine.item_units[0])]
    again = Worker()
    for k, title in enumerate(LAMPS):
        tell(again, f"i{k}", title)
    tell(again, "new", "brass wall lamp Acme")
    again.engine.open_items(0, 1)
    again.engine.restore_items(0, saved)
    heard = again.engine.table.facts.item["heard"]
    assert heard[again.engine.table.interner.find(b"new")] == FEW
    assert "new" not in items_of(again.feed(log([event("view", "zoe", "i0", T0)], 1_000)), "zoe")


# -- what shoppers say of themselves -----------------------------------------------------------------


def departments() -> Worker:
    """A shop of three departments, of which books are looked at most."""
    worker = Worker()
    for k in range(30):
        name = ("books", "shoes.running", "garden")[k % 3]
        tell(worker, f"{name[0]}{k}", f"thing number{k}", name, brand="Acme" if k % 3 == 2 else "Other")
    names = [f"{'bsg'[k % 3]}{k}" for k in range(30)]
    views = [event("view", f"u{k}", names[k % 30], T0 + k) for k in range(300)]
    views += [event("view", f"w{k}", names[k % 10 * 3], T0 + k) for k in range(300)]
    worker.run(log(views), [40, 300])
    worker.talk()
    return worker


def after(worker: Worker, offset: int, kind: str, user: str = "zoe", **fields: Any) -> dict[str, Any]:
    """The list after an event about no item."""
    effects = worker.feed(log([event(kind, user, ts=T0 + offset, **fields)], offset))
    return next(value for name, value in reversed(lists(effects)) if name == user)


@pytest.mark.parametrize(
    "context",
    [
        {"interests": ["shoes"]},
        {"interests": "Shoes.Running", "country": "DE"},
        {"categories": ["shoes.running"]},
        {"category": "  running "},
    ],
)
def test_a_stated_category_comes_first_before_any_view(context: dict[str, Any]):
    found = after(departments(), 1_000, "profile", context=context)
    assert {item[0] for item in found["items"][:10]} == {"s"}
    assert set(found["reasons"][:10]) == {"interest"}
    assert {item[0] for item in found["items"][10:]} >= {"b"}


def test_a_stated_brand_leads_to_where_it_is_sold():
    found = after(departments(), 1_000, "profile", context={"brands": ["ACME"]})
    assert {item[0] for item in found["items"][:10]} == {"g"}


def test_a_search_leads_to_what_has_its_words_until_the_session_ends():
    worker = departments()
    found = after(worker, 1_000, "search", query="running shoes")
    assert {item[0] for item in found["items"][:10]} == {"s"}
    assert found["reasons"][0] == "interest"
    assert "interest" in viewed(worker, "zoe", "b0", 1_001)["reasons"]
    later = viewed(worker, "zoe", "b3", 40 * 60_000)
    assert "interest" not in later["reasons"]


def test_one_word_is_enough_and_what_is_not_popular_is_found_too():
    worker = departments()
    tell(worker, "rare", "brass kettle", "kitchen")
    for query in ("kettle", "the brass kettle", "Kettle, nonsense"):
        offset = 1_000 + len(query)
        found = after(worker, offset, "search", user=query, query=query)
        assert found["items"][0] == "rare", query
        assert found["reasons"][0] == "interest"
    # Who is looked for by a word that there is not gets what is popular.
    assert set(after(worker, 2_000, "search", "yan", query="nonsense")["reasons"]) == {"popular"}


def test_of_many_with_a_word_the_popular_ones_are_found_also_those_that_became_so_later():
    worker = Worker()
    for k in range(3 * EACH):
        tell(worker, f"k{k}", f"kettle number{k}", f"c{k % 7}")
    liked = [f"k{k}" for k in range(5)]
    views = [event("view", f"u{k}", liked[k % 5], T0 + k) for k in range(100)]
    worker.run(log(views), [50])
    worker.talk()
    found = after(worker, 1_000, "search", query="kettle")
    assert set(found["items"][:5]) == set(liked)
    assert len(found["items"]) == 20


def test_what_has_a_word_no_more_is_not_found_by_it():
    worker = departments()
    tell(worker, "new", "brass kettle", "kitchen")
    assert after(worker, 1_000, "search", query="kettle")["items"][0] == "new"
    tell(worker, "new", "brass lamp", "kitchen")
    assert "new" not in after(worker, 1_001, "search", query="kettle")["items"]
    assert after(worker, 1_002, "search", query="lamp")["items"][0] == "new"
    worker.engine.control("items", b"new", None)
    assert "new" not in after(worker, 1_003, "search", query="lamp")["items"]
    postings = worker.engine.table.facts.postings.item
    assert not (postings == worker.engine.table.interner.find(b"new") + 1).any()


COLOURS = ("red", "blue", "green", "black", "white")


def large() -> Worker:
    """500 items with twenty words each, two of them everybody's; nobody has looked at any."""
    worker = Worker()
    for k in range(500):
        own = " ".join(f"w{k * 7 % 400 + n}" for n in range(15))
        tell(worker, f"i{k}", f"thing shop {COLOURS[k % 5]} kind{k % 20} {own}", f"c{k % 20}")
    return worker


@pytest.mark.parametrize(
    ("query", "step", "first"),
    [("kind7", 20, 7), ("green", 5, 2), ("KIND3 nonsense", 20, 3), ("black kind18", 20, 18), ("thing", 1, 0)],
)
def test_what_has_the_words_is_found_among_items_of_many_words(query: str, step: int, first: int):
    found = after(large(), 1_000, "search", query=query)
    assert len(found["items"]) == 20
    assert {int(item[1:]) % step for item in found["items"]} == {first}


def test_of_two_words_what_has_both_goes_before_what_has_one():
    worker = large()
    for k in range(3):
        tell(worker, f"i{1_007 + 20 * k}", "red kind7", "c7")
    found = [int(item[1:]) for item in after(worker, 1_000, "search", query="red kind7")["items"]]
    assert set(found[:3]) == {1_007, 1_027, 1_047}
    assert all(item % 20 == 7 or item % 5 == 0 for item in found)


def test_many_variants_of_one_product_are_one_item_and_leave_room_for_others():
    worker = Worker()
    for k in range(3):
        tell(worker, f"other{k}", "plain shirt", f"c{k}")
    for k in range(2 * EACH):
        tell(worker, f"v{k}", "plain shirt", "c", parent_id="shirt")
    worker.run(log([event("view", f"u{k}", "v1", T0 + k) for k in range(10)]))
    worker.talk()
    found = after(worker, 1_000, "search", query="shirt")["items"]
    assert found == ["shirt", *found[1:]]
    assert set(found) == {"shirt", "other0", "other1", "other2"}


def test_what_had_no_place_is_found_when_the_others_have_gone():
    worker = Worker()
    for k in range(EACH + 5):
        tell(worker, f"k{k}", f"kettle number{k}", f"c{k % 7}")
    for k in range(5, EACH + 5):
        worker.engine.control("items", b"k%d" % k, None)
    worker.talk()
    assert set(after(worker, 1_000, "search", query="kettle")["items"]) == {f"k{k}" for k in range(5)}


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.integers(0, 9)), max_size=200))
def test_an_item_stands_once_where_it_belongs(steps: list[tuple[int, bool, int]]):
    postings, facts, terms = new_postings(81), np.zeros(61, FACT), np.array([3, 9], np.int32)
    there: set[int] = set()
    for item, has, popular in steps:
        facts["popular"][item] = max(popular, facts["popular"][item])
        if has:
            offer(postings, facts, terms, item)
            there.add(item)
        else:
            retract(postings, facts, terms, item)
            there.discard(item)
        listed = postings.item[3]
        size = np.count_nonzero(listed)
        assert not listed[size:].any()
        held = set((listed[:size] - 1).tolist())
        assert len(held) == size
        assert held <= there
        assert np.array_equal(listed, postings.item[9])
    forget(postings, np.arange(0, 61, 2, dtype=np.int32))
    assert set(postings.item[3].tolist()) <= {0, *range(2, 61, 2)}
    assert not postings.item[3][np.count_nonzero(postings.item[3]) :].any()


@given(st.lists(st.integers(0, 1_000), unique=True, min_size=EACH + 1, max_size=80))
def test_those_stay_that_are_most_popular(popular: list[int]):
    postings, facts = new_postings(81), np.zeros(len(popular), FACT)
    facts["popular"] = popular
    for item in range(len(popular)):
        offer(postings, facts, np.array([3], np.int32), item)
    held = sorted(popular[item - 1] for item in postings.item[3])
    assert held == sorted(popular)[-EACH:]


def test_a_profile_replaces_an_earlier_one_and_an_empty_one_clears():
    worker = departments()
    after(worker, 1_000, "profile", context={"interests": ["shoes"]})
    # It speaks of something else: what was stated stands.
    assert after(worker, 1_001, "profile", context={"country": "DE"})["items"][0][0] == "s"
    assert after(worker, 1_002, "profile", context={"interests": ["garden"]})["items"][0][0] == "g"
    # Once more what was said before: the same event, which changes nothing.
    worker.feed(log([event("profile", "zoe", event_id="e1000", context={"interests": ["shoes"]})], 1_003))
    assert after(worker, 1_004, "profile", context={"country": "FR"})["items"][0][0] == "g"
    nothings: list[dict[str, Any]] = [{}, {"interests": []}]
    for nothing in nothings:
        found = after(worker, 1_005 + len(nothing), "profile", context=nothing)
        assert found["items"][0][0] == "b"
        assert "interest" not in found["reasons"]


def stated_by(worker: Worker, user: str) -> list[str]:
    unit = worker.engine.shopper_units[0]
    return describe(unit, unit.interner.find(user.encode())).interests


def test_what_was_stated_is_shown_saved_and_goes_along_when_a_visitor_logs_in():
    worker = departments()
    after(worker, 1_000, "profile", "cookie", context={"interests": ["Garden", 7, "trips\0", "x" * 200]})
    assert stated_by(worker, "cookie") == ["garden", "trips"]
    saved = [message.value for message in whole(worker.engine.shopper_units[0])]
    worker.engine.open_shoppers(0, 1)
    worker.engine.restore_shoppers(0, saved)
    assert stated_by(worker, "cookie") == ["garden", "trips"]
    assert after(worker, 1_001, "profile", "cookie", context={"country": "FR"})["items"][0][0] == "g"
    effects = worker.feed(log([event("identify", "anna", session_id="cookie")], 1_002))
    for offset in (1_003, 1_004):
        (message,) = [m for m in effects.messages if m.topic == "events"]
        effects = worker.feed([LogRecord(offset, T0, message.key, message.value)])
    assert stated_by(worker, "anna") == ["garden", "trips"]
    assert items_of(effects, "anna")[0][0] == "g"
    assert worker.engine.shopper_units[0].interner.find(b"cookie") < 0


@given(st.dictionaries(st.sampled_from([*KEYS, "country"]), st.one_of(st.text(), st.lists(st.text()))))
def test_any_text_can_be_stated_and_what_is_kept_is_what_fits(context: dict[str, Any]):
    texts = interests(context)
    assert (texts is None) == (set(context) == {"country"})
    kept = packed(texts or [])
    assert len(kept) <= STATED_BYTES
    assert unpacked(kept + b"\0" * 8) == [text for text in texts or [] if text in unpacked(kept)]
    assert packed(unpacked(kept)) == kept
