"""The ranking model as it travels: plain numbers, versioned, no pickle."""

from __future__ import annotations

import msgspec
import numpy as np

from stream.errors import LayoutError
from stream.learn.standing import Standing
from stream.recommend.features import FEATURES, N_CONTEXTS, N_FEATURES
from stream.recommend.network import HIDDEN, SIZE, Network, no_network
from stream.recommend.rank import Scorer, no_scorer

MODEL_KEY = b"ranking"
"""Key of the published model's snapshots in the compacted topic `models`."""

LAYOUT = 2
"""Version of this snapshot's layout; a worker leaves another one unused and says so. 1 was a logistic model
of ten features."""


Matrix = tuple[tuple[float, ...], ...]


class Expert(msgspec.Struct, frozen=True):
    """One expert as it travels: mean weights and squares by context and feature, its faded reciprocal rank,
    and the terms of places in lists that shoppers were seen to get, with their squares."""

    weights: Matrix
    squares: Matrix
    gain: float
    place: tuple[float, ...] = ()
    place_squares: tuple[float, ...] = ()


class Layer(msgspec.Struct, frozen=True):
    """The network as it travels: how many units, their mean parameters (`stream.recommend.network`) and the
    squares, and its faded reciprocal rank. `refines`: its order is the one that was best of late."""

    hidden: int
    weights: tuple[float, ...]
    squares: tuple[float, ...]
    gain: float
    refines: bool


class Snapshot(msgspec.Struct, frozen=True):
    """Linear weights by context and feature (`stream.recommend.features`), and how to go on learning.

    `active`: the model's order was the better one of late, and is to be published. `examples` is how
    many lists it has learned from, `experts` what the learner goes on from (`stream.learn.experts`).
    A candidate of chance p is taken with probability ``reach * sigmoid(calibration[0] + calibration[1] *
    logit(p))``. `quality` is the live hit rate and reciprocal rank of each contender over `lists` labelled
    lists (`stream.learn.quality`); `drifts` how often the published lists became worse all of a sudden.
    `network` puts the first candidates of the linear order `weights` into another one.
    `challengers`: how they stand (`stream.learn.shadow`), `learned`: those of them that learn, as they are
    now; `promoted_ms`: when the last one that was promoted was. `chances`: of clicks and purchases, bias and
    slope of their calibration, and what was expected and happened of late (`stream.learn.calibration`).
    """

    layout: int
    name: str
    features: tuple[str, ...]
    weights: Matrix
    experts: dict[str, Expert]
    reach: float
    calibration: tuple[float, float]
    active: bool
    examples: int
    lists: int
    drifts: int
    quality: dict[str, dict[str, float]]
    network: Layer | None = None
    challengers: dict[str, Standing] = {}
    learned: dict[str, Expert] = {}
    promoted_ms: int = 0
    chances: dict[str, dict[str, float]] = {}


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """JSON of a snapshot."""
    return msgspec.json.encode(snapshot)


def unpack_snapshot(value: bytes) -> Snapshot:
    """The snapshot in `value`, without what a newer version has added to it.

    Raises `LayoutError` for one of another layout, `msgspec.MsgspecError` for anything else.
    """
    layout = msgspec.json.decode(value, type=_Layout).layout
    if layout > LAYOUT:
        raise LayoutError(
            f"a model snapshot has layout {layout}, newer than {LAYOUT}: left unused until this worker is "
            "upgraded"
        )
    if layout < LAYOUT:
        raise LayoutError(
            f"a model snapshot has layout {layout}, older than {LAYOUT}: left unused until the learner, once "
            "upgraded, has published its own"
        )
    return msgspec.json.decode(value, type=Snapshot)


class _Layout(msgspec.Struct):
    layout: int


def rounded(numbers: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Matrix:
    """A matrix as a snapshot holds it: six digits."""
    return tuple(tuple(float(f"{x:.6g}") for x in row) for row in numbers.tolist())


def scorer(snapshot: Snapshot) -> Scorer | None:
    """The weights as kernels use them; None for other features or contexts than ours."""
    if snapshot.features != FEATURES or len(snapshot.weights) != N_CONTEXTS:
        return None
    if any(len(row) != N_FEATURES for row in snapshot.weights):
        return None
    found = no_scorer()
    found.weights[:] = snapshot.weights
    found.calibration[:] = snapshot.reach, *snapshot.calibration
    found.active[0] = snapshot.active
    return found


def network(snapshot: Snapshot) -> Network:
    """The network as kernels use it; one that is not used if there is none, it was not the best, or it has
    another number of units than ours."""
    found, layer = no_network(), snapshot.network
    if layer is not None and layer.refines and fits(layer):
        found.weight[:] = layer.weights
        found.active[0] = True
    return found


def fits(layer: Layer) -> bool:
    """Whether it is a network of this version."""
    return layer.hidden == HIDDEN and len(layer.weights) == SIZE
