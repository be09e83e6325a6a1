"""The ranking model as it travels: plain numbers, versioned, no pickle."""

from __future__ import annotations

import msgspec
import numpy as np

from stream.errors import LayoutError
from stream.recommend.features import FEATURES
from stream.recommend.rank import Scorer, no_scorer

LAYOUT = 1
"""Version of this snapshot's layout; a worker leaves another one unused and says so."""


class Snapshot(msgspec.Struct, frozen=True):
    """A standardised logistic model: p = sigmoid(bias + sum w (x - mean) / deviation).

    `active`: the model's order was the better one of late, and is to be published. `examples` is how
    many it has learned from. `quality` is the live hit rate and reciprocal rank of each contender over
    `lists` labelled lists (`stream.learn.quality`).
    """

    layout: int
    name: str
    features: tuple[str, ...]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    bias: float
    active: bool
    examples: int
    lists: int
    quality: dict[str, dict[str, float]]


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """JSON of a snapshot."""
    return msgspec.json.encode(snapshot)


def unpack_snapshot(value: bytes) -> Snapshot:
    """The snapshot in `value`, without what a newer version has added to it.

    Raises `LayoutError` for one of a newer layout, `msgspec.MsgspecError` for anything else.
    """
    layout = msgspec.json.decode(value, type=_Layout).layout
    if layout > LAYOUT:
        raise LayoutError(
            f"a model snapshot has layout {layout}, newer than {LAYOUT}: left unused until this worker is "
            "upgraded"
        )
    return msgspec.json.decode(value, type=Snapshot)


class _Layout(msgspec.Struct):
    layout: int


def scorer(snapshot: Snapshot) -> Scorer | None:
    """Fold the standardisation into the weights; None for another layout or other features."""
    if snapshot.layout != LAYOUT or snapshot.features != FEATURES:
        return None
    deviations = np.array(snapshot.deviations)
    # River's StandardScaler gives 0 for a feature that never varied.
    weights = np.where(
        deviations > 0, np.array(snapshot.weights) / np.where(deviations > 0, deviations, 1.0), 0.0
    )
    folded = no_scorer()
    folded.weights[:] = weights
    folded.bias[0] = snapshot.bias - float(weights @ np.array(snapshot.means))
    folded.active[0] = snapshot.active
    return folded
