"""Arrays that grow without ever being copied."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Linux's value; `mmap` names it only from Python 3.13 on. Elsewhere pages are lazy as well.
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


def reserve(capacity: int, dtype: DTypeLike) -> NDArray[Any]:
    """A zeroed array of `capacity` rows whose memory is taken page by page as rows are first used.

    Only address space is reserved, so a table can be declared at its hard cap: it grows in chunks of a page,
    never moves, never stalls to be copied, and kernels see one flat array. Pages are of 2 MiB where the
    system has such: rows are read at random, and looking up where a page lies takes 4 % of a worker's
    time else.
    """
    size = max(1, capacity) * np.dtype(dtype).itemsize
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, dtype=dtype)
