"""Ids as small numbers, at most so many: what was not named for longest gives its number back."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from stream.state.hashing import hash_ids

AT_ONCE = 16
"""A sixteenth of all numbers is given back at once: forgetting costs a pass, however many they are."""


class Numbers:
    """Numbers from 0 on, about .3 µs an id that is known."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.names: list[str] = []
        self.hashes = np.zeros(capacity, np.uint64)
        """Of each number's id: breaks ties."""
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._free: list[int] = []

    def find(self, name: str) -> int:
        """Its number, or -1."""
        return self._numbers.get(name, -1)

    def oldest(self) -> NDArray[np.int32]:
        """Numbers to be given back before a further id can come; none while there is room.

        The caller forgets them; they are free after this call.
        """
        if len(self._free) or len(self.names) < self.capacity:
            return np.zeros(0, np.int32)
        count = max(1, self.capacity // AT_ONCE)
        self._free = [self._numbers.popitem(last=False)[1] for _ in range(count)]
        return np.array(self._free, np.int32)

    def of(self, name: str) -> int:
        """Its number, a new one if there is none; see `oldest`."""
        number = self._numbers.get(name)
        if number is not None:
            self._numbers.move_to_end(name)
            return number
        if self._free:
            number = self._free.pop()
            self.names[number] = name
        else:
            number = len(self.names)
            self.names.append(name)
        self._numbers[name] = number
        hash_ids(np.frombuffer(name.encode(), np.uint8), self.hashes[number : number + 1])
        return number
