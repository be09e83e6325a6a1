"""The reference job, in plain Python with its state in process memory, as the peers run it.

For every event: add the item's pairs with the shopper's last ten items to the pair counts (a dict of
dicts, both directions), put the item into the window, and make the list of the twenty items most often
paired with it. Keeping the counts in memory rather than in the frameworks' stores flatters the peers:
none of them could restore this state after a crash.
"""

from __future__ import annotations

import heapq
from collections import deque

import msgspec

WINDOW = 10
TOP = 20

_encode = msgspec.json.Encoder().encode


class Click(msgspec.Struct):
    """The two fields of an event that the job needs: msgspec skips the others, which is fastest."""

    user_id: str
    item_id: str


class PairCounts:
    """State and arithmetic of the reference job."""

    __slots__ = ("_counts", "_windows")

    def __init__(self) -> None:
        self._windows: dict[str, deque[str]] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def top(self, user_id: str, item_id: str) -> bytes:
        """Count one event; the item's list as JSON: `{"items": [...], "scores": [...]}`, best first.

        Pairs of an item with itself do not count. Ties go to the greater id.
        """
        window = self._windows.get(user_id)
        if window is None:
            window = self._windows[user_id] = deque(maxlen=WINDOW)
        counts = self._counts
        row = counts.get(item_id)
        if row is None:
            row = counts[item_id] = {}
        for other in window:
            if other != item_id:
                row[other] = row.get(other, 0) + 1
                back = counts[other]
                back[item_id] = back.get(item_id, 0) + 1
        window.append(item_id)
        # Tuples of (count, id) compare in C; a key function would cost a call for each neighbour.
        best = heapq.nlargest(TOP, zip(row.values(), row.keys(), strict=True))
        return _encode({"items": [item for _, item in best], "scores": [count for count, _ in best]})
