"""Copies of other workers' item rows, as their owners published them.

Ranking reads the rows of this worker's own item partitions directly. For the items of others it uses
the `similar` and `together` lists that their owners wrote to Redis: the shell asks what is wanted a few
times a second, reads it in one call, and hands it over here.
"""

from __future__ import annotations

import msgspec
import numpy as np

from stream.items.distinct import bits_of
from stream.items.due import pop_wanted, publish_again
from stream.items.table import ItemTable
from stream.values import Ranked

_decode = msgspec.json.Decoder(Ranked).decode


class Foreign:
    """The queue of rows that ranking wanted and does not own, and the copies made of them."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table

    def wanted(self, limit: int) -> list[bytes]:
        """Ids of up to `limit` items, first those of which nothing is known, the longest waiting first. Used
        again, they are wanted again."""
        rows = self._table.rows
        numbers = pop_wanted(self._table.wanted, rows, limit)
        numbers = numbers[~rows["owned"][numbers]]
        return self._table.interner.blob(numbers).split(b"\0") if len(numbers) else []

    def adopt(self, item_id: bytes, similar: bytes | None, together: bytes | None) -> None:
        """Take over what was read of one item (None: nothing is published). About 10 µs.

        Raises `msgspec.MsgspecError` or ValueError, and takes nothing, if either is not a list of ours.
        """
        read = [None if value is None else _decode(value) for value in (similar, together)]
        for published in read:
            if published is None:
                continue
            for told in (published.scores, published.recent, published.next, published.shoppers):
                if len(told) != len(published.items) and (told or told is published.scores):
                    raise ValueError("there are not as many scores as items")
        number = int(self._table.numbers(item_id, 1)[0])
        row = self._table.rows[number]
        if row["owned"]:
            return
        row["foreign"] = True
        heir = int(self._table.facts.item["stands_for"][number]) - 1
        if heir >= 0:
            publish_again(self._table.lists_due, self._table.rows, heir)
        for neighbours, published in zip((row["viewed"], row["bought"]), read, strict=True):
            if published is None:
                continue
            count = min(len(published.items), len(neighbours["item"]))
            ids = "\0".join(published.items[:count]).encode()
            neighbours["item"][:] = 0
            neighbours["item"][:count] = self._table.numbers(ids, count) + 1
            neighbours["weight"][:count] = np.array(published.scores[:count], np.float32)
            neighbours["total"], neighbours["gain"] = published.events, 1.0
            # Of how few shoppers is not told, and an older worker tells of none.
            neighbours["shoppers"][:] = 0
            counts = np.array(published.shoppers[:count], np.int64)
            neighbours["shoppers"][: len(counts)] = bits_of(counts)
            if "recent" in neighbours.dtype.names:
                # Of an older worker's value they are not known, and count as none.
                neighbours["recent"][:] = neighbours["step"][:] = 0.0
                for name, told in (("recent", published.recent), ("step", published.next)):
                    neighbours[name][: len(told[:count])] = np.array(told[:count], np.float32)
                neighbours["step_total"] = published.steps
