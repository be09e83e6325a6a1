"""What each cohort of shoppers takes: decayed sums by cohort and item, as this worker's own shoppers do.

Soft state, as what is heard of items is (`stream.items.facts`): a sample of the shop, told to nobody, counted
anew from the shoppers' windows after a restart. Of each cohort the heaviest items are kept (Space-Saving;
Metwally, Agrawal and El Abbadi, 2005): an item that takes the place of the lightest takes over its sum, so no
sum is too low, and none is too high by more than the lightest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.items.words import ones
from stream.state.arena import reserve
from stream.state.jit import Row, kernel

COHORTS = 1024
"""Cohorts kept: a power of two. Of `NEAR` that lie together the one that is heard of least gives way."""

NEAR = 8

HELD = 256
"""Items kept of each. Of 64 the lightest change all the time where a shop sells thousands evenly, which cost
half of the hit rate; 512 remember what was popular long ago, and lost a fifth."""

LEAST_SHOPPERS = 5
"""Of a cohort of fewer, within one or two half-lives, nothing is said: one would see what somebody did."""

SHRINK = 100.0
"""Views of the whole shop that are added to those of a cohort before shares are taken: a cohort of which
little is known takes what all take. From 20 to 200 all are alike."""


class Cohorts(NamedTuple):
    """By slot: `key` (hash of the name, 0: free), the decayed weight of all events, shoppers of late and of
    the half-life before as bits of a hash (a filter after Bloom, 1970), what a view added when `late` began,
    item numbers + 1 (0: none) with their weights. `one[0]`: what a view adds now."""

    key: NDArray[np.uint32]
    total: NDArray[np.float64]
    late: NDArray[np.uint64]
    before: NDArray[np.uint64]
    since: NDArray[np.float64]
    item: NDArray[np.int32]
    weight: NDArray[np.float32]
    one: NDArray[np.float64]


def new_cohorts() -> Cohorts:
    """None known. 2 MB if full."""
    return Cohorts(
        np.zeros(COHORTS, np.uint32),
        np.zeros(COHORTS),
        np.zeros(COHORTS, np.uint64),
        np.zeros(COHORTS, np.uint64),
        np.zeros(COHORTS),
        reserve(COHORTS * HELD, np.int32).reshape(COHORTS, HELD),
        reserve(COHORTS * HELD, np.float32).reshape(COHORTS, HELD),
        np.zeros(1),
    )


@kernel
def find(cohorts: Cohorts, key: int) -> int:
    """The slot of a cohort of which enough is known to speak of it; -1 if there is none. `key` 0 is none."""
    if key == 0:
        return -1
    for k in range(NEAR):
        at = (key + k) % COHORTS
        if cohorts.key[at] == key:
            return at if ones(cohorts.late[at] | cohorts.before[at]) >= LEAST_SHOPPERS else -1
    return -1


@kernel
def _slot(cohorts: Cohorts, key: int) -> int:
    """The slot of a cohort, taken from another if there is none free."""
    least = key % COHORTS
    for k in range(NEAR):
        at = (key + k) % COHORTS
        if cohorts.key[at] == key:
            return at
        if cohorts.total[at] < cohorts.total[least]:
            least = at
    cohorts.key[least] = key
    cohorts.total[least] = 0.0
    cohorts.late[least] = cohorts.before[least] = np.uint64(0)
    cohorts.since[least] = 0.0
    cohorts.item[least] = 0
    cohorts.weight[least] = 0.0
    return least


@kernel
def hear_from(cohorts: Cohorts, shopper: Row, item: int, gain: float, weight: float) -> None:
    """A shopper took an item, at a time when one view adds `gain`. .1 µs for each cohort he is in."""
    for f in range(len(shopper.cohorts)):
        if shopper.cohorts[f] == 0:
            continue
        at = _slot(cohorts, int(shopper.cohorts[f]))
        cohorts.one[0] = max(cohorts.one[0], gain)
        cohorts.total[at] += gain * weight
        if gain > 2.0 * cohorts.since[at]:
            # A half-life is over.
            cohorts.before[at] = cohorts.late[at] if gain <= 4.0 * cohorts.since[at] else np.uint64(0)
            cohorts.late[at] = np.uint64(0)
            cohorts.since[at] = gain
        cohorts.late[at] |= np.uint64(1) << np.uint64(shopper.bucket)
        items, weights, mine = cohorts.item[at], cohorts.weight[at], -1
        for k in range(HELD):
            mine = k if items[k] == item + 1 else mine
        if mine < 0:
            mine = 0
            for k in range(HELD):
                mine = k if weights[k] < weights[mine] else mine
        items[mine] = item + 1
        weights[mine] += np.float32(gain * weight)


@kernel
def recall(cohorts: Cohorts, shoppers: NDArray[np.void], gain: NDArray[np.float64]) -> None:
    """Hear again what saved shoppers took lately, each at a time when one view adds `gain`."""
    for n in range(len(shoppers)):
        row = shoppers[n]
        for k in range(len(row.recent)):
            if row.recent[k] > 0 and not row.crowd:
                hear_from(cohorts, row, row.recent[k] - 1, gain[n], 1.0)


def rescale(cohorts: Cohorts, factor: float) -> None:
    """Multiply everything after the landmark of its decay has moved."""
    cohorts.total[:] *= factor
    cohorts.since[:] *= factor
    cohorts.weight[:] *= np.float32(factor)
    cohorts.one[:] *= factor


def forget(cohorts: Cohorts, numbers: NDArray[np.int32]) -> None:
    """These numbers will be those of other items."""
    held = np.isin(cohorts.item, numbers + 1)
    cohorts.item[held] = 0
    cohorts.weight[held] = 0.0
