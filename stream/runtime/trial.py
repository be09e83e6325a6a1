"""Applying a unit's batches: whole as a rule, with care where records have ended a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from faust.types import TP

from stream.effects import Effects
from stream.errors import StreamError
from stream.events.records import Refused
from stream.runtime.clock import now_ms
from stream.runtime.stages import Stage
from stream.runtime.trouble import TRIES, Piece, Plan, Trouble, said_of

log = logging.getLogger(__name__)

Tell = Callable[[Callable[[Trouble], Trouble]], bool]
"""Commits the partition's trouble after a change; False when the group has moved on without us."""


class Trial:
    """How the records of one unit are applied. To be used in the engine's thread, where nothing else is
    applied between a mark and its record: a crash while a record is marked is no other record's."""

    def __init__(self, tp: TP, tell: Tell) -> None:
        self._tp = tp
        self._tell = tell
        self._plan = Plan()

    def begin(self, plan: Plan) -> None:
        """Go on by this plan, of which is logged what is not usual."""
        self._plan, (topic, partition) = plan, self._tp
        for offset in sorted(plan.owed):
            log.error(
                "Record %d of %s-%d has ended the worker %d times when it was applied alone: it is left out "
                "from now on, also when state is restored, and goes to dead-letters.",
                offset,
                topic,
                partition,
                TRIES,
            )
        if plan.first < plan.upto:
            log.warning(
                "Work on %s-%d has ended workers before, at %s or near: going on carefully, %d at a time, "
                "each time noted in Kafka before.",
                topic,
                partition,
                _range(plan.first, plan.upto),
                plan.stride,
            )

    def apply(self, stage: Stage, records: Sequence[Any], silent: bool) -> Effects | None:
        """Apply a batch that holds records; None when it was given up because the group has moved on.

        Silent: with no effects but what is owed to dead-letters. A plain batch costs no more than the stage
        itself, a watched stretch a commit. An error that the engine raises is committed with the offsets that
        it came from, then raised again.
        """
        if self._plan.is_plain:
            applied = self._run(stage, records, silent)
            return Effects() if silent else applied
        effects, marked = Effects(), False
        for piece in self._plan.pieces(records):
            if piece.watched:
                first, upto = piece.records[0].offset, piece.records[-1].offset + 1
                if not self._tell(partial(Trouble.marked, first=first, upto=upto)):
                    return None
            elif marked and not self._tell(Trouble.cleared):
                return None
            marked = piece.watched
            if piece.left_out:
                self._leave_out(stage, piece, silent, effects)
            else:
                applied = self._run(stage, piece.records, silent)
                if not silent:
                    effects.extend(applied)
        # Also while more is watched: the wait for a delivery, and its end, are not this record's.
        if marked and not self._tell(Trouble.cleared):
            return None
        self._go_on(records[-1].offset + 1)
        return effects

    def _run(self, stage: Stage, records: Sequence[Any], silent: bool) -> Effects:
        try:
            return stage.apply(self._tp.partition, records, now_ms(), silent)
        except (StreamError, OSError):
            # Not for what a record holds: a limit that was set, a newer version's layout, the machine.
            raise
        except Exception as error:
            first, upto, said = records[0].offset, records[-1].offset + 1, said_of(error)
            log.error(
                "Applying %s of %s-%d raised %s: the worker ends, and the next start %s.",
                _range(first, upto),
                *self._tp,
                type(error).__name__,
                "applies less at a time" if upto - first > 1 else "tries it once more, or leaves it out",
            )
            self._tell(partial(Trouble.raised, first=first, upto=upto, said=said))
            raise

    def _leave_out(self, stage: Stage, piece: Piece, silent: bool, effects: Effects) -> None:
        (record,) = piece.records
        stage.leave_out(self._tp.partition, record)
        plan = self._plan
        # What is replayed was refused when it first came by, unless it only now was found to be guilty.
        if not silent or record.offset in plan.owed:
            effects.refused.append(Refused(record, "crashed", plan.sentence(record.offset), TRIES))

    def _go_on(self, offset: int) -> None:
        before, self._plan = self._plan, self._plan.after(offset)
        if before.first < before.upto and self._plan.first == self._plan.upto:
            log.info("%s-%d is past what ended earlier workers: whole batches again.", *self._tp)


def _range(first: int, upto: int) -> str:
    return f"record {first}" if upto - first == 1 else f"records {first} to {upto - 1}"
