"""Buckets of the shopper stage, to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.items.cohorts import recall
from stream.shoppers.duplicates import FULL, OLD_MOST, Seen, remember
from stream.shoppers.evict import members_of
from stream.shoppers.row import HISTORY, SHOPPER
from stream.state import bucket as saved
from stream.state.bucket import Bucket, Parts
from stream.state.decay import gain_at
from stream.state.interner import no_room
from stream.state.jit import kernel

if TYPE_CHECKING:
    from stream.shoppers.unit import ShopperUnit

DTYPES = {"shoppers": SHOPPER, "histories": HISTORY}
REFERENCES = (
    "shoppers.recent", "shoppers.seen", "shoppers.basket",
    "histories.bought", "histories.hidden", "histories.cart", "histories.shown",
)  # fmt: skip
_SEEN = ("seen_old", "seen_young")

RECALLED = 512
"""Shoppers of a bucket, those seen last, of whom it is counted again what their cohorts take."""


def save(unit: ShopperUnit, number: int) -> bytes:
    """Bucket `number` of the unit as it is now.

    Lists that wait for their label are left out: they are soft state.
    """
    state = unit.state
    found = np.empty(unit.interner.used, np.int32)
    members = found[: members_of(state.rows, state.names, len(found), number, found)]
    rows = state.rows[members]
    rows["exposure"] = 0
    rows["explored"] = 0
    seen: dict[str, bytes] = {}
    young = int(state.seen.young[number])
    for name, generation in zip(_SEEN, (1 - young, young), strict=True):
        hashes = state.seen.hashes[number, generation]
        seen[name] = hashes[hashes != 0].tobytes()
    return saved.save(
        unit,
        number,
        unit.interner.blob(members),
        parts_of(rows, state.histories),
        REFERENCES,
        unit.table.interner,
        ends=dict(enumerate(unit.sent_upto)),
        more=seen,
    )


def parts_of(rows: NDArray[np.void], histories: NDArray[np.void]) -> Parts:
    """These rows (copies, which are changed) and their own of `histories`, whose row 0 stands for none."""
    has = np.flatnonzero(rows["history"])
    kept = histories[rows["history"][has]]
    rows["history"][has] = np.arange(1, len(has) + 1)
    return {"shoppers": rows, "histories": kept}


def merged_seen(buckets: Sequence[Bucket]) -> tuple[dict[str, bytes], int]:
    """The columns of seen event ids for a bucket that takes the place of all of these, and how many ids there
    was no room for.

    Ids of a single bucket stay as they are. Where the young sets of several are too much for one, they become
    the old set, as they do when a set is full.
    """
    if len(buckets) == 1:
        return {name: buckets[0].columns.get(name, b"") for name in _SEEN}, 0
    old, young = (
        np.unique(np.concatenate([np.frombuffer(b.columns.get(name, b""), np.uint64) for b in buckets]))
        for name in _SEEN
    )
    if len(young) >= FULL:
        old, young = young, young[:0]
    old = np.setdiff1d(old, young)
    kept = old[:OLD_MOST]
    return dict(zip(_SEEN, (kept.tobytes(), young.tobytes()), strict=True)), len(old) - len(kept)


def load(unit: ShopperUnit, bucket: Bucket) -> None:
    """Put a saved bucket into a unit that has nothing in it yet.

    Raises `ValueError` for one that is damaged, `StreamError` when the unit has no room for it.
    """
    state = unit.state
    numbers = unit.table.numbers(bucket.names, bucket.n_names)
    parts = saved.unpack(bucket, DTYPES, REFERENCES, numbers)
    rows, histories = parts["shoppers"], parts["histories"]
    members = unit.admit(bucket.ids, len(rows))
    first = int(state.next_history[0])
    state.histories[first + 1 : first + 1 + len(histories)] = histories
    state.next_history[0] += len(histories)
    rows["history"][rows["history"] > 0] += first
    state.rows[members] = rows
    _recall_cohorts(unit, bucket.bucket, rows)
    state.room.size[bucket.bucket] += len(rows)
    if state.room.size[bucket.bucket] > state.room.cap:
        raise no_room("shopper", "max_shoppers")
    for generation, name in enumerate(_SEEN):
        hashes = np.frombuffer(bucket.columns.get(name, b""), np.uint64)
        _recall(state.seen, bucket.bucket, generation, hashes)
    state.seen.young[bucket.bucket] = 1
    state.positions[bucket.bucket] = bucket.position


def _recall_cohorts(unit: ShopperUnit, bucket: int, rows: NDArray[np.void]) -> None:
    """Count anew what the cohorts of these shoppers take, once: a bucket may come back to a worker that has
    its counts still. Some ms at most."""
    table = unit.table
    rows = rows[rows["cohorts"].any(axis=1)]
    if not len(rows) or (unit.partition, bucket) in table.cohort_names.recalled:
        return
    table.cohort_names.recalled.add((unit.partition, bucket))
    late = np.argsort(-rows["last_ts_ms"], kind="stable")[:RECALLED]
    rows = rows[late]
    table.reach(int(rows["last_ts_ms"].max()))
    gain = np.empty(len(rows))
    gain_at(rows["last_ts_ms"].copy(), table.slow.landmark_ms, table.slow.half_life_ms, gain)
    recall(table.facts.cohorts, rows, gain)


@kernel
def _recall(seen: Seen, bucket: int, generation: int, hashes: NDArray[np.uint64]) -> None:
    """Put hashes back into one generation of a bucket's set."""
    for event in hashes:
        remember(seen, bucket, generation, event)
