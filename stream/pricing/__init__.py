"""Prices: what shoppers did at which price in, one bounded and explained proposal an item out.

::

    Evidence + Facts ──estimate(prior)──▶ Posterior ──propose(config, ts_ms)──▶ Proposals
                                             │
                       prior_from ◀──merge── partial        (empirical Bayes over all partitions)

Pure functions of their arguments: no clock, no generator, no shopper.
"""

from stream.pricing.config import Mode, PricingConfig
from stream.pricing.demand import Posterior, Prior
from stream.pricing.facts import UNKNOWN, Evidence, Facts
from stream.pricing.policy import Proposals, estimate, propose
from stream.pricing.pooling import Partial, merge, partial, prior_from
from stream.pricing.rules import Rule

__all__ = [
    "UNKNOWN",
    "Evidence",
    "Facts",
    "Mode",
    "Partial",
    "Posterior",
    "PricingConfig",
    "Prior",
    "Proposals",
    "Rule",
    "estimate",
    "merge",
    "partial",
    "prior_from",
    "propose",
]
