"""Names of cohorts, and the bounded counts of what each takes."""

from __future__ import annotations

import doctest
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream.cohorts
from stream.cohorts import FIELDS, OF_VISIT, VALUE_MAX_CHARS, cohorts
from stream.events.types import View
from stream.items.cohort_names import NAMES_MOST, CohortNames, hashes
from stream.items.cohorts import COHORTS, HELD, LEAST_SHOPPERS, find, forget, hear_from, new_cohorts
from stream.shoppers.row import SHOPPER
from tests.unit.core_helpers import T0

# -- the texts ---------------------------------------------------------------------------------------


def test_the_examples_of_its_documentation():
    assert doctest.testmod(stream.cohorts).failed == 0


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.example.com/a?b=c", "example.com"),
        ("www.Example.com", "example.com"),
        ("example.com/path", "example.com"),
        ("android-app://com.example", "com.example"),
        ("Summer  Mail ", "summer mail"),
        ("http://[broken/", None),
        ("", None),
        (None, None),
        (True, None),
        (["a"], None),
        ("x" * (VALUE_MAX_CHARS + 1), None),
        ("a\0b", None),
    ],
)
def test_a_referrer_is_its_host(referrer: Any, host: str | None):
    assert cohorts({"referrer": referrer}) == ({1: f"referrer={host}"} if host else {})


@given(st.dictionaries(st.sampled_from([*FIELDS, "else"]), st.one_of(st.none(), st.text(), st.integers())))
def test_any_context_can_be_told_and_is_read_alike_everywhere(context: dict[str, Any]):
    found = cohorts(context)
    assert list(found) == sorted(found)
    assert all(name.startswith(f"{FIELDS[k]}=") and name.isprintable() for k, name in found.items())
    assert cohorts({FIELDS[k]: name.partition("=")[2] for k, name in found.items() if k != 1}) == {
        k: name for k, name in found.items() if k != 1
    }
    assert all(k >= OF_VISIT for k in cohorts(context, profile=True))
    assert np.count_nonzero(hashes(found)) == len(found)


def test_only_so_many_names_are_kept():
    names = CohortNames()
    for k in range(NAMES_MOST + 10):
        told = View(event_id="e", ts=T0, user_id="u", item_id="i", context={"country": f"c{k}"})
        names.told([(0, told)], 1)
    assert len(names.names) == NAMES_MOST
    assert "country=c0" not in names.names.values()
    assert names.told([], 5).shape == (0, len(FIELDS))


# -- the counts --------------------------------------------------------------------------------------


def of(*keys: int, bucket: int = 0) -> Any:
    row = np.zeros(1, SHOPPER)[0]
    row["cohorts"][: len(keys)] = keys
    row["bucket"] = bucket
    return row


@given(st.lists(st.integers(0, HELD * 3), min_size=1, max_size=600))
def test_no_sum_is_too_low_and_none_too_high_by_more_than_the_lightest(items: list[int]):
    table, truth = new_cohorts(), Counter(items)
    for n, item in enumerate(items):
        hear_from(table, of(7, bucket=n % 64), item, 1.0, 1.0)
    at = int(np.flatnonzero(table.key == 7)[0])
    assert find(table, 7) == (at if len(items) >= LEAST_SHOPPERS else -1)
    held = {item - 1: weight for item, weight in zip(table.item[at], table.weight[at], strict=True) if item}
    assert sum(held.values()) == table.total[at] == len(items)
    lightest = min(held.values()) if len(held) == HELD else 0.0
    for item, weight in held.items():
        assert truth[item] <= weight <= truth[item] + lightest
    assert all(count <= lightest for item, count in truth.items() if item not in held)


def test_where_there_is_no_room_the_cohort_that_is_heard_of_least_gives_way():
    table = new_cohorts()
    keys = [5 + COHORTS * k for k in range(9)]
    for n, key in enumerate(keys):
        for shopper in range(LEAST_SHOPPERS + (n != 3)):
            hear_from(table, of(key, bucket=shopper), n, 1.0, 1.0)
    assert [find(table, key) >= 0 for key in keys] == [n != 3 for n in range(9)]
    assert table.item[find(table, keys[8])][:2].tolist() == [9, 0]
    assert find(table, 0) == -1


def test_items_that_are_forgotten_make_room():
    table = new_cohorts()
    for item in range(HELD):
        hear_from(table, of(7), item, 1.0, 1.0 + item)
    forget(table, np.array([0, 4, 9], np.int32))
    at = int(np.flatnonzero(table.key == 7)[0])
    assert set(table.item[at].tolist()) == {0, *range(1, HELD + 1)} - {1, 5, 10}
    assert np.array_equal(table.weight[at] > 0, table.item[at] > 0)
    for item in (HELD, HELD + 1, 0):
        hear_from(table, of(7), item, 1.0, 1.0)
    assert set(table.item[at].tolist()) == set(range(1, HELD + 3)) - {5, 10}
