"""Candidates of one list while it is made: distinct items, a sum and a count each, and the best of them.

A small hash table that stays in the first-level cache. It is left empty after each list.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.sources.source import Proposals
from stream.state.jit import kernel

LIMIT = 2048
"""Candidates held; further ones are passed over."""

_TABLE = 4096
_SHIFT = np.uint64(20)
_KNUTH = np.uint64(2654435769)
_LOW = np.uint64(0xFFFFFFFF)


class Pool(NamedTuple):
    """`key`: number + 1 by place in the table (0: free), `at`: its candidate, `place`: a candidate's
    place."""

    key: NDArray[np.int32]
    at: NDArray[np.int32]
    place: NDArray[np.int32]
    item: NDArray[np.int32]
    score: NDArray[np.float32]
    evidence: NDArray[np.int32]
    size: NDArray[np.int64]


def new_pool() -> Pool:
    """An empty one, 72 KB."""
    return Pool(
        np.zeros(_TABLE, np.int32),
        np.zeros(_TABLE, np.int32),
        np.zeros(LIMIT, np.int32),
        np.zeros(LIMIT, np.int32),
        np.zeros(LIMIT, np.float32),
        np.zeros(LIMIT, np.int32),
        np.zeros(1, np.int64),
    )


@kernel
def find(pool: Pool, number: int) -> int:
    """Where the number's candidate is, or -1."""
    h = (np.uint64(number) * _KNUTH & _LOW) >> _SHIFT
    while pool.key[h] != 0:
        if pool.key[h] == number + 1:
            return pool.at[h]  # type: ignore[no-any-return]
        h = (h + np.uint64(1)) & np.uint64(_TABLE - 1)
    return -1


@kernel
def put(pool: Pool, number: int) -> int:
    """The number's candidate, with nothing to its credit if it is new; -1 where there is no more room."""
    h = (np.uint64(number) * _KNUTH & _LOW) >> _SHIFT
    while pool.key[h] != 0:
        if pool.key[h] == number + 1:
            return pool.at[h]  # type: ignore[no-any-return]
        h = (h + np.uint64(1)) & np.uint64(_TABLE - 1)
    c = pool.size[0]
    if c == LIMIT:
        return -1
    pool.size[0] = c + 1
    pool.key[h] = number + 1
    pool.at[h] = c
    pool.place[c] = h
    pool.item[c] = number
    pool.score[c] = 0.0
    pool.evidence[c] = 0
    return c  # type: ignore[no-any-return]


@kernel
def add(pool: Pool, number: int, score: float) -> None:
    """Add to the number's sum and to its count."""
    c = put(pool, number)
    if c >= 0:
        pool.score[c] += np.float32(score)
        pool.evidence[c] += 1


@kernel
def clear(pool: Pool) -> None:
    """Leave it empty."""
    for c in range(pool.size[0]):
        pool.key[pool.place[c]] = 0
    pool.size[0] = 0


@kernel
def offer(
    out: Proposals, ties: NDArray[np.uint64], n: int, length: int, item: int, score: float, evidence: int
) -> int:
    """Put an item into its place among the `n` best so far, at most `length`; how many they are now.

    Of equal scores the lesser hash comes first. What is no finite number is passed over.
    """
    value = np.float32(score)
    if not np.isfinite(value):
        return n
    if n == length:
        if n == 0 or not _before(out, ties, n - 1, item, value):
            return n
        n -= 1
    k = n
    while k > 0 and _before(out, ties, k - 1, item, value):
        out.item[k] = out.item[k - 1]
        out.score[k] = out.score[k - 1]
        out.evidence[k] = out.evidence[k - 1]
        k -= 1
    out.item[k] = item
    out.score[k] = value
    out.evidence[k] = evidence
    return n + 1


@kernel
def _before(out: Proposals, ties: NDArray[np.uint64], k: int, item: int, score: np.float32) -> bool:
    """Whether an item comes before the one at place `k`."""
    if score != out.score[k]:
        return score > out.score[k]  # type: ignore[no-any-return]
    return ties[item] < ties[out.item[k]]  # type: ignore[no-any-return]


@kernel
def best(pool: Pool, ties: NDArray[np.uint64], last: int, length: int, out: Proposals) -> int:
    """Write the `length` best candidates with a positive score, `last` not among them; how many.

    The pool is empty then. About 1 µs for a hundred candidates.
    """
    n = 0
    length = min(length, len(out.item))
    for c in range(pool.size[0]):
        if pool.item[c] != last and pool.score[c] > 0.0:
            n = offer(out, ties, n, length, pool.item[c], pool.score[c], pool.evidence[c])
    clear(pool)
    return n
