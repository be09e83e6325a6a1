"""State that begins a log of its own, and its lists made again."""

from __future__ import annotations

import msgspec
import pytest

from stream.effects import version
from stream.refill import Refill
from stream.runtime.compacted import is_older
from stream.saving import whole
from stream.state.bucket import decode, moved
from tests.unit.core_helpers import (
    MINUTE_MS,
    T0,
    Worker,
    event,
    item_counts,
    log,
    pair_weights,
    shopper_states,
)

DAY_MS = 86_400_000
BORN_MS = 1_800_000_000_000


def shop(users: int = 12) -> list[dict]:
    """Everybody looks at three items, a day after whoever came before."""
    return [
        event("view", f"u{u}", f"i{(u + k) % 7}", T0 + u * DAY_MS + k * MINUTE_MS)
        for u in range(users)
        for k in range(3)
    ]


def brought_back(one: Worker, position: int) -> Worker:
    """Another worker with the state of `one`, whose logs begin after `position`."""
    other = Worker()
    engine = other.engine
    for unit, opens, restores in (
        (one.engine.item_units[0], engine.open_items, engine.restore_items),
        (one.engine.shopper_units[0], engine.open_shoppers, engine.restore_shoppers),
    ):
        opens(0, BORN_MS)
        values = [moved(message.value, BORN_MS, position, {0: position}) for message in whole(unit)]
        assert restores(0, values) == position + 1
    return other


def lists_of(worker: Worker, seen_ms: int = 1000 * DAY_MS) -> list[tuple[str, str, str]]:
    """(kind, id, version) of everything, in order."""
    return [
        (values.kind, name.decode(), msgspec.json.decode(value)["version"])
        for _, some in Refill(worker.engine, seen_ms).steps(T0)
        for values in some
        for name, value in zip(values.ids, values.values, strict=True)
    ]


@pytest.fixture
def one() -> Worker:
    return Worker().run(log(shop()))


@pytest.mark.parametrize("position", [-1, 0, 499])
def test_moved_state_goes_on_with_a_log_of_its_own(one: Worker, position: int):
    records = log(shop(14))
    other = brought_back(one, position)
    assert item_counts(other.engine) == item_counts(one.engine)
    assert shopper_states(other.engine) == shopper_states(one.engine)
    assert other.engine.shopper_units[0].clock_ms == one.engine.shopper_units[0].clock_ms
    assert other.engine.item_units[0].clock_ms == one.engine.item_units[0].clock_ms
    assert other.engine.item_units[0].watermark.get(0, -1) == position
    # What comes next has the next offsets there.
    other.sent = [list(one.sent[0][:0])]
    rest = [record._replace(offset=position + 1 + n) for n, record in enumerate(records[36:])]
    effects = other.feed(rest)
    sent = [
        record._replace(offset=position + 1 + n) for n, record in enumerate(other.sent[0]) if effects.messages
    ]
    other.engine.items(0, sent, T0)
    assert other.engine.item_units[0].holes == 0
    one.run(records[36:])
    assert item_counts(other.engine) == item_counts(one.engine)
    assert pair_weights(other.engine) == pytest.approx(pair_weights(one.engine), rel=1e-5)
    assert shopper_states(other.engine) == shopper_states(one.engine)


def test_moving_changes_no_row(one: Worker):
    for message in whole(one.engine.shopper_units[0]):
        before, after = decode(message.value), decode(moved(message.value, 5, 7, {0: 9}))
        assert (after.lineage_ms, after.position, after.ends) == (5, 7, {0: 9})
        assert (
            msgspec.structs.replace(after, lineage_ms=1, position=before.position, ends=before.ends) == before
        )


def test_state_from_before_its_log_is_told_and_its_versions_lie_below_the_first_record(one: Worker):
    other = brought_back(one, -1)
    other.talk()
    assert other.engine.popular.trending, "it has popularity to tell before any record"
    made = lists_of(other)
    assert {kind for kind, *_ in made} == {"recs", "similar"}
    first, last_of_before = version(BORN_MS, 0).decode(), version(BORN_MS - 1, 0).decode()
    assert all(last_of_before < made_at < first for *_, made_at in made)
    again = log([event("view", "u3", "i1", T0 + 20 * DAY_MS)])
    (values,) = [values for values in other.feed(again).values if values.kind == "recs"]
    assert msgspec.json.decode(values.values[0])["version"] == first


def test_versions_are_those_of_the_last_record(one: Worker):
    made = lists_of(one)
    assert {at for kind, _, at in made if kind == "recs"} == {version(1, 35).decode()}
    assert {at for kind, _, at in made if kind == "similar"} == {version(1, len(one.sent[0]) - 1).decode()}


def test_who_was_seen_last_comes_first_and_who_was_not_seen_for_long_is_left_out(one: Worker):
    kinds = [kind for kind, *_ in lists_of(one)]
    assert kinds == sorted(kinds, key=["trending", "similar", "together", "recs"].index)
    assert [name for kind, name, _ in lists_of(one) if kind == "recs"] == [
        f"u{u}" for u in reversed(range(12))
    ]
    late = [name for kind, name, _ in lists_of(one, 2 * DAY_MS) if kind == "recs"]
    assert late == ["u11", "u10", "u9"]


def test_what_is_done_adds_up_to_the_total(one: Worker):
    refill = Refill(one.engine, DAY_MS)
    assert sum(done for done, _ in refill.steps(T0)) == refill.total == 7 + 2


def test_an_engine_without_state_has_nothing_to_make():
    assert lists_of(Worker()) == []


def test_of_two_values_the_higher_version_counts_and_without_versions_the_later():
    low, high = (b'{"version":"%s","price":1}' % version(5, at) for at in (9, 10))
    assert is_older(low, high)
    assert not is_older(high, low)
    assert not is_older(low, low)
    for value, known in ((None, high), (low, None), (b'{"item_id":"a"}', b'{"item_id":"b"}'), (low, b"{}")):
        assert not is_older(value, known)
