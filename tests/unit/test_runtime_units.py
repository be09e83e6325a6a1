from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from stream.effects import Effects, Message
from stream.errors import RetentionError
from stream.events.records import LogRecord
from stream.runtime import units as module
from stream.runtime.commits import Committed
from stream.runtime.engine_thread import EngineThread
from stream.runtime.settings import Settings
from stream.runtime.stages import Stage
from stream.runtime.trouble import STARTS, Trouble
from stream.runtime.units import Units

A, B = TP("events", 0), TP("item-updates", 0)
BORN_MS = 1_700_000_000_000


class Scene:
    """Two stages over made-up logs; what the units do is written down in `story`."""

    def __init__(self, monkeypatch) -> None:
        self.story: list[Any] = []
        self.begin = {A: 0, B: 0}
        self.end = {A: 0, B: 0}
        self.committed: dict[TP, Committed | None] = {A: None, B: None}
        self.commits = True
        self.states: dict[str, list[tuple[bytes, bytes]]] = {}
        self.saved_upto = 0
        self.deadly: int | None = None
        self.delivered: list[Any] = []
        self.current = True
        stages = [self._stage("items", "item-updates"), self._stage("shoppers", "events")]
        self.units = Units(Settings.load(max_poll_records=4), stages, EngineThread(), self._deliver)
        self.consumer: Any = SimpleNamespace(
            lineages={},
            troubles={},
            opened={},
            committed=self._committed,
            commit_now=self._commit,
            note=self._note,
        )
        monkeypatch.setattr(module, "LogReader", lambda settings: self)
        monkeypatch.setattr(module, "now_ms", lambda: BORN_MS)

    def _stage(self, name: str, topic: str) -> Stage:
        def apply(partition, records, now_ms, silent):
            assert silent
            self.story.append((name, [record.offset for record in records]))
            if self.deadly in [record.offset for record in records]:
                raise ValueError("told to fail")
            return Effects()

        def restore(partition, saved):
            if saved:
                self.story.append((name, "restore", saved))
            return self.saved_upto if saved else 0

        return Stage(
            name,
            topic,
            f"{name}-state",
            lambda partition, lineage_ms: self.story.append((name, "open", lineage_ms)),
            restore,
            lambda partition: self.story.append((name, "close")),
            apply,
        )

    async def _deliver(self, many):
        self.delivered += [
            (topic, partition, [refused.record.offset for refused in effects.refused])
            for effects, topic, partition in many
        ]

    async def _committed(self, tps):
        return {tp: self.committed[tp] for tp in tps}

    async def _commit(self, offsets):
        if self.commits:
            for tp, offset in offsets.items():
                self.committed[tp] = Committed(offset, self.consumer.lineages[tp], self.consumer.troubles[tp])
        return self.commits

    async def _note(self, tp, change):
        self.consumer.troubles[tp] = change(self.consumer.troubles[tp])
        self.story.append(("note", self.consumer.troubles[tp]))
        stands = self.committed[tp]
        assert stands is not None
        return await self._commit({tp: stands.offset})

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        return None

    async def beginnings(self, places):
        return {place: self.begin[place] for place in places}

    async def ends(self, places):
        return {
            (topic, p): self.end[TP(topic, p)] if (topic, p) in self.end else len(self.states.get(topic, ()))
            for topic, p in places
        }

    def open(self, starts):
        self.starts = starts

    async def read(self, place, stop, most):
        if place[0] in self.states:
            yield [LogRecord(n, 0, *entry) for n, entry in enumerate(self.states[place[0]])]
            return
        for first in range(self.starts[place], stop, most):
            yield [LogRecord(offset, 0, None, None) for offset in range(first, min(first + most, stop))]

    async def assign(self, *tps: TP) -> bool:
        self.story.clear()
        return await self.units.assign(tps, self.consumer, lambda: self.current)


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


async def test_a_new_unit_gets_its_lineage_committed_at_once(scene):
    assert await scene.assign(A)
    assert scene.story == [("shoppers", "open", BORN_MS)]
    assert scene.committed[A] == Committed(0, BORN_MS)
    assert scene.consumer.opened == {A: 0}


async def test_a_unit_is_restored_by_silent_replay_up_to_the_committed_offset_items_first(scene):
    scene.committed = {A: Committed(6, 5), B: Committed(2, 7)}
    assert await scene.assign(A, B)
    assert scene.story == [
        ("items", "open", 7),
        ("shoppers", "open", 5),
        ("items", [0, 1]),
        ("shoppers", [0, 1, 2, 3]),
        ("shoppers", [4, 5]),
    ]
    assert scene.units.get(A).next_offset == 6
    assert scene.consumer.lineages == {A: 5, B: 7}
    assert scene.units.replayed == {"items": 2, "shoppers": 6}
    assert scene.units.restore_seconds.read().buckets[-1][1] == 1
    assert scene.units.places() == {"shoppers": [0], "items": [0]}
    assert await scene.assign(A, B)
    assert scene.units.restore_seconds.read().buckets[-1][1] == 1, "there was nothing to restore"


async def test_a_unit_that_stands_where_the_group_does_is_kept(scene):
    scene.committed = {A: Committed(6, 5), B: Committed(2, 7)}
    await scene.assign(A, B)
    scene.units.get(A).next_offset = 9
    scene.committed[A] = Committed(9, 5)
    assert await scene.assign(A)
    assert scene.story == [("items", "close")]


@pytest.mark.parametrize("stand", [Committed(8, 5), Committed(6, 50)])
async def test_a_unit_that_is_elsewhere_is_restored_anew(scene, stand):
    scene.committed = {A: Committed(6, 5), B: None}
    await scene.assign(A)
    scene.committed[A] = stand
    assert await scene.assign(A)
    assert scene.story[:2] == [("shoppers", "close"), ("shoppers", "open", stand.lineage_ms)]
    assert scene.units.get(A).next_offset == stand.offset


async def test_offsets_that_somebody_reset_get_a_new_lineage(scene):
    scene.committed[A] = Committed(3, 0)
    assert await scene.assign(A)
    assert scene.story[0] == ("shoppers", "open", BORN_MS)
    assert scene.committed[A] == Committed(3, BORN_MS)


async def test_unread_records_that_are_gone_are_refused(scene):
    scene.begin[A] = 10
    scene.committed[A] = Committed(6, 5)
    with pytest.raises(RetentionError, match="records 6 to 9 of events-0"):
        await scene.assign(A)


async def test_read_records_that_are_gone_make_the_state_partial(scene, caplog):
    scene.begin[A] = 4
    scene.committed[A] = Committed(6, 5)
    assert await scene.assign(A)
    assert scene.story[1:] == [("shoppers", [4, 5])]
    assert "events-0 is partial" in caplog.text


async def test_saved_buckets_shorten_the_replay_and_the_last_of_each_counts(scene):
    scene.committed[A] = Committed(6, 5)
    scene.states["shoppers-state"] = [(b"0", b"old"), (b"1", b"one"), (b"0", b"new")]
    scene.saved_upto = 4
    assert await scene.assign(A)
    assert scene.story == [
        ("shoppers", "open", 5),
        ("shoppers", "restore", [b"new", b"one"]),
        ("shoppers", [4, 5]),
    ]
    assert scene.units.get(A).next_offset == 6


async def test_saved_state_beyond_the_committed_offset_needs_no_replay(scene):
    scene.committed[A] = Committed(6, 5)
    scene.states["shoppers-state"] = [(b"0", b"new")]
    scene.saved_upto = 9
    assert await scene.assign(A)
    assert scene.story[-1][1] == "restore"
    assert scene.units.get(A).next_offset == 6, "what was not committed comes again; buckets leave it out"


async def test_a_log_that_begins_after_the_saved_state_is_refused(scene):
    scene.begin[A] = 5
    scene.committed[A] = Committed(6, 5)
    scene.states["shoppers-state"] = [(b"0", b"new")]
    scene.saved_upto = 4
    with pytest.raises(RetentionError, match="records 4 to 4 of events-0"):
        await scene.assign(A)


async def test_another_rebalance_ends_a_restore_and_leaves_no_half_restored_unit(scene):
    scene.committed[A] = Committed(6, 5)
    apply = scene.units._stages["events"].apply
    interrupted: list[Any] = []

    def interrupting(*arguments):
        scene.current = len(interrupted) > 0
        interrupted.append(arguments)
        return apply(*arguments)

    scene.units._stages["events"] = scene.units._stages["events"]._replace(apply=interrupting)
    assert not await scene.assign(A)
    assert scene.units.get(A) is None
    scene.current = True
    assert await scene.assign(A)
    assert scene.units.get(A).next_offset == 6


async def test_a_group_that_moved_on_restores_nothing(scene):
    scene.commits = False
    assert not await scene.assign(A)
    assert scene.units.get(A) is None


async def test_batches_are_applied_up_to_their_end_and_records_that_the_state_holds_are_left_out(scene):
    applied: list[list[int]] = []

    def apply(partition, records, now_ms, silent):
        assert not silent
        applied.append([record.offset for record in records])
        return Effects()

    await scene.assign(A)
    unit = scene.units.get(A)
    unit.stage = unit.stage._replace(apply=apply)
    batch = [LogRecord(offset, 0, None, None) for offset in range(4)]
    for records in (batch[:3], batch[2:], batch[1:3]):
        assert await scene.units.apply([(A, records)]) == [Effects()]
    assert applied == [[0, 1, 2], [3]]
    assert unit.next_offset == 4, "never backwards"
    assert await scene.units.apply([(A, batch), (B, batch)]) == [Effects(), None], "not open here"


async def test_after_a_batch_the_buckets_are_saved_whose_turn_it_is_and_both_are_timed(scene):
    bucket = Message("shopper-state", b"0", b"state", 0)
    turns = [[], [bucket]]
    stage = scene._stage("shoppers", "events")._replace(
        apply=lambda partition, records, now_ms, silent: Effects(), save=lambda partition: turns.pop(0)
    )
    units = Units(Settings.load(), [stage], EngineThread())
    assert await units.assign([A], scene.consumer, lambda: True)
    found = [await units.apply([(A, [LogRecord(k, 77 + k, None, None)])]) for k in range(2)]
    assert [effects.saved for (effects,) in found if effects] == [[], [bucket]]
    assert units.seconds["apply", "shoppers"].read().buckets[-1][1] == 2
    assert units.seconds["save", "shoppers"].read().buckets[-1][1] == 1
    unit = units.get(A)
    assert unit is not None
    assert (unit.next_offset, unit.reached_ms) == (2, 78)


async def test_starts_that_get_nowhere_are_counted_and_the_next_goes_carefully(scene):
    """A unit that is kept is not started again."""
    scene.committed[A] = Committed(6, 5)
    scene.end[A] = 8
    for starts in range(1, STARTS + 1):
        scene.units._units.clear()
        assert await scene.assign(A)
        assert await scene.assign(A)
        assert scene.committed[A] == Committed(6, 5, Trouble(starts=starts))
        assert scene.story == []
    scene.units._units.clear()
    assert await scene.assign(A)
    assert [offsets for name, offsets, *_ in scene.story if name == "shoppers"][1:] == [[k] for k in range(6)]
    assert scene.committed[A] == Committed(6, 5), "a replay that came to its end"


async def test_a_replay_that_fails_names_its_batch_and_the_next_goes_one_by_one(scene):
    scene.committed[A] = Committed(6, 5)
    scene.deadly = 1
    with pytest.raises(ValueError, match="told to fail"):
        await scene.assign(A)
    assert scene.committed[A].trouble.suspects == (0, 4)
    assert scene.units.get(A) is None, "the engine may be half changed"
    for tries in (1, 2):
        with pytest.raises(ValueError, match="told to fail"):
            await scene.assign(A)
        assert [offsets for name, offsets, *_ in scene.story if name == "shoppers"][1:] == [[0], [1]]
        trouble = scene.committed[A].trouble
        assert (trouble.suspects, trouble.tries, trouble.said[0]) == ((1, 2), tries, 1)
    assert await scene.assign(A)
    assert [offsets for name, offsets, *_ in scene.story if name == "shoppers"][1:] == [[0], [2, 3], [4, 5]]
    assert scene.delivered == [("events", 0, [1])]
    assert scene.committed[A] == Committed(6, 5, Trouble(left_out=(1,)))
    # Never again, and no second letter.
    scene.units._units.clear()
    assert await scene.assign(A)
    assert scene.units.get(A).next_offset == 6
    assert len(scene.delivered) == 1


async def test_a_unit_whose_group_has_moved_on_in_the_middle_of_a_batch_is_closed(scene):
    scene.committed[A] = Committed(0, 5, Trouble(starts=STARTS))
    scene.end[A] = 8
    assert await scene.assign(A)
    scene.commits = False
    assert await scene.units.apply([(A, [LogRecord(0, 0, None, None)])]) == [None]
    assert scene.units.get(A) is None
    assert scene.story[-1] == ("shoppers", "close")


async def test_after_an_error_of_the_engine_no_unit_applies_anything(scene):
    assert await scene.assign(A, B)
    unit = scene.units.get(A)

    def apply(partition, records, now_ms, silent):
        raise ValueError("told to fail")

    unit.stage = unit.stage._replace(apply=apply)
    batch = [LogRecord(offset, 0, None, None) for offset in range(2)]
    with pytest.raises(ValueError, match="told to fail"):
        await scene.units.apply([(A, batch), (B, batch)])
    assert scene.committed[A].trouble.suspects == (0, 2)
    assert await scene.units.apply([(A, batch), (B, batch)]) == [None, None]
