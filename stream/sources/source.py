"""What every source of proposals does: it learns from interactions and proposes items for a visit.

A source is a named tuple of arrays (its state), kernels `learn` and `propose` that work on them, and a thin
class around both. Items and shoppers are numbers, dense and the caller's own; a number means another item
only after `forget`. All memory is taken at construction (`Room`), page by page as it is first used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item

RECENT = 10
"""Items of a shopper that a visit tells, the window of the engine."""


class Interactions(NamedTuple):
    """Events in time order as columns of length n; -1 in `item` or `shopper` stands for none."""

    shopper: NDArray[np.int32]
    item: NDArray[np.int32]
    code: NDArray[np.uint8]
    """Type of the event (`stream.events.codes`)."""
    ts_ms: NDArray[np.int64]
    opens: NDArray[np.bool_]
    """Whether the event is the first of its session."""
    rating: NDArray[np.float32]
    """NaN where there is none."""


class Visit(NamedTuple):
    """Whom proposals are for."""

    shopper: int
    """-1: nobody that is known."""
    recent: NDArray[np.int32]
    """Their last items, newest first, at most `RECENT`."""
    in_session: int
    """How many of `recent` belong to this session; they come first."""
    length: int
    """Proposals wanted, at most as many as the arrays of `Proposals` hold."""


class Proposals(NamedTuple):
    """Where a source writes, best first."""

    item: NDArray[np.int32]
    score: NDArray[np.float32]
    """Falling and finite. What it means is the source's own."""
    evidence: NDArray[np.int32]
    """Distinct shoppers or sessions behind a proposal; -1 where a source counts none."""


class Room(NamedTuple):
    """What a source may hold: numbers from 0 to `items` and `shoppers`, both exclusive."""

    items: int
    shoppers: int
    ties: NDArray[np.uint64]
    """Hash of each item's id by its number: breaks ties, which numbers must not, as they differ by worker.
    The caller's array; an entry is written before the first event that names the item."""


class Source(Protocol):
    """One way to find items for a visit.

    The same calls give the same proposals, on every worker and however events are cut into batches. Numbers
    beyond the room and events that say nothing to a source are passed over.
    """

    @property
    def name(self) -> str:
        """As the registry has it."""

    @property
    def nbytes(self) -> int:
        """Most memory that it can come to hold; fixed at construction."""

    def learn(self, events: Interactions) -> None:
        """Take in events."""

    def describe_items(self, numbers: NDArray[np.int32], facts: Sequence[Item]) -> None:
        """Take in the catalogue's facts, one for each number; later facts replace earlier ones."""

    def hear(self, shopper: int, code: int, words: str) -> None:
        """Take in what a shopper said: the query of a search (`codes.SEARCH`), or interests stated in a
        profile (`codes.PROFILE`: names of categories and brands, or words; a line each)."""

    def propose(self, visit: Visit, out: Proposals) -> int:
        """Write proposals and return how many; never the visit's last item."""

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """These numbers are given back: nothing of them is proposed or used any more.

        One pass over everything that holds numbers, however many they are: give many at once.
        """

    def save(self) -> bytes:
        """Everything learned, as plain data."""

    def load(self, data: bytes) -> None:
        """Become what was saved. Raises `LayoutError` if it is another source's, of a newer layout, or of
        another room; the source is then as it was."""


def interactions(n: int) -> Interactions:
    """Columns for `n` events: of nobody and about nothing, to be filled in."""
    return Interactions(
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
        np.zeros(n, np.uint8),
        np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
        np.full(n, np.nan, np.float32),
    )


def proposals(length: int) -> Proposals:
    """Arrays for `length` proposals."""
    return Proposals(np.zeros(length, np.int32), np.zeros(length, np.float32), np.zeros(length, np.int32))
