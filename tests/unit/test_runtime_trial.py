"""How batches are applied where records end workers: what is committed before, and what is told."""

from __future__ import annotations

from typing import Any

import pytest
from faust.types import TP

from stream.effects import Effects, Message
from stream.errors import LayoutError
from stream.events.records import LogRecord
from stream.runtime.stages import Stage
from stream.runtime.trial import Trial
from stream.runtime.trouble import CALM, STARTS, Trouble

A = TP("events", 3)


def log(start: int, end: int) -> list[LogRecord]:
    return [LogRecord(offset, 0, None, b"%d" % offset) for offset in range(start, end)]


class Scene:
    """A stage that notes what it is given, and a group that notes what is committed."""

    def __init__(self, trouble: Trouble = CALM, end: int = 10) -> None:
        self.story: list[Any] = []
        self.trouble = trouble
        self.ours = True
        self.error: Exception | None = None
        self.stage = Stage(
            "shoppers",
            "events",
            None,
            lambda partition, lineage_ms: None,
            lambda partition, saved: 0,
            lambda partition: None,
            self._apply,
            leave_out=lambda partition, record: self.story.append(("left out", record.offset)),
        )
        self.trial = Trial(A, self._tell)
        self.trial.begin(trouble.plan(0, end))

    def _apply(self, partition: int, records: Any, now_ms: int, silent: bool) -> Effects:
        assert partition == A.partition
        offsets = [record.offset for record in records]
        self.story.append(offsets)
        if self.error is not None and 5 in offsets:
            raise self.error
        return Effects(messages=[Message("m", None, record.value) for record in records])

    def _tell(self, change: Any) -> bool:
        self.trouble = change(self.trouble)
        self.story.append(self.trouble.suspects)
        return self.ours

    def apply(self, start: int, end: int, silent: bool = False) -> Effects | None:
        self.story.clear()
        return self.trial.apply(self.stage, log(start, end), silent)


def values(effects: Effects | None) -> list[int]:
    assert effects is not None
    return [int(message.value) for message in effects.messages]


def test_without_trouble_a_batch_goes_whole_and_nothing_is_committed():
    scene = Scene()
    assert values(scene.apply(0, 6)) == list(range(6))
    assert scene.story == [list(range(6))]
    assert scene.apply(6, 8, silent=True) == Effects()


def test_while_a_delivery_waits_no_record_is_suspected():
    """Each that is watched is committed as suspect before it is applied; none is when the batch is done."""
    scene = Scene(Trouble(starts=STARTS + 1), end=5)
    assert values(scene.apply(0, 3)) == [0, 1, 2]
    assert scene.story == [(0, 1), [0], (1, 2), [1], (2, 3), [2], (0, 0)]
    assert values(scene.apply(3, 8)) == [3, 4, 5, 6, 7]
    assert scene.story == [(3, 4), [3], (4, 5), [4], (0, 0), [5, 6, 7]], "nor while others are applied"
    assert scene.trouble == CALM
    scene.apply(8, 10)
    assert scene.story == [[8, 9]], "whole batches again"


def test_a_group_that_has_moved_on_ends_it_before_anything_is_applied():
    scene = Scene(Trouble(starts=STARTS + 1))
    scene.ours = False
    assert scene.apply(0, 3) is None
    assert scene.story == [(0, 1)]


@pytest.mark.parametrize("silent", [False, True])
def test_an_error_of_the_engine_is_committed_with_its_batch_and_raised_again(silent, caplog):
    scene = Scene()
    scene.error = ValueError("odd")
    with pytest.raises(ValueError, match="odd"):
        scene.apply(4, 7, silent)
    assert scene.story == [[4, 5, 6], (4, 7)]
    assert scene.trouble.said == (-1, ""), "three records raised it"
    assert "Applying records 4 to 6 of events-3 raised ValueError" in caplog.text
    assert "the next start applies less at a time" in caplog.text
    again = Scene(scene.trouble.opened())
    again.error = ValueError("odd")
    with pytest.raises(ValueError, match="odd"):
        again.apply(4, 7, silent)
    assert again.story == [(4, 5), [4], (5, 6), [5], (5, 6)]
    offset, said = again.trouble.said
    assert offset == 5
    assert said.endswith("ValueError: odd")
    assert "Applying record 5 of events-3" in caplog.text


@pytest.mark.parametrize("error", [LayoutError("upgrade this worker"), OSError("no space left on device")])
def test_an_error_that_no_record_causes_suspects_none(error):
    scene = Scene()
    scene.error = error
    with pytest.raises(type(error)):
        scene.apply(4, 7)
    assert scene.trouble == CALM


def test_what_is_left_out_is_passed_over_and_refused_with_its_reason(caplog):
    condemned = CALM.marked(5, 6).marked(5, 6).raised(5, 6, "Traceback").opened()
    scene = Scene(condemned)
    effects = scene.apply(4, 7)
    assert values(effects) == [4, 6]
    assert scene.story == [[4], ("left out", 5), [6]]
    assert effects is not None
    (refused,) = effects.refused
    assert (refused.record.offset, refused.reason, refused.attempts) == (5, "crashed", 2)
    assert refused.message.endswith("\nTraceback")
    assert "Record 5 of events-3 has ended the worker 2 times" in caplog.text


def test_a_replay_refuses_only_what_may_not_be_in_dead_letters_yet():
    condemned = CALM.marked(5, 6).marked(5, 6).opened()
    effects = Scene(condemned).apply(4, 7, silent=True)
    assert effects is not None
    assert [refused.record.offset for refused in effects.refused] == [5]
    scene = Scene(condemned.moved_on(6).opened())
    assert scene.apply(4, 7, silent=True) == Effects()
    assert scene.story == [[4], ("left out", 5), [6]]
