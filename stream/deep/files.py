"""Files of session models: numpy's archive of plain arrays, written whole, read without trust."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import InputError, LayoutError, StreamError
from stream.sources.deep import Deep
from stream.sources.deep_model import TRAIN, Model, model_of

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OverflowError, RuntimeError, MemoryError,
    OSError,
)  # fmt: skip
"""What reading an archive raises whose bytes are not those that were written, and what pickled objects do."""


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays of a model (`stream.sources.deep_model.model_of`).

    Whoever looks at `path` meanwhile sees the file that was there before, or the new one. Raises InputError
    where it cannot be written.
    """
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(beside, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another --out.") from error


def read(path: Path) -> Model:
    """The model in a file.

    Raises InputError if there is no such file, and LayoutError if it holds no model, one of another layout,
    or one that is cut or damaged. Nothing in a file is ever executed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no session model {path}: {TRAIN}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise LayoutError(f"{path} is no session model, or it is cut: {TRAIN}.")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        raise LayoutError(f"{path} holds no plain arrays, or is damaged ({error}): {TRAIN}.") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise LayoutError(f"{path} holds other things than arrays: {TRAIN}.")
    try:
        return model_of(arrays)
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}.") from error


class Watched:
    """A model's file and the source that serves it: a newer file takes over between two lists."""

    def __init__(self, path: Path, source: Deep) -> None:
        self._path, self._source = path, source
        self._seen = _mark(path)

    def look(self) -> str | None:
        """Take over what was written since the last look; one sentence about it, None if nothing was.

        A file that cannot be used changes nothing. Costs some 5 µs, and some 50 ms with a new file of 40,000
        items. Call it between two lists, by whoever makes them.
        """
        mark = _mark(self._path)
        if mark == self._seen:
            return None
        self._seen = mark
        try:
            model = read(self._path)
        except StreamError as error:
            return f"The session model in force stays: {error}"
        self._source.swap(model)
        return f"A newer session model is in force: {self._path}, of {len(model.hashes):,} items."


def _mark(path: Path) -> tuple[int, ...]:
    """What changes when the file does."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
