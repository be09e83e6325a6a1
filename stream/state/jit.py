"""The one way kernels are compiled: numba, without reference counts, cached on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

Row: TypeAlias = Any
"""One row of a structured array. Inside kernels its fields are attributes, which numpy's types lack."""

_STALE_S = 86_400.0

_MARKS = (b"kernel\ndef ", b"intrinsic(")
"""What a source has that becomes part of compiled code."""

_PACKAGE = Path(__file__).resolve().parent.parent


def _cache_dir() -> Path:
    """Folder of compiled kernels for exactly this source.

    numba notices a change of a kernel's own file, but not of a kernel that it calls in another
    file, and would go on running the old callee. So the folder's name is a digest of all sources
    that hold kernels; a day later folders of the same checkout with another digest are removed.
    Where no folder can be made, kernels are compiled anew each time.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stream-kernels"
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        source = path.read_bytes()
        if any(mark in source for mark in _MARKS):
            digest.update(source)
    checkout = hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:12]
    current = root / f"{checkout}-{digest.hexdigest()[:16]}"
    try:
        current.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="stream-kernels-"))
    for stale in root.glob(f"{checkout}-*"):
        with contextlib.suppress(OSError):
            # A process that still runs the older source may be reading its folder.
            if stale != current and time.time() - stale.stat().st_mtime > _STALE_S:
                shutil.rmtree(stale)
    return current


if not os.environ.get("NUMBA_CACHE_DIR"):
    setattr(numba.config, "CACHE_DIR", str(_cache_dir()))  # noqa: B010 - set by name: numba makes it so


def kernel(function: F) -> F:
    """Compile `function` with numba on its first call (seconds, once; then read from the cache).

    Kernels work on the arrays they are given and make none: without numba's runtime no reference is
    counted. Those counts, an atomic instruction at each read of an array in a named tuple, took 40 % of
    the time of making a list.
    """
    return _compiled(function, nogil=False)


def long_kernel(function: F) -> F:
    """A kernel that runs for a millisecond or more, and lets other threads have Python's lock meanwhile.

    Getting the lock back may take as long as Python's switch interval, 5 ms: too much for a short one.
    """
    return _compiled(function, nogil=True)


def small_kernel(function: F) -> F:
    """A kernel that becomes part of each one that calls it.

    A call passes every array of every named tuple by seven numbers: where those are many, and what is called
    is short, calling costs more than doing.
    """
    return _compiled(function, nogil=False, forceinline=True)


def _compiled(function: F, nogil: bool, forceinline: bool = False) -> F:
    options: dict[str, Any] = {"cache": True, "nogil": nogil, "error_model": "numpy", "_nrt": False}
    if forceinline:
        options["forceinline"] = True
    return cast(F, numba.njit(**options)(function))
