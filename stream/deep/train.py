"""Fitting a session model with JAX: sampled softmax over popularity, Adam; the same result for the same seed.

The forward pass is that of `stream.sources.deep_model`, written once more in batches and so that it can be
differentiated. The loss of an example is the cross-entropy of its target among itself and `NEGATIVES` items
drawn by popularity (Hidasi and Karatzoglou, 2018), each score less the logarithm of how often its item is
drawn (Bengio and Senécal, 2008): it tends to the softmax over all items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax import Array
from numpy.typing import NDArray

from stream.deep.examples import Examples
from stream.sources.deep_model import LAYOUT, About
from stream.sources.source import RECENT

BATCH = 512
NEGATIVES = 2048
"""Drawn once for a batch: drawing and gathering them for each example would cost more than the product."""
STEPS_MIN = 16
"""An epoch."""
SKEW = 0.5
"""Power of an item's count that it is drawn by: the popular ones are told apart from the target most often,
and rare ones still are."""
RATE = 5e-3
"""Adam's, after `WARM_UP` steps; from there it falls to zero in a line."""
WARM_UP = 200
DROP = 0.3
"""Share of a window's numbers that are left out: vectors of rare items would learn their few examples by
heart."""
SCALE = 14.0
"""Of cosines, before the softmax: with less, even the best cosine is a poor bet among thousands."""
FADE, FADE_SQUARES = 0.9, 0.999
"""Adam's decays (Kingma and Ba, 2015)."""
_SMALL = 1e-8

Params = dict[str, Any]


def begin(items: int, dimensions: int, seed: int) -> Params:
    """What training begins with: a session is the mean of its items."""
    keys, d, normal = jax.random.split(jax.random.key(seed), 3), dimensions, jax.random.normal
    return {
        "vectors": normal(keys[0], (items, d)) / d**0.5,
        "places": 0.02 * normal(keys[1], (RECENT, d)),
        "recency": jnp.zeros(RECENT),
        "query": normal(keys[2], (d, d)) / d**0.5,
        "value": jnp.zeros((d, d)),
    }


def session_vectors(params: Params, window: Any, key: Array | None = None) -> Any:
    """(b, d): of windows (b, RECENT). With a key, some of the windows' numbers are left out."""
    there = window >= 0
    vectors = _unit(params["vectors"][jnp.maximum(window, 0)])
    if key is not None:
        vectors = vectors * jax.random.bernoulli(key, 1 - DROP, vectors.shape) / (1 - DROP)
    x = vectors + params["places"]
    share = jnp.einsum("bd,bkd->bk", x[:, 0] @ params["query"], x) + params["recency"]
    share = jax.nn.softmax(jnp.where(there, share, -jnp.inf), -1)
    mean = jnp.einsum("bk,bkd->bd", share, vectors)
    return _unit(mean + mean @ params["value"])


def _unit(x: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.sum(x * x, -1, keepdims=True) + 1e-12)


def loss_of(params: Params, batch: tuple[Any, Any, Any], rarity: Any, key: Array) -> Array:
    """Mean over a batch: windows (b, RECENT), targets (b), and the items drawn (k).

    `rarity` (items) is the logarithm of how seldom each is drawn.
    """
    window, target, drawn = batch
    session = SCALE * session_vectors(params, window, key)
    right = jnp.sum(session * _unit(params["vectors"][target]), -1) + rarity[target]
    wrong = session @ _unit(params["vectors"][drawn]).T + rarity[drawn]
    wrong = jnp.where(drawn[None, :] == target[:, None], -jnp.inf, wrong)
    every = jnp.concatenate([right[:, None], wrong], 1)
    return jnp.mean(jax.nn.logsumexp(every, 1) - right)


@partial(jax.jit, donate_argnums=(0, 1))
def _step(
    params: Params,
    adam: tuple[Params, Params],
    at: Any,
    rate: Any,
    batch: tuple[Any, Any, Any],
    rarity: Any,
    key: Array,
) -> tuple[Params, tuple[Params, Params], Array]:
    """One step of Adam down the gradient of one batch."""
    loss, slope = jax.value_and_grad(loss_of)(params, batch, rarity, jax.random.fold_in(key, at))
    mean = jax.tree.map(lambda m, g: FADE * m + (1 - FADE) * g, adam[0], slope)
    square = jax.tree.map(lambda v, g: FADE_SQUARES * v + (1 - FADE_SQUARES) * g * g, adam[1], slope)
    pace = rate * jnp.sqrt(1 - FADE_SQUARES**at) / (1 - FADE**at)
    params = jax.tree.map(lambda p, m, v: p - pace * m / (jnp.sqrt(v) + _SMALL), params, mean, square)
    return params, (mean, square), loss


def train(
    of: Examples,
    epochs: int,
    dimensions: int,
    seed: int,
    on_epoch: Callable[[int, float], None] = lambda _epoch, _loss: None,
    on_examples: Callable[[int], None] = lambda _: None,
) -> dict[str, NDArray[Any]]:
    """The arrays of a model (`stream.sources.deep_model.model_of`) after so many passes over the examples.

    `on_epoch` is told each epoch's number, from 1, and its mean loss; `on_examples` how many examples have
    been seen. 50 µs of processor time an example and epoch at 64 dimensions and 40,000 items, most of it the
    product with the items drawn and Adam's pass over all vectors.
    """
    n, items = len(of.target), len(of.items)
    params = begin(items, dimensions, seed)
    adam = (jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params))
    chance, key = np.random.default_rng(seed), jax.random.key(seed + 1)
    # A small log has small batches, so that it has steps enough, and few items to draw of.
    size, draws = max(1, min(BATCH, n // STEPS_MIN)), min(NEGATIVES, 4 * items)
    often = of.counts**SKEW / (of.counts**SKEW).sum()
    upto, rarity = np.cumsum(often), jnp.asarray(-np.log(often * draws), jnp.float32)
    steps = epochs * (n // size)
    warm_up, at, loss = min(WARM_UP, max(steps // 10, 1)), 0, 0.0
    for epoch in range(1, epochs + 1):
        order, losses = chance.permutation(n), []
        # What is left over by the last batch has its turn in another epoch.
        for start in range(0, n - size + 1, size):
            at += 1
            chosen = order[start : start + size]
            drawn = np.minimum(np.searchsorted(upto, chance.random(draws)), items - 1).astype(np.int32)
            rate = RATE * min(at / warm_up, 1 - at / (steps + 1))
            batch = (of.window[chosen], of.target[chosen], drawn)
            params, adam, lost = _step(params, adam, np.float32(at), np.float32(rate), batch, rarity, key)
            losses.append(lost)
            on_examples((epoch - 1) * n + start + size)
        loss = float(np.mean([float(each) for each in losses]))
        on_epoch(epoch, loss)
    about = About(of.first_ms, of.last_ms, int(of.counts.sum()), n, epochs, seed, loss)
    return _arrays(of, params, about)


def _arrays(of: Examples, params: Params, about: About) -> dict[str, NDArray[Any]]:
    plain = {name: np.asarray(array, np.float32) for name, array in params.items()}
    return {
        "layout": np.array(LAYOUT, np.int64),
        "about": np.frombuffer(msgspec.json.encode(about), np.uint8),
        "names": np.frombuffer(b"".join(of.items), np.uint8),
        "ends": np.cumsum([len(name) for name in of.items], dtype=np.int64),
        **plain,
    }
