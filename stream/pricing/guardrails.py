"""The rails of a price, and the chain of rules that a move has to pass.

The chain's order is fixed: eligible, evidence, a better price, confidence and hysteresis, cooldown,
maximum step, rounding, floor and ceiling, cost with margin. A rule before the step holds the price; the
hard limits come last, so that they win over everything, a held price included. The first rule that
holds, or the last one that changes the price, is recorded as the one that bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.pricing.config import PricingConfig
from stream.pricing.facts import Facts
from stream.pricing.ladder import HIGHEST_RATIO, LOWEST_RATIO, Floats, Ints
from stream.pricing.rules import Rule

Bools = NDArray[np.bool_]

HIGHEST_MINOR = 2**53
"""Beyond, a float no longer holds every minor unit."""


@dataclass(frozen=True, slots=True)
class Rails:
    """Lowest and highest price allowed, in minor units and multiples of the rounding, shapes (N,)."""

    lowest_minor: Ints
    highest_minor: Ints
    margin_binds: Bools
    """Where the lowest price comes from cost and margin, not from the floor."""

    @property
    def feasible(self) -> Bools:
        """Where any price is allowed at all."""
        return np.asarray(self.lowest_minor <= self.highest_minor)


def rails(config: PricingConfig, facts: Facts) -> Rails:
    """Rails of N items. Without floor or ceiling the ends of the ladder stand in for them.

    A stand-in gives way to the limit that is given (a floor of 130 % of the list price lifts the
    ceiling to itself), not to cost with margin: an item whose list price is below cost is for the
    shop to look at, not for a rule to raise by a third.
    """
    reference = facts.reference_minor
    has_floor, has_ceiling = facts.floor_minor >= 0, facts.ceiling_minor >= 0
    low = np.where(reference >= 1, _up(reference * LOWEST_RATIO), 1)
    high = np.where(reference >= 1, -_up(-reference * HIGHEST_RATIO), HIGHEST_MINOR)
    low = np.where(has_ceiling, np.minimum(low, facts.ceiling_minor), low)
    high = np.where(has_floor, np.maximum(high, facts.floor_minor), high)
    floor = np.maximum(np.where(has_floor, facts.floor_minor, low), 1)
    ceiling = np.where(has_ceiling, facts.ceiling_minor, high)
    margin = np.where(facts.cost_minor >= 0, _up(facts.cost_minor * (1.0 + config.margin_floor_ratio)), 0)
    step = config.rounding_minor
    return Rails(
        lowest_minor=-(-np.maximum(floor, margin) // step) * step,
        highest_minor=ceiling // step * step,
        margin_binds=np.asarray(margin > floor),
    )


def _up(price: NDArray[np.floating]) -> Ints:
    # Rounded first, or 100 * 1.05 = 105.00000000000001 would become 106.
    return np.ceil(np.round(price, 6)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Move:
    """What the policy would like for N items, and what it expects of it; shapes (N,)."""

    target_minor: Floats
    """The best price by this epoch's draw, unrounded."""
    next_minor: Floats
    """The price on the way there that the maximum step allows, unrounded."""
    gain_ratio: Floats
    """Expected change of profit a view at `next_minor`, relative to the price in force."""
    confidence: Floats
    """Probability that the change is a gain."""
    exposures: Floats
    """Views the belief rests on."""
    is_better: Bools
    """Whether the target is another price step than the one in force at all."""


def guard(config: PricingConfig, facts: Facts, limits: Rails, move: Move, ts_ms: int) -> tuple[Ints, Ints]:
    """Run the chain: (price_minor, codes of the binding `Rule`), shapes (N,).

    Held items keep the price in force, moved back inside the rails where it is outside. Infeasible
    items keep it as it is.
    """
    current = facts.in_force_minor
    confident = move.confidence >= config.min_confidence
    waited = (facts.last_change_ms < 0) | (ts_ms - facts.last_change_ms >= config.cooldown_ms)
    rounded = np.rint(move.next_minor / config.rounding_minor) * config.rounding_minor
    proposed = np.clip(rounded, 1.0, HIGHEST_MINOR).astype(np.int64)
    held = [
        (facts.list_price_minor < 1, Rule.NO_REFERENCE),
        (facts.cost_minor < 0, Rule.NO_COST),
        (~limits.feasible, Rule.INFEASIBLE),
        (~(move.exposures >= config.min_exposures), Rule.EVIDENCE),
        (~move.is_better, Rule.NO_BETTER_PRICE),
        (~(confident | (move.gain_ratio >= -config.max_trial_loss_ratio)), Rule.CONFIDENCE),
        (confident & ~(move.gain_ratio >= config.min_gain_ratio), Rule.HYSTERESIS),
        (~waited, Rule.COOLDOWN),
        (proposed == current, Rule.ROUNDING),
    ]
    moved = [
        (move.next_minor != move.target_minor, Rule.MAX_STEP),
        (confident, Rule.OPTIMUM),
    ]
    rule = np.select(
        [condition for condition, _ in held + moved],
        [np.int64(code) for _, code in held + moved],
        np.int64(Rule.TRIAL),
    )
    price = np.where(rule < Rule.MAX_STEP, current, proposed)

    railed = np.clip(price, limits.lowest_minor, np.maximum(limits.lowest_minor, limits.highest_minor))
    railed = np.where(limits.feasible & (current >= 1), railed, current)
    low = np.where(limits.margin_binds, Rule.MARGIN, Rule.FLOOR)
    rule = np.where(railed > price, low, np.where(railed < price, Rule.CEILING, rule))
    return railed.astype(np.int64), rule.astype(np.int64)
