"""Demand of an item along its price ladder: a logit curve with a Gaussian-process prior.

::

    y_k ~ Binomial(n_k, σ(f_k)),   f ~ N(Xμ, C),   X = [1, x],   C = X V Xᵀ + σ_f² R,
    R_kl = exp(−(x_k − x_l)² / 2ℓ²) + 1e−3·I

The line Xθ, θ ~ N(μ, V), has a level (base conversion in logits) and a slope (in log price). Items
share what is known of slopes; the process of variance σ_f² lets an item bend away from its line (price
thresholds). The posterior is Laplace's approximation (Rasmussen & Williams, "Gaussian Processes for
Machine Learning", ch. 3.4).

Levels are *not* shared: V = diag(LEVEL_VAR, slope_var) with a level variance so wide that only an
item's sales at one price against its own sales at another say anything about slopes. Were levels
pooled, items would also be compared with each other, and there the comparison lies: an overpriced item
sells little *and* is moved down, so low prices would seem to sell little. In a simulated shop with list
prices 20 % off this turned a slope of −3 into one of −2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream.pricing.ladder import LOG_RUNGS, RUNGS, Floats

DESIGN: Final[Floats] = np.stack([np.ones(RUNGS), LOG_RUNGS], axis=1)
"""X, shape (RUNGS, 2)."""

LENGTH_SCALE: Final = 0.1
"""ℓ in log price: demand two rungs apart may differ from the line in its own way."""

_GAP: Final[Floats] = (LOG_RUNGS[:, None] - LOG_RUNGS) / LENGTH_SCALE
KERNEL: Final[Floats] = np.exp(-(_GAP**2) / 2) + 1e-3 * np.eye(RUNGS)
"""R, shape (RUNGS, RUNGS); the ridge keeps it invertible."""

NEWTON_STEPS: Final = 3
"""From the start that `fit` takes, three reach the mode to .001 up to a sale in two views."""

MAX_NEWTON_STEP: Final = 1.0
"""Logits: an item with an absurd record walks, it does not jump out of the sigmoid's range."""

START_WEIGHT: Final = 20.0
"""Pseudo-exposures at the shared conversion in the starting point: keeps items without sales finite."""

BASE_CONVERSION: Final = 0.03
"""Purchases a view before anything is known: usual for online shops."""

START_SLOPE: Final = -2.5
"""Price elasticity before anything is known; meta-analyses of retail demand centre here."""


LEVEL_VAR: Final = 9.0
"""Levels within a factor of 400 either way: as good as unknown."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What items share. The default is where a shop starts, before any evidence.

    `mean` (μ) is (level: logit of the conversion at the reference price, slope), `slope_var` the
    variance of slopes between items, `bend_var` (σ_f²) that of an item's deviation from its line.
    """

    mean: tuple[float, float] = (math.log(BASE_CONVERSION / (1 - BASE_CONVERSION)), START_SLOPE)
    slope_var: float = 0.5
    bend_var: float = 0.15


@dataclass(frozen=True, slots=True)
class Posterior:
    """Beliefs about N items given their counts.

    With α = C⁻¹(f − Xμ), the line's posterior is θ = μ + V·score, cov V − V·information·V.
    """

    prior: Prior
    logit: Floats
    """f, (N, RUNGS): mode of the log odds of buying on a view."""
    cov: Floats
    """S, (N, RUNGS, RUNGS)."""
    line: Floats
    """θ, (N, 2)."""
    line_cov: Floats
    """(N, 2, 2)."""
    score: Floats
    """Xᵀα, (N, 2): which way the item pulls μ."""
    information: Floats
    """XᵀPX with P = C⁻¹ − C⁻¹SC⁻¹, (N, 2, 2): how hard it pulls."""
    bend: Floats
    """(αᵀRα, tr RP), (N, 2): deviation from the line found and expected, in units of 1/σ_f²."""
    exposures: Floats
    """Views that the belief rests on, (N,)."""


def sigmoid(logit: Floats) -> Floats:
    """1/(1 + e^−x), without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -40.0, 40.0))), dtype=np.float64)


def fit(prior: Prior, place: Floats, exposures: Floats, purchases: Floats) -> Posterior:
    """Posterior of N items from their counts at S prices.

    `place` (N, S, RUNGS) says where each price lies on the ladder (`ladder.weights`): demand there is
    read off the line between two rungs, so a price between rungs is neither rounded to one nor counted
    at both (which would look like two prices that sell alike, and flatten every slope). `exposures` and
    `purchases`, (N, S), must be finite with 0 ≤ purchases ≤ exposures.

    A function of its arguments alone (no warm start), item by item: order and company do not matter.
    About 15 µs an item at S = 12.
    """
    mean, spread = np.array(prior.mean), np.diag([LEVEL_VAR, prior.slope_var])
    line = DESIGN @ mean
    precision = np.linalg.inv(DESIGN @ spread @ DESIGN.T + prior.bend_var * KERNEL)
    precision = (precision + precision.T) / 2

    # Start: the shared line, shifted so that it expects about as many sales as there were.
    base = float(sigmoid(mean[:1])[0])
    views = exposures.sum(axis=1) + START_WEIGHT
    sold = purchases.sum(axis=1) + START_WEIGHT * base
    expected = (exposures * sigmoid(place @ line)).sum(axis=1) + START_WEIGHT * base
    shift = np.log(sold / (views - sold)) - np.log(expected / (views - expected))
    logit = line + shift[:, None]

    for step in range(NEWTON_STEPS + 1):
        chance = sigmoid(np.einsum("nsk,nk->ns", place, logit))
        weighted = place * (exposures * chance * (1.0 - chance))[..., None]
        hessian = precision + np.matmul(place.transpose(0, 2, 1), weighted)
        if step < NEWTON_STEPS:
            pull = np.einsum("nsk,ns->nk", place, purchases - exposures * chance)
            gradient = pull - np.einsum("kl,nl->nk", precision, logit - line)
            move = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            logit = logit + np.clip(move, -MAX_NEWTON_STEP, MAX_NEWTON_STEP)
    cov = np.linalg.inv(hessian)
    cov = (cov + cov.transpose(0, 2, 1)) / 2

    alpha = np.einsum("kl,nl->nk", precision, logit - line)
    tilt = precision @ DESIGN
    score = np.einsum("kd,nk->nd", DESIGN, alpha)
    information = DESIGN.T @ tilt - np.einsum("kd,nkl,le->nde", tilt, cov, tilt, optimize=True)
    bent = precision @ KERNEL @ precision
    found = np.einsum("nk,kl,nl->n", alpha, KERNEL, alpha, optimize=True)
    expected_bend = float(np.sum(KERNEL * precision)) - np.einsum("kl,nkl->n", bent, cov)
    return Posterior(
        prior=prior,
        logit=logit,
        cov=cov,
        line=mean + np.einsum("de,ne->nd", spread, score),
        line_cov=spread - np.einsum("ab,nbc,cd->nad", spread, information, spread),
        score=score,
        information=information,
        bend=np.stack([found, expected_bend], axis=1),
        exposures=exposures.sum(axis=1),
    )
