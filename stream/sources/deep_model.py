"""A trained session model: its arrays, and from a session's items to a vector that is near the next item.

One layer of self-attention whose query is the last item, as only the last place is needed (SASRec: Kang and
McAuley, 2018), over vectors of length 1 (NISER: Gupta et al., 2019). A session's vector stays among
those of its items (CORE: Hou et al., 2022) but for one linear step, without which no item could follow
another one way only. With the session's items newest first, their unit vectors v_k, and places p_k::

    x_k = v_k + p_k
    a   = softmax_k (x_0 Q · x_k + r_k)
    c   = Σ a_k v_k
    s   = c + c V, scaled to length 1

An item's score is the cosine of its vector and s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import LayoutError
from stream.sources.source import RECENT
from stream.state.hashing import hash64
from stream.state.jit import kernel

LAYOUT = 1
BLOCK = 1024
"""Items whose vectors lie together, a dimension after the other: scores of a block stay in the first-level
cache while its 64 dimensions are added up, many items in one instruction."""

TRAIN = "train one with `stream train sessions`"


class About(msgspec.Struct, frozen=True):
    """What a model was made of, and how."""

    first_ms: int
    last_ms: int
    """Times of the first and the last event it was trained on."""
    events: int
    examples: int
    epochs: int
    seed: int
    loss: float
    """Of the last epoch."""


class Weights(NamedTuple):
    """What is learned beside the items' vectors of d dimensions; float32."""

    places: NDArray[np.float32]
    """(RECENT, d)"""
    recency: NDArray[np.float32]
    """(RECENT)"""
    query: NDArray[np.float32]
    value: NDArray[np.float32]
    """(d, d)"""


class Model(NamedTuple):
    """n items. Nothing of it changes once it is made."""

    about: About
    hashes: NDArray[np.uint64]
    """(n), rising: of the items' ids."""
    row: NDArray[np.int32]
    """(n): whose vector belongs to each hash."""
    blocks: NDArray[np.float32]
    """(n / BLOCK rounded up, d, BLOCK): unit vectors, zeros at the end."""
    weights: Weights

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (self.hashes, self.row, self.blocks, *self.weights))


def model_of(arrays: Mapping[str, NDArray[Any]]) -> Model:
    """The model whose file holds these arrays. Some 30 ms for 40,000 items of 64 dimensions.

    `layout` is a number; `about` the JSON of `About` and `names` the ids one after the other, both as bytes;
    `ends` (n) where each id ends; `vectors` (n, d); the rest is named as in `Weights`. Raises LayoutError if
    it is no such model, one of another layout, or not whole.
    """
    if "layout" not in arrays or arrays["layout"].dtype.kind not in "iu" or arrays["layout"].size != 1:
        raise LayoutError(f"this is no session model: {TRAIN}")
    layout = int(arrays["layout"].reshape(-1)[0])
    if layout != LAYOUT:
        raise LayoutError(
            f"the session model has layout {layout} and this version reads {LAYOUT}: {TRAIN}, or serve it "
            "with the version that made it"
        )
    names, ends, vectors = (
        _array(arrays, *of) for of in (("names", "u1"), ("ends", "i8"), ("vectors", "f4"))
    )
    n, d = vectors.shape if vectors.ndim == 2 else (0, 0)
    shapes = ((RECENT, d), (RECENT,), (d, d), (d, d))
    weights = Weights(*(_array(arrays, name, "f4") for name in Weights._fields))
    if n == 0 or d == 0 or ends.shape != (n,) or tuple(w.shape for w in weights) != shapes:
        raise LayoutError(f"the arrays of the session model do not fit together: {TRAIN}")
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    if (ends <= starts).any() or ends[-1] != names.size:
        raise LayoutError(f"the item ids of the session model are cut or mixed up: {TRAIN}")
    if not all(np.isfinite(array).all() for array in (vectors, *weights)):
        raise LayoutError(f"the session model holds numbers that are not finite: {TRAIN}")
    try:
        about = msgspec.json.decode(_array(arrays, "about", "u1").tobytes(), type=About)
    except msgspec.MsgspecError as error:
        raise LayoutError(
            f"the session model does not say what it was trained on ({error}): {TRAIN}"
        ) from error
    return _made(about, names, ends, vectors, weights)


def _array(arrays: Mapping[str, NDArray[Any]], name: str, kind: str) -> NDArray[Any]:
    if name not in arrays or arrays[name].dtype != np.dtype(f"<{kind}"):
        raise LayoutError(f"the session model has no usable array {name!r}: {TRAIN}")
    return np.ascontiguousarray(arrays[name])


def _made(
    about: About,
    names: NDArray[np.uint8],
    ends: NDArray[np.int64],
    vectors: NDArray[np.float32],
    weights: Weights,
) -> Model:
    n, d = vectors.shape
    hashes = np.zeros(n, np.uint64)
    _hash(names, ends, hashes)
    order = np.argsort(hashes)
    count = -(-n // BLOCK)
    padded = np.zeros((count * BLOCK, d), np.float32)
    padded[:n] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    blocks = np.ascontiguousarray(padded.reshape(count, BLOCK, d).transpose(0, 2, 1))
    return Model(about, hashes[order], order.astype(np.int32), blocks, weights)


class Work(NamedTuple):
    """Room for one list, float32."""

    x: NDArray[np.float32]
    """(RECENT, d)"""
    share: NDArray[np.float32]
    """(RECENT)"""
    asked: NDArray[np.float32]
    mean: NDArray[np.float32]
    session: NDArray[np.float32]
    """(d)"""
    scores: NDArray[np.float32]
    """(BLOCK)"""


def new_work(dimensions: int) -> Work:
    """Room for lists of a model of so many dimensions."""
    shapes = ((RECENT, dimensions), RECENT, dimensions, dimensions, dimensions, BLOCK)
    return Work(*(np.zeros(shape, np.float32) for shape in shapes))


@kernel
def _hash(names: NDArray[np.uint8], ends: NDArray[np.int64], out: NDArray[np.uint64]) -> None:
    start = 0
    for k in range(len(ends)):
        out[k] = hash64(names, start, ends[k])
        start = ends[k]


@kernel
def session_vector(
    blocks: NDArray[np.float32], weights: Weights, work: Work, rows: NDArray[np.int32], n: int
) -> None:
    """Write the vector of a session to `work.session`: of its `n` items, 1 to RECENT, the rows, newest first.

    Sums are in a fixed order: the same on every machine.
    """
    d = blocks.shape[1]
    x, share, asked, mean, out = work.x, work.share, work.asked, work.mean, work.session
    for k in range(n):
        block, place = rows[k] // BLOCK, rows[k] % BLOCK
        for i in range(d):
            x[k, i] = blocks[block, i, place] + weights.places[k, i]
    for i in range(d):
        asked[i] = 0.0
        mean[i] = 0.0
    _add_product(x[0], weights.query, asked)
    most = np.float32(-np.inf)
    for k in range(n):
        share[k] = weights.recency[k]
        for i in range(d):
            share[k] += asked[i] * x[k, i]
        most = max(most, share[k])
    total = np.float32(0.0)
    for k in range(n):
        share[k] = np.float32(math.exp(share[k] - most))
        total += share[k]
    for k in range(n):
        for i in range(d):
            mean[i] += share[k] / total * (x[k, i] - weights.places[k, i])
    for i in range(d):
        out[i] = mean[i]
    _add_product(mean, weights.value, out)
    squares = np.float32(1e-12)
    for i in range(d):
        squares += out[i] * out[i]
    for i in range(d):
        out[i] /= np.sqrt(squares)


@kernel
def _add_product(vector: NDArray[np.float32], matrix: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(matrix.shape[0]):
        by = vector[i]
        for j in range(matrix.shape[1]):
            out[j] += by * matrix[i, j]
