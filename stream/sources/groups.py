"""Names of categories and brands as numbers below a bound, by their hash.

Two names may share a number; then their items count as one group. With a hundred names among 4,096 numbers
one pair in a hundred does.
"""

from __future__ import annotations

import numpy as np

from stream.state.hashing import hash64

CATEGORIES = 4096
"""Groups of items; 0 stands for no category."""


def category_of(name: str | None) -> int:
    """The group of a category's name, from 1; 0 for none."""
    if not name:
        return 0
    data = np.frombuffer(name.encode(), np.uint8)
    return 1 + int(hash64(data, 0, len(data))) % (CATEGORIES - 1)
