"""Giving numbers back: an item's number is free again when no row anywhere holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.items.facts import forget
from stream.items.table import ItemTable
from stream.state.jit import Row, kernel

if TYPE_CHECKING:
    from stream.items.catalogue import Catalogue
    from stream.recommend.popular import Popular
    from stream.shoppers.unit import ShopperUnit


def sweep(
    table: ItemTable, units: Iterable[ShopperUnit], popular: Popular, catalogue: Catalogue
) -> NDArray[np.int32]:
    """Mark every number that a row, window, history, waiting list, popularity list or the catalogue
    holds, and release the others; those that were released. A full pass: milliseconds per 10,000 rows."""
    used = table.interner.used
    # Copies of other workers' rows come again when somebody needs them.
    table.drop(np.flatnonzero(table.rows["foreign"][:used]).astype(np.int32))
    held = np.zeros(used, np.bool_)
    _mark_items(table.rows, held)
    for unit in units:
        _mark_shoppers(unit.state.rows, unit.interner.used, unit.state.waiting.ring, held)
        # Lists that only a `request_id` would find hold no numbers: they wait no longer.
        unit.state.waiting.by_offset[:] = 0
        _mark_histories(unit.state.histories, int(unit.state.next_history[0]), held)
    held[popular.numbers] = True
    known = [table.interner.find(name) for name in (*catalogue.facts, *catalogue.removed)]
    held[[number for number in known if number >= 0]] = True
    # What an event that comes yet will count for, and what stands for nothing any more.
    facts = table.facts
    for others in (facts.item["stands_for"][:used], facts.renamed[:used], facts.also[:used]):
        held[others > 0] = True
        held[others[others > 0] - 1] = True
    gone = np.flatnonzero(~held & (table.interner.names.entries["hash"][:used] != 0)).astype(np.int32)
    table.rows["home"][gone] = 0
    forget(table.facts, gone)
    table.interner.release(gone)
    return gone


@kernel
def _mark(numbers: NDArray[np.int32], held: NDArray[np.bool_]) -> None:
    for number in numbers:
        if number > 0:
            held[number - 1] = True


@kernel
def _mark_neighbours(row: Row, held: NDArray[np.bool_]) -> None:
    for k in range(len(row.item)):
        if row.item[k] > 0:
            held[row.item[k] - 1] = True


@kernel
def _mark_items(rows: NDArray[np.void], held: NDArray[np.bool_]) -> None:
    for i in range(len(held)):
        row = rows[i]
        # A number may wait in a queue and be another item's when its turn comes: queues go by number.
        if row.owned:
            held[i] = True
            _mark_neighbours(row.viewed, held)
            _mark_neighbours(row.bought, held)
            _mark_neighbours(row.led_to, held)


@kernel
def _mark_shoppers(
    rows: NDArray[np.void], used: int, ring: NDArray[np.void], held: NDArray[np.bool_]
) -> None:
    for i in range(used):
        # Of the ring only what still waits for its label: nobody reads the rest.
        if rows[i].exposure > 0:
            slot = ring[rows[i].exposure - 1]
            for k in range(slot.size):
                held[slot.item[k]] = True
        _mark(rows[i].recent, held)
        _mark(rows[i].seen, held)
        _mark(rows[i].basket, held)


@kernel
def _mark_histories(rows: NDArray[np.void], used: int, held: NDArray[np.bool_]) -> None:
    for i in range(used + 1):
        _mark(rows[i].bought, held)
        _mark(rows[i].hidden, held)
        _mark(rows[i].cart, held)
        _mark(rows[i].shown, held)
