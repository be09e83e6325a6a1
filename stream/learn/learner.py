"""The one learner: River fits the ranking model to what shoppers did with the lists they got."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from river import compose, linear_model, optim, preprocessing

from stream.effects import Effects, Message
from stream.events.records import Record, Refused
from stream.learn.examples import unpack_examples
from stream.learn.model import LAYOUT, Snapshot, pack_snapshot
from stream.learn.quality import Quality
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


class Learner:
    """StandardScaler | LogisticRegression over candidates' features; about 33 µs an example.

    The model is a challenger until its own order has ranked what shoppers took next better than the
    plain order, measured on the same lists; and it is one again when it no longer does.
    """

    def __init__(self) -> None:
        self.scaler = preprocessing.StandardScaler()
        self.regression = linear_model.LogisticRegression(
            optimizer=optim.AdaGrad(0.1), intercept_lr=0.05, l2=0.0
        )
        self.pipeline = compose.Pipeline(self.scaler, self.regression)
        self.quality = Quality()
        self.examples = 0
        self.active = False
        self._told_ms = -SNAPSHOT_EVERY_MS

    def learn(self, records: Sequence[Record], now_ms: int) -> Effects:
        """Learn from a batch of `examples`; a new snapshot for `models` when one is due.

        Messages with other features than ours (another version's) are refused, not guessed at.
        """
        effects = Effects()
        for record in records:
            try:
                labelled = unpack_examples(record.value or b"")
                features, label, places = labelled.arrays()
                if len(features) != len(label) or not np.isfinite(features).all():
                    raise ValueError("rows and labels differ in number, or a feature is not a finite number")
            except (msgspec.MsgspecError, ValueError) as error:
                effects.refused.append(Refused(record, "malformed-examples", str(error)))
                continue
            self.quality.update(places)
            if labelled.names != FEATURES:
                effects.refused.append(
                    Refused(record, "other-features", "examples with other features than this version's")
                )
                continue
            for row, outcome in zip(features.tolist(), label.tolist(), strict=True):
                self.pipeline.learn_one(dict(zip(FEATURES, row, strict=True)), bool(outcome))
            self.examples += len(label)
        if now_ms - self._told_ms >= SNAPSHOT_EVERY_MS:
            self._told_ms = now_ms
            effects.messages.append(Message("models", MODEL_KEY, pack_snapshot(self.snapshot())))
        return effects

    def snapshot(self) -> Snapshot:
        """The model now, and whether its order is to be published."""
        model, plain = self.quality.recent_mrr("model"), self.quality.recent_mrr("plain")
        enough = self.quality.lists >= MIN_LISTS
        self.active = enough and model > plain * (KEEP_MARGIN if self.active else 1.0)
        return Snapshot(
            layout=LAYOUT,
            name="logistic" if self.active else "share",
            features=FEATURES,
            weights=tuple(float(self.regression.weights.get(name, 0.0)) for name in FEATURES),
            means=tuple(float(self.scaler.means[name]) for name in FEATURES),
            deviations=tuple(float(self.scaler.vars[name]) ** 0.5 for name in FEATURES),
            bias=float(self.regression.intercept),
            active=self.active,
            examples=self.examples,
            lists=self.quality.lists,
            quality=self.quality.as_dict(),
        )
