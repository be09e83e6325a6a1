"""The one learner: it fits the ranking model to what shoppers did with the lists they got."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from river import drift

from stream.effects import Effects, Message
from stream.events.records import Record, Refused
from stream.learn import listwise
from stream.learn.calibration import Calibration, drawn
from stream.learn.examples import Labelled, is_ours, places_of, unpack_examples
from stream.learn.experts import Experts
from stream.learn.model import LAYOUT, Snapshot, pack_snapshot
from stream.learn.quality import Quality
from stream.recommend.exposures import PUBLISHED
from stream.recommend.features import FEATURES

MODEL_KEY = b"ranking"
"""Key of the ranking model's snapshots in the compacted topic `models`."""

SNAPSHOT_EVERY_MS = 1_000
"""Time between two snapshots."""

MIN_LISTS = 500
"""Labelled lists before the model's order may be published."""

KEEP_MARGIN = 0.98
"""An active model is dropped only when its reciprocal rank falls below this share of the plain one's,
so that noise does not switch it on and off."""

HURRY, HURRY_LISTS = 3.0, 2_000
"""Times the learning rate, for so many lists, after the lists have become worse all of a sudden."""

WATCHED = 16
"""Lists whose mean is watched for drift as one: ADWIN costs 6 µs a number."""


class Learner:
    """Listwise learning of the weights (`stream.learn.experts`), River's ADWIN (Bifet and Gavaldà, 2007)
    over the reciprocal rank of what was published, and River's calibration of the scores; about 15 µs a list.

    The model is a challenger until its own order has ranked what shoppers took next better than the
    plain order, measured on the same lists; and it is one again when it no longer does.
    """

    def __init__(self, known: Snapshot | None = None) -> None:
        """`known`: the model last published, to go on from."""
        self.experts = Experts()
        self.calibration = Calibration()
        self.quality = Quality()
        self.examples = 0
        self.active = False
        self.drifts = 0
        self._hurry = 0
        self._watch = drift.ADWIN()  # type: ignore[no-untyped-call]
        self._unwatched = np.zeros(0)
        self._told_ms = -SNAPSHOT_EVERY_MS
        if known is not None:
            self._go_on_from(known)

    def _go_on_from(self, known: Snapshot) -> None:
        self.experts = Experts(known.experts)
        self.calibration = Calibration(known.reach, *known.calibration)
        self.quality = Quality(known.lists, known.quality)
        self.examples, self.active, self.drifts = known.examples, known.active, known.drifts

    def learn(self, records: Sequence[Record], now_ms: int) -> Effects:
        """Learn from a batch of `examples`; a new snapshot for `models` when one is due.

        Messages with other features than ours (another version's) are refused, not guessed at.
        """
        effects = Effects()
        for record in records:
            try:
                columns = unpack_examples(record.value or b"")
                places = places_of(columns)
                labelled = Labelled(columns) if is_ours(columns) else None
            except (msgspec.MsgspecError, ValueError) as error:
                effects.refused.append(Refused(record, "malformed-examples", str(error)))
                continue
            self.quality.update(places)
            self._look_for_drift(places[:, PUBLISHED])
            if labelled is None:
                effects.refused.append(
                    Refused(record, "other-features", "examples with other features than this version's")
                )
                continue
            self.calibration.reached(len(labelled.size), len(places))
            self._learn(labelled)
        if now_ms - self._told_ms >= SNAPSHOT_EVERY_MS:
            self._told_ms = now_ms
            effects.messages.append(Message("models", MODEL_KEY, pack_snapshot(self.snapshot())))
        return effects

    def _learn(self, labelled: Labelled) -> None:
        lists = len(labelled.size)
        if not lists:
            return
        which, candidate = drawn(lists, labelled.size, self.examples)
        chance = np.zeros(len(which), np.float32)
        best = self.experts.weights[self.experts.best]
        listwise.chances(best, labelled.value, labelled.context, labelled.size, which, candidate, chance)
        taken = labelled.taken[which] == candidate
        self.calibration.learn(zip(chance.tolist(), taken.tolist(), strict=True))
        self.experts.learn(labelled, listwise.RATE * (HURRY if self._hurry > 0 else 1.0))
        self._hurry -= lists
        self.examples += lists

    def _look_for_drift(self, place: NDArray[np.int16]) -> None:
        """A fall of the published lists' reciprocal rank, at all its scales: learn faster for a while."""
        found = np.where(place >= 0, 1.0 / (np.maximum(place, 0) + 1.0), 0.0)
        waiting = np.concatenate([self._unwatched, found])
        full = len(waiting) - len(waiting) % WATCHED
        self._unwatched = waiting[full:]
        for each in waiting[:full].reshape(-1, WATCHED).mean(axis=1).tolist():
            before = self._watch.estimation
            self._watch.update(each)  # type: ignore[no-untyped-call]
            if self._watch.drift_detected and self._watch.estimation < before:
                self.drifts += 1
                self._hurry = HURRY_LISTS

    def snapshot(self) -> Snapshot:
        """The model now, and whether its order is to be published."""
        model, plain = self.quality.recent_mrr("model"), self.quality.recent_mrr("plain")
        enough = self.quality.lists >= MIN_LISTS
        self.active = enough and model > plain * (KEEP_MARGIN if self.active else 1.0)
        best, experts = self.experts.best, self.experts.told()
        return Snapshot(
            layout=LAYOUT,
            name=best if self.active else "share",
            features=FEATURES,
            weights=experts[best].weights,
            experts=experts,
            reach=self.calibration.reach,
            calibration=self.calibration.line,
            active=self.active,
            examples=self.examples,
            lists=self.quality.lists,
            drifts=self.drifts,
            quality=self.quality.as_dict(),
        )
