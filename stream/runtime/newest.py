"""Of several values for one key that are written together, the one that stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.effects import VERSION_CHARS, VERSION_PREFIX
from stream.state.hashing import hash64
from stream.state.jit import long_kernel
from stream.state.texts import Texts

_VERSION_AT = len(VERSION_PREFIX)


def newest(ids: Texts, values: Texts) -> NDArray[np.int64]:
    """Places of the values, in order, that no other value of the same id replaces: of the highest version, of
    equal ones the last. What Redis would hold after taking all of them one by one. Some 50 ns a value.
    """
    n = len(ids)
    table = np.full(1 << (2 * n).bit_length(), -1, np.int64)
    kept = np.ones(n, np.bool_)
    _drop_older(ids.array, ids.ends, values.array, values.ends, table, kept)
    return np.flatnonzero(kept)


@long_kernel
def _drop_older(
    ids: NDArray[np.uint8],
    id_ends: NDArray[np.int64],
    values: NDArray[np.uint8],
    value_ends: NDArray[np.int64],
    table: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    mask = np.uint64(len(table) - 1)
    for k in range(len(kept)):
        start = id_ends[k - 1] if k else 0
        size = id_ends[k] - start
        slot = hash64(ids, start, id_ends[k]) & mask
        while table[slot] >= 0:
            other = table[slot]
            other_start = id_ends[other - 1] if other else 0
            same = id_ends[other] - other_start == size
            for c in range(size if same else 0):
                if ids[start + c] != ids[other_start + c]:
                    same = False
                    break
            if same:
                break
            slot = (slot + np.uint64(1)) & mask
        held = table[slot]
        if held < 0:
            table[slot] = k
            continue
        mine = (value_ends[k - 1] if k else 0) + _VERSION_AT
        its = (value_ends[held - 1] if held else 0) + _VERSION_AT
        older = False
        for c in range(VERSION_CHARS):
            if values[mine + c] != values[its + c]:
                older = values[mine + c] < values[its + c]
                break
        if older:
            kept[k] = False
        else:
            kept[held] = False
            table[slot] = k
