"""The one learner: it fits the ranking model to what shoppers did with the lists they got."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from river import drift

from stream.effects import Effects, Message
from stream.events.codes import PURCHASE
from stream.events.records import Record, Refused
from stream.learn import listwise
from stream.learn.calibration import FIRST_PURCHASE_BIAS, Calibration, drawn
from stream.learn.challenge import Told
from stream.learn.examples import Labelled, is_ours, places_of, unpack_examples
from stream.learn.experts import BLEND, NETWORK, Experts
from stream.learn.model import LAYOUT, MODEL_KEY, Snapshot, pack_snapshot
from stream.learn.quality import Quality
from stream.learn.shadow import Shadows
from stream.recommend.exposures import PUBLISHED, WORTH
from stream.recommend.features import FEATURES

SNAPSHOT_EVERY_MS = 1_000
"""Time between two snapshots."""

MIN_LISTS = 500
"""Labelled lists before the model's order may be published."""

KEEP_MARGIN = 0.98
"""An active model is dropped only when its reciprocal rank falls below this share of the plain one's,
so that noise does not switch it on and off."""

HURRY, HURRY_LISTS = 3.0, 2_000
"""Times the learning rate, for so many lists, after the lists have become worse all of a sudden."""

CLICK, PURCHASED = "click", "purchase"
"""What chances are calibrated of, by name."""

WATCHED = 16
"""Lists whose mean is watched for drift as one: ADWIN costs 6 µs a number."""


class Learner:
    """Listwise learning of the weights (`stream.learn.experts`), River's ADWIN (Bifet and Gavaldà, 2007)
    over the reciprocal rank of what was published, and River's calibration of the scores; some 45 µs a list.

    The model is a challenger until its own order has ranked what shoppers took next better than the
    plain order, measured on the same lists; and it is one again when it no longer does.
    """

    def __init__(self, known: Snapshot | None = None, told: Told | None = None) -> None:
        """`known`: the model last published, to go on from; `told`: challengers, as the topic has them."""
        self.experts = Experts()
        self.calibration = Calibration()
        self.purchases = Calibration(bias=FIRST_PURCHASE_BIAS)
        self.quality = Quality()
        self.examples = 0
        self.active = False
        self.drifts = 0
        self._hurry = 0
        self._watch = drift.ADWIN()  # type: ignore[no-untyped-call]
        self._unwatched = np.zeros(0)
        self._told_ms = -SNAPSHOT_EVERY_MS
        self._promoted_ms = 0
        self.shadows = Shadows(told or Told(), known)
        if known is not None:
            self._go_on_from(known)

    def _go_on_from(self, known: Snapshot) -> None:
        self.experts = Experts(known.experts, known.network)
        if CLICK in known.chances:
            self.calibration = Calibration.of(known.chances[CLICK], known.reach)
        else:
            self.calibration = Calibration(known.reach, *known.calibration)
        if PURCHASED in known.chances:
            self.purchases = Calibration.of(known.chances[PURCHASED])
        self.quality = Quality(known.lists, known.quality)
        self.examples, self.active, self.drifts = known.examples, known.active, known.drifts
        self._promoted_ms = known.promoted_ms

    def learn(self, records: Sequence[Record], now_ms: int) -> Effects:
        """Learn from a batch of `examples`; a new snapshot for `models` when one is due.

        Messages with other features than ours (another version's) are refused, not guessed at.
        """
        effects = Effects()
        self._promote()
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
            self.calibration.reached(int((labelled.again == 0).sum()), len(places))
            self._learn(labelled, len(places))
        if now_ms - self._told_ms >= SNAPSHOT_EVERY_MS:
            self._told_ms = now_ms
            effects.messages.append(Message("models", MODEL_KEY, pack_snapshot(self.snapshot())))
        return effects

    def _promote(self) -> None:
        promoted = self.shadows.told.promoted
        if promoted is not None and promoted.at_ms > self._promoted_ms:
            self._promoted_ms = promoted.at_ms
            self.experts.promote(promoted.expert)

    def _learn(self, labelled: Labelled, first: int) -> None:
        """`first`: lists labelled for the first time, those without what was taken among them."""
        lists = len(labelled.size)
        if not lists:
            self.shadows.judge(labelled, first, np.zeros(0, np.int64), 0.0)
            return
        which, candidate = drawn(lists, labelled.size, self.examples)
        chance = self.experts.chances(labelled, which, candidate)
        self._calibrate(labelled, which, chance, labelled.taken[which] == candidate)
        rate = listwise.RATE * (HURRY if self._hurry > 0 else 1.0)
        champion = self.experts.learn(labelled, rate)
        self.shadows.judge(labelled, first, champion, rate)
        self._hurry -= lists
        self.examples += lists

    def _calibrate(
        self,
        labelled: Labelled,
        which: NDArray[np.int64],
        chance: NDArray[np.float32],
        taken: NDArray[np.bool_],
    ) -> None:
        """Of one candidate of each list, whether it was clicked, or of each fourth whether it was bought.

        A purchase mostly comes when its list was labelled by the click, and counts beside that: while few
        clicks become purchases, the chance of one is hardly underrated by it.
        """
        first = labelled.again[which] == 0
        fourth = (self.examples + np.arange(len(which))) % 4 == 0
        bought = taken & (labelled.weight[which] == WORTH[PURCHASE])
        some = first & ~fourth
        self.calibration.learn(zip(chance[some].tolist(), taken[some].tolist(), strict=True))
        some = (first | bought) & fourth
        self.purchases.learn(zip(chance[some].tolist(), bought[some].tolist(), strict=True))

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
        self.shadows.follow()
        return Snapshot(
            layout=LAYOUT,
            name=best if self.active else "share",
            features=FEATURES,
            weights=experts[BLEND if best == NETWORK else best].weights,
            experts=experts,
            network=self.experts.layer(),
            reach=self.calibration.reach,
            calibration=self.calibration.line,
            active=self.active,
            examples=self.examples,
            lists=self.quality.lists,
            drifts=self.drifts,
            quality=self.quality.as_dict(),
            challengers=dict(self.shadows.standings),
            learned=self.shadows.learned(),
            promoted_ms=self._promoted_ms,
            chances={CLICK: self.calibration.as_dict(), PURCHASED: self.purchases.as_dict()},
        )
