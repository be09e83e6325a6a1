"""Deep: what a session model that was trained offline holds to be next (`stream.sources.deep_model`).

It learns nothing online but which of the model's items there are, by the hashes of their ids: an item that
was not in its training log is never proposed and says nothing. A newer model is put into its place between
two lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.types import Item
from stream.sources.base import Base, within
from stream.sources.deep_model import BLOCK, Model, Weights, Work, new_work, session_vector
from stream.sources.pool import offer
from stream.sources.source import RECENT, Interactions, Proposals, Room, Visit
from stream.state.arena import reserve
from stream.state.jit import kernel


class DeepState(NamedTuple):
    """Which items there are."""

    known: NDArray[np.uint64]
    """(items): the hash of the id by number, 0 where the number stands for no item."""


class Served(NamedTuple):
    """A model, and which numbers its rows have."""

    model: Model
    work: Work
    row: NDArray[np.int32]
    """(items): row + 1 by number, 0 for items that the model does not know."""
    number: NDArray[np.int32]
    """(rows, up to whole blocks): number + 1 by row, 0 where the item is not there."""


@kernel
def learn(
    known: NDArray[np.uint64],
    ties: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    row: NDArray[np.int32],
    number: NDArray[np.int32],
    items: NDArray[np.int32],
) -> None:
    """There are these items: a nanosecond each, .2 µs one that is new."""
    for item in items:
        if item < 0 or item >= len(known) or known[item] != 0:
            continue
        known[item] = ties[item]
        at = np.searchsorted(hashes, ties[item])
        if at < len(hashes) and hashes[at] == ties[item]:
            row[item] = rows[at] + 1
            number[rows[at]] = item + 1


@kernel
def propose(
    blocks: NDArray[np.float32],
    weights: Weights,
    work: Work,
    row: NDArray[np.int32],
    number: NDArray[np.int32],
    ties: NDArray[np.uint64],
    rows: NDArray[np.int32],
    visit: Visit,
    out: Proposals,
) -> int:
    """Proposals for a visit; see `Deep` for what it costs. `rows` (RECENT) is to work with."""
    size = 0
    # A session without items yet: the last item of the one before.
    for k in range(min(max(visit.in_session, 1), len(visit.recent), RECENT)):
        item = visit.recent[k]
        if 0 <= item < len(row) and row[item] != 0:
            rows[size] = row[item] - 1
            size += 1
    length = min(visit.length, len(out.item))
    if size == 0 or length <= 0:
        return 0
    session_vector(blocks, weights, work, rows, size)
    last, n = visit.recent[0], 0
    for block in range(len(blocks)):
        for i in range(BLOCK):
            work.scores[i] = 0.0
        for d in range(blocks.shape[1]):
            by = work.session[d]
            for i in range(BLOCK):
                work.scores[i] += by * blocks[block, d, i]
        for i in range(BLOCK):
            # Most are far below the last of the list: looked at no further.
            if n < length or work.scores[i] >= out.score[n - 1]:
                item = number[block * BLOCK + i] - 1
                if item >= 0 and item != last:
                    n = offer(out, ties, n, length, item, work.scores[i], -1)
    return n


class Deep(Base[DeepState]):
    """`Source` by a trained model: 16 bytes an item beside the model, 260 for each of its own.

    A list is the exact product with all of the model's items: .36 ms for 40,000 of 64 dimensions.
    """

    name = "deep"

    def __init__(self, room: Room, model: Model) -> None:
        self._rows = np.zeros(RECENT, np.int32)
        super().__init__(room, DeepState(reserve(room.items, np.uint64)))
        self._served = self._serve(model)

    @property
    def model(self) -> Model:
        """The model in force."""
        return self._served.model

    @property
    def nbytes(self) -> int:
        """See `Source.nbytes`: with the model in force."""
        served = self._served
        own = sum(array.nbytes for array in (self._rows, served.row, served.number, *served.work))
        return super().nbytes + own + served.model.nbytes

    def swap(self, model: Model) -> None:
        """Propose by this model from the next list on. Some 10 ms for 40,000 items; the old one serves until
        all is ready, and what is known of items stays."""
        self._served = self._serve(model)

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`: that an item is there is all that is learned."""
        self._know(events.item)

    def describe_items(self, numbers: NDArray[np.int32], facts: Sequence[Item]) -> None:
        """See `Source.describe_items`: that an item is there."""
        self._know(numbers)

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        model, work, row, number = self._served
        return propose(model.blocks, model.weights, work, row, number, self.room.ties, self._rows, visit, out)

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`: of shoppers nothing is held."""
        items, served = within(items, self.room.items), self._served
        rows = served.row[items] - 1
        served.number[rows[rows >= 0]] = 0
        served.row[items] = 0
        self.state.known[items] = 0

    def load(self, data: bytes) -> None:
        """See `Source.load`: the model stays the one in force, whichever was when it was saved."""
        super().load(data)
        self._served = self._serve(self.model)

    def _know(self, numbers: NDArray[np.int32]) -> None:
        model, _, row, number = self._served
        learn(self.state.known, self.room.ties, model.hashes, model.row, row, number, numbers)

    def _serve(self, model: Model) -> Served:
        """The model with the numbers of its items."""
        known = self.state.known
        at = np.minimum(np.searchsorted(model.hashes, known), len(model.hashes) - 1)
        there = np.flatnonzero((known != 0) & (model.hashes[at] == known))
        row = np.zeros(self.room.items, np.int32)
        row[there] = model.row[at[there]] + 1
        number = np.zeros(len(model.blocks) * BLOCK, np.int32)
        number[row[there] - 1] = there + 1
        return Served(model, new_work(model.blocks.shape[1]), row, number)
