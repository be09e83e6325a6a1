"""One bucket of a unit as bytes: complete in itself, with a string table of its own.

A unit's rows lie in fixed buckets, by a hash of the id. A bucket's state is a function of the unit's
log up to `position` alone, so buckets of one unit may be saved at different times: after loading them
the log is replayed from the least position, and each bucket takes only what lies above its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import LayoutError
from stream.state.interner import Interner
from stream.state.jit import kernel

LAYOUT = 1
"""Version of this layout. A reader refuses a newer one."""

_LEVEL = 1
"""zstd's fastest: 300 MB/s, and half the bytes."""


class Bucket(msgspec.Struct, frozen=True):
    """One saved bucket.

    `position` is the last offset of the unit's log that is in it, `clock_ms` the largest event time so far;
    `ends` are offsets by partition of the other stage: sent up to (shoppers), or applied up to (items).
    `columns` are those of `rows` rows of each part, as they lie in memory (little-endian); numbers of
    items in them count from 1 in `names`, 0 is none.
    """

    layout: int
    stage: str
    partition: int
    bucket: int
    lineage_ms: int
    position: int
    clock_ms: int
    ends: dict[int, int]
    rows: dict[str, int]
    ids: bytes
    """NUL-separated ids of the rows of the first part."""
    names: bytes
    n_names: int
    columns: dict[str, bytes]
    landmarks_ms: list[float] = []
    """Of the decayed sums, if there are any."""


class Unit(Protocol):
    """What every bucket of a unit says of it."""

    partition: int
    lineage_ms: int
    position: int

    @property
    def stage(self) -> str: ...
    @property
    def clock_ms(self) -> int: ...


Parts = dict[str, NDArray[np.void]]
"""Rows by the name of their kind, of which a bucket may have several."""


def save(
    unit: Unit,
    number: int,
    ids: bytes,
    parts: Parts,
    references: Sequence[str],
    items: Interner,
    ends: dict[int, int],
    more: Mapping[str, bytes] | None = None,
    landmarks_ms: Sequence[float] = (),
) -> bytes:
    """Bytes of bucket `number`: `parts` (copies, which are changed) and `more` columns.

    `references` are the columns (``part.name``) that hold numbers + 1 of `items`.
    """
    columns, names, n_names = _pack(parts, references, items)
    return encode(
        Bucket(
            layout=LAYOUT,
            stage=unit.stage,
            partition=unit.partition,
            bucket=number,
            lineage_ms=unit.lineage_ms,
            position=unit.position,
            clock_ms=unit.clock_ms,
            ends=ends,
            rows={part: len(rows) for part, rows in parts.items()},
            ids=ids,
            names=names,
            n_names=n_names,
            columns=columns | dict(more or {}),
            landmarks_ms=list(landmarks_ms),
        )
    )


def encode(bucket: Bucket) -> bytes:
    """Bytes of a bucket, compressed."""
    return bytes(cramjam.zstd.compress(msgspec.msgpack.encode(bucket), _LEVEL))


def decode(value: bytes) -> Bucket:
    """The bucket in `value`.

    Raises `LayoutError` for one of a newer layout, `ValueError` for anything else.
    """
    try:
        raw = bytes(cramjam.zstd.decompress(value))
    except cramjam.DecompressionError as error:
        raise ValueError(f"a saved bucket is damaged ({error})") from None
    try:
        layout = msgspec.msgpack.decode(raw, type=_Layout).layout
        if layout > LAYOUT:
            raise LayoutError(
                f"saved state has layout {layout}, newer than {LAYOUT}: upgrade this worker first"
            )
        return msgspec.msgpack.decode(raw, type=Bucket)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a saved bucket is damaged ({error})") from None


def moved(value: bytes, lineage_ms: int, position: int, ends: dict[int, int]) -> bytes:
    """The bucket in `value` with the same rows, for a unit whose log has other offsets.

    Right only for rows that hold all of the log and nothing that is still on its way: `position` and `ends`
    then say the same of the new log. Raises as `decode`.
    """
    bucket = decode(value)
    return encode(msgspec.structs.replace(bucket, lineage_ms=lineage_ms, position=position, ends=ends))


class _Layout(msgspec.Struct):
    layout: int


def _pack(parts: Parts, references: Sequence[str], items: Interner) -> tuple[dict[str, bytes], bytes, int]:
    """Columns, names and the number of names of `parts`."""
    columns = [leaf(parts, path) for path in references]
    flat = np.concatenate([column.ravel() for column in columns])
    used = np.empty(len(flat), np.int32)
    numbers = used[: renumber(flat, items.scratch, used)]
    at = 0
    for column in columns:
        column[...] = flat[at : at + column.size].reshape(column.shape)
        at += column.size
    found = {
        f"{part}.{path}": leaf(rows, path).tobytes()
        for part, rows in parts.items()
        for path in paths(rows.dtype)
    }
    return found, items.blob(numbers), len(numbers)


def unpack(
    bucket: Bucket,
    dtypes: Mapping[str, np.dtype[np.void]],
    references: Sequence[str],
    numbers: NDArray[np.int32],
) -> Parts:
    """The parts of a bucket as they were packed; `numbers[k]` is the number here of its k-th name.

    Columns that are not known any more are left out, columns that are new are zero; of a column of fixed rows
    that have become longer the rest is zero. Raises `ValueError` when a column is not as long as it should
    be.
    """
    parts = {part: np.zeros(bucket.rows.get(part, 0), dtype) for part, dtype in dtypes.items()}
    for part, dtype in dtypes.items():
        for path in paths(dtype):
            if f"{part}.{path}" not in bucket.columns:
                continue
            column = leaf(parts[part], path)
            saved = np.frombuffer(bucket.columns[f"{part}.{path}"], column.dtype)
            rows, width = len(column), column[0].size if len(column) else 1
            was = saved.size // max(rows, 1)
            if saved.size != rows * was or was > width or (rows and not was):
                raise ValueError(f"a saved bucket has {saved.size} values of {path}, not {column.size}")
            if was == width:
                column[...] = saved.reshape(column.shape)
            elif was:
                column[:, :was] = saved.reshape(rows, was)
    here = np.concatenate([np.zeros(1, np.int32), numbers + 1])
    for path in references:
        column = leaf(parts, path)
        if column.size and (column.min() < 0 or column.max() >= len(here)):
            raise ValueError(f"a saved bucket names no item for some of its {path}")
        column[...] = here[column]
    return parts


@kernel
def renumber(references: NDArray[np.int32], scratch: NDArray[np.int32], used: NDArray[np.int32]) -> int:
    """Count numbers + 1 anew, from 1 in the order in which they come (0 stays 0), and write them to `used`.

    `scratch`: zeros by number, and zeros again afterwards. Returns how many there are.
    """
    n = 0
    for k in range(len(references)):
        number = references[k] - 1
        if number >= 0:
            if scratch[number] == 0:
                used[n] = number
                n += 1
                scratch[number] = n
            references[k] = scratch[number]
    for k in range(n):
        scratch[used[k]] = 0
    return n


@cache
def paths(dtype: np.dtype[Any]) -> tuple[str, ...]:
    """Names of all plain columns, those of nested rows with dots."""
    found: list[str] = []
    for name in dtype.names or ():
        inner = dtype.fields[name][0] if dtype.fields else dtype
        found += [f"{name}.{path}" for path in paths(inner)] or [name]
    return tuple(found)


def leaf(rows: Any, path: str) -> Any:
    """One column, as a view."""
    for name in path.split("."):
        rows = rows[name]
    return rows
