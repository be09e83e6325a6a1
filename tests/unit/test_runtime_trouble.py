"""Who is suspected, and who is left out: the decisions alone, a start after the other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events.records import LogRecord
from stream.runtime.commits import metadata, parse_committed
from stream.runtime.trouble import (
    CALM,
    LEFT_OUT_MAX,
    SAID_BYTES,
    STARTS,
    STRETCHES,
    TRIES,
    Plan,
    Trouble,
    said_of,
)


def log(start: int, end: int) -> list[LogRecord]:
    return [LogRecord(offset, 0, None, None) for offset in range(start, end)]


def offsets(plan: Plan, start: int, end: int) -> list[tuple[list[int], bool, bool]]:
    return [
        ([record.offset for record in piece.records], piece.left_out, piece.watched)
        for piece in plan.pieces(log(start, end))
    ]


class Killed(Exception):
    """The process is gone, and says nothing."""


class Partition:
    """A log from `start` to `end` of which some records kill whoever applies them; `trouble` is all that
    outlives a start."""

    def __init__(self, start: int, end: int, deadly: set[int], raising: bool = False) -> None:
        self.start, self.end, self.deadly, self.raising = start, end, deadly, raising
        self.trouble = CALM
        self.applied: list[int] = []

    def _run(self, records: list[LogRecord]) -> None:
        if any(record.offset in self.deadly for record in records):
            if self.raising:
                self.trouble = self.trouble.raised(records[0].offset, records[-1].offset + 1, "said")
            raise Killed
        self.applied += [record.offset for record in records]

    def once(self, batch: int = 5000) -> bool:
        """One start of a worker; whether it got to the end."""
        self.trouble, self.applied = self.trouble.opened(), []
        plan = self.trouble.plan(self.start, self.end)
        try:
            for first in range(self.start, self.end, batch):
                for piece in plan.pieces(log(first, min(first + batch, self.end))):
                    if piece.watched:
                        self.trouble = self.trouble.marked(
                            piece.records[0].offset, piece.records[-1].offset + 1
                        )
                    if not piece.left_out:
                        self._run(list(piece.records))
                    if piece.watched:
                        self.trouble = self.trouble.cleared()
        except Killed:
            return False
        self.trouble = self.trouble.moved_on(self.end)
        return True

    def starts(self) -> int:
        """Starts until the end was reached, that one included."""
        for count in range(1, 100):
            if self.once():
                return count
        raise AssertionError("never")


def test_a_record_that_kills_in_silence_is_left_out_after_four_starts():
    partition = Partition(10, 400, {77})
    assert partition.starts() == STARTS + TRIES + 1
    assert partition.applied == [offset for offset in range(10, 400) if offset != 77]
    assert partition.trouble == Trouble(left_out=(77,))


def test_an_error_that_is_raised_names_its_batch_and_needs_fewer_starts():
    partition = Partition(10, 400, {77}, raising=True)
    assert partition.starts() == 1 + TRIES + 1
    assert partition.trouble == Trouble(left_out=(77,))


def test_a_record_that_came_alone_is_tried_once_more_and_no_oftener():
    partition = Partition(10, 11, {10}, raising=True)
    assert partition.starts() == TRIES + 1


def test_in_a_long_backlog_stretches_become_shorter_from_start_to_start():
    partition = Partition(0, 250_000, {123_456})
    assert partition.starts() == STARTS + 1 + TRIES + 1
    assert partition.trouble.left_out == (123_456,)


@given(
    st.integers(0, 10**12),
    st.integers(1, 1500),
    st.sets(st.integers(0, 1499), max_size=3),
    st.booleans(),
)
def test_whatever_kills_is_left_out_and_nothing_else(start, length, deadly, raising):
    killers = {start + at for at in deadly if at < length}
    partition = Partition(start, start + length, killers, raising)
    partition.starts()
    assert set(partition.trouble.left_out) == killers
    assert partition.applied == [at for at in range(start, start + length) if at not in killers]
    # What is left out stays out of every later replay, whose batches are whole else.
    assert partition.once()
    assert set(partition.applied) & killers == set()


def test_progress_ends_the_count_of_starts_and_so_does_an_orderly_leave():
    tried = CALM.opened().opened()
    assert tried.opened().plan(0, 10).upto == 10
    assert tried.moved_on(5).opened().plan(5, 10).is_plain
    assert tried.given_away().opened().plan(0, 10).is_plain


def test_progress_below_the_suspects_leaves_them_suspected():
    raised = CALM.opened().raised(20, 30, "said")
    assert raised.moved_on(20).suspects == (20, 30)
    assert raised.moved_on(29).suspects == (20, 30)
    assert raised.moved_on(30) == CALM


def test_suspects_that_are_in_saved_state_are_not_watched():
    assert CALM.raised(20, 30, "").plan(30, 40).is_plain
    assert (CALM.raised(20, 30, "").plan(25, 40).first, CALM.raised(20, 30, "").plan(25, 40).upto) == (25, 30)


def test_once_alone_is_no_verdict_and_another_stretch_between_begins_anew():
    once = CALM.marked(7, 8)
    assert not once.condemned
    assert not once.marked(8, 9).marked(7, 8).condemned
    assert once.marked(7, 8).condemned
    assert not CALM.marked(7, 9).marked(7, 9).condemned, "more than one record"


def test_a_dead_letter_stays_owed_until_it_is_told_whatever_else_ends_the_worker():
    owed = CALM.marked(7, 8).marked(7, 8).raised(7, 8, "of seven").opened()
    for trouble in (owed, owed.raised(3, 5, ""), owed.marked(3, 4).cleared(), owed.moved_on(7)):
        assert (trouble.left_out, trouble.owed, trouble.said) == ((7,), (7,), (7, "of seven"))
    for trouble in (owed.moved_on(8), owed.told(8).cleared()):
        assert trouble == Trouble(left_out=(7,))


def test_no_more_are_left_out_than_there_is_room_for_and_old_ones_make_room():
    full = Trouble(left_out=tuple(range(LEFT_OUT_MAX)))
    assert not full.marked(500, 501).marked(500, 501).condemned
    assert full.pruned(0) == full
    assert full.pruned(90).marked(500, 501).marked(500, 501).opened().left_out == (*range(90, 100), 500)
    few = Trouble(left_out=(1, 2))
    assert few.pruned(90) == few, "an older bucket may still come on top"


def test_a_batch_is_cut_where_records_are_left_out_or_watched():
    plan = Plan(frozenset({3}), first=5, upto=9, stride=2)
    assert offsets(plan, 0, 12) == [
        ([0, 1, 2], False, False),
        ([3], True, False),
        ([4], False, False),
        ([5, 6], False, True),
        ([7, 8], False, True),
        ([9, 10, 11], False, False),
    ]
    assert plan.after(3) == plan
    assert plan.after(4) == plan._replace(left_out=frozenset())
    assert plan.after(9).is_plain
    assert not plan.is_plain
    assert CALM.plan(0, 10**9).is_plain
    assert Trouble(left_out=(3,)).plan(4, 9).is_plain, "nobody comes by it"


def test_all_suspects_take_a_bounded_number_of_commits():
    trouble = Trouble(starts=STARTS + 1)
    for length in (1, 999, 1000, 1001, 123_456):
        plan = trouble.plan(0, length)
        watched = sum(watched for _, _, watched in offsets(plan, 0, length))
        assert watched <= STRETCHES


def test_a_dead_letter_tells_how_often_and_how():
    killed = CALM.marked(7, 8).marked(7, 8)
    assert killed.opened().plan(0, 9).sentence(7) == (
        "the record ended the worker 2 times when it was applied alone; no error is known: killed, out of "
        "memory, or a fault in native code"
    )
    raised = killed.raised(7, 8, "Traceback: x").opened()
    assert raised.plan(0, 9).sentence(7) == (
        "the record ended the worker 2 times when it was applied alone\nTraceback: x"
    )


def found(text: str | None) -> Any:
    return parse_committed(type("Found", (), {"offset": 12, "metadata": text})())


@pytest.mark.parametrize(
    "trouble",
    [
        CALM,
        Trouble(starts=2),
        Trouble(starts=1, suspects=(3, 9), left_out=(1, 2)),
        CALM.marked(7, 8).raised(7, 8, 'Traceback "ä"\n'),
    ],
)
def test_metadata_comes_back_as_it_was(trouble):
    assert found(metadata(1_700_000_000_000, trouble)) == (12, 1_700_000_000_000, trouble)


def test_metadata_without_trouble_is_the_lineage_as_it_always_was():
    assert metadata(1_700_000_000_000, CALM) == "1700000000000"
    assert found("1700000000000") == (12, 1_700_000_000_000, CALM)
    for text in ("", None):
        assert found(text) == (12, 0, CALM)
    for newer in ("of a newer version", '{"starts":"x"}', '{"new":1}'):
        assert found(f"1700000000000 {newer}") == (12, 1_700_000_000_000, CALM)


def test_metadata_is_never_larger_than_brokers_take():
    def deep(level: int) -> None:
        if level:
            deep(level - 1)
        raise ValueError('"\\\x00' * 5000)

    with pytest.raises(ValueError, match=r"\\") as caught:
        deep(30)
    said = said_of(caught.value)
    assert len(msgspec.json.encode(said)) <= SAID_BYTES
    left_out = tuple(range(10**15, 10**15 + LEFT_OUT_MAX))
    most = Trouble(99, (10**15, 10**15 + 1), 9, left_out, left_out[:1], (10**15, said))
    assert found(metadata(10**13, most)).trouble == most
    # All of one burst, before any of them was passed.
    many = msgspec.structs.replace(most, owed=left_out)
    assert found(metadata(10**13, many)).trouble == many.without_words()
    assert max(len(metadata(10**13, trouble).encode()) for trouble in (most, many)) < 4096


def test_of_a_long_traceback_the_end_is_kept():
    def deep(level: int) -> None:
        if level:
            deep(level - 1)
        raise ValueError(f"at level {level}")

    with pytest.raises(ValueError, match="at level 0") as caught:
        deep(40)
    assert said_of(caught.value).endswith("ValueError: at level 0")
    with pytest.raises(ValueError, match="at level 0") as short:
        deep(0)
    assert said_of(short.value).startswith("Traceback")
