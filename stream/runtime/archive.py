"""The file of a backup: frames behind a magic word, and at its end the SHA-256 of everything before it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import cramjam
import msgspec

from stream.errors import LayoutError, StateError

LAYOUT = 1
"""Version of this file's layout. A reader refuses a newer one."""

MAGIC = b"stream backup\n"
_LENGTH = struct.Struct("<I")
_DIGEST_BYTES = hashlib.sha256().digest_size
_AT_ONCE = 1 << 20
_ZSTD_LEVEL = 1
_ROWS = 1_000
"""Messages a frame."""

Row = tuple[bytes, bytes | None]
"""Key and value of a message."""


class Place(msgspec.Struct, frozen=True):
    """A unit of state, and how much of its log is in it."""

    stage: str
    partition: int
    lineage_ms: int
    next_offset: int


class Head(msgspec.Struct, frozen=True, tag="head"):
    """The first frame. `layout` and `partitions` must fit whoever loads it; the rest says what it is."""

    layout: int
    created_ms: int
    namespace: str
    group: str
    partitions: int
    units: list[Place]

    @property
    def is_repartitioned(self) -> bool:
        """Whether the state was moved into another number of partitions than the logs that `units` name."""
        return len({unit.partition for unit in self.units}) != self.partitions


class Saved(msgspec.Struct, frozen=True, tag="bucket"):
    """One bucket of a unit, as `stream.state.bucket` encodes it."""

    stage: str
    partition: int
    bucket: int
    value: bytes


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """The last messages of some keys of a compacted topic, compressed."""

    topic: str
    packed: bytes

    @classmethod
    def of(cls, topic: str, rows: list[Row]) -> Rows:
        """The frame of these rows."""
        return cls(topic, bytes(cramjam.zstd.compress(msgspec.msgpack.encode(rows), _ZSTD_LEVEL)))

    @classmethod
    def frames(cls, topic: str, rows: Iterable[Row]) -> Iterator[Rows]:
        """Frames of any number of rows."""
        left = iter(rows)
        while some := list(islice(left, _ROWS)):
            yield cls.of(topic, some)

    def unpacked(self) -> list[Row]:
        """The rows of this frame."""
        return msgspec.msgpack.decode(bytes(cramjam.zstd.decompress(self.packed)), type=list[Row])


Frame = Head | Saved | Rows


class ArchiveWriter:
    """A context manager that writes `path`, beside it first: the name is given to a whole file only.

    Raises `StateError` when it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = ""
        self._part = path.with_name(path.name + ".part")
        self._hash = hashlib.sha256()
        self._file: IO[bytes]

    def __enter__(self) -> Self:
        with self._sentence():
            self._file = self._part.open("wb")
            self._put(MAGIC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with self._sentence():
                    self._finish()
        finally:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def write(self, frame: Frame) -> None:
        """Append one frame."""
        data = msgspec.msgpack.encode(frame)
        with self._sentence():
            self._put(_LENGTH.pack(len(data)) + data)

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    def _finish(self) -> None:
        self.sha256 = self._hash.hexdigest()
        self._file.write(self._hash.digest())
        # On the disk before it has its name: a power cut leaves the file that was there, or this one.
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)

    @contextlib.contextmanager
    def _sentence(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"{self.path} cannot be written ({error.strerror}): choose another file."
            ) from None


def check(path: Path) -> Head:
    """Read the whole file once and compare its hash; its head. Some 500 MB/s.

    Raises `StateError` for a file that is not whole, `LayoutError` for one of a newer version.
    """
    with _opened(path) as file:
        left = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
        digest = hashlib.sha256()
        if left < 0 or file.read(len(MAGIC)) != MAGIC:
            raise StateError(f"{path} is no backup: name a file that `stream state dump` has written.")
        file.seek(0)
        while left > 0:
            data = file.read(min(left, _AT_ONCE))
            digest.update(data)
            left -= len(data)
        if file.read() != digest.digest():
            raise StateError(
                f"{path} was cut or changed (its SHA-256 does not match): take another copy of this backup."
            )
        file.seek(len(MAGIC))
        data = _next(file)
    layout = msgspec.msgpack.decode(data)["layout"]
    if layout > LAYOUT:
        raise LayoutError(f"{path} has layout {layout}, newer than {LAYOUT}: upgrade this program first.")
    return msgspec.msgpack.decode(data, type=Head)


def read(path: Path) -> Iterator[tuple[Frame, int]]:
    """The frames of a file that `check` has found whole, each with the bytes read so far."""
    with _opened(path) as file:
        end = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
        file.seek(len(MAGIC))
        while file.tell() < end:
            yield _decode(_next(file)), file.tell()


def read_at(path: Path, places: Iterable[int]) -> Iterator[Frame]:
    """The frames that begin at these bytes of the file, of a file that `check` has found whole."""
    with _opened(path) as file:
        for place in places:
            file.seek(place)
            yield _decode(_next(file))


_decode = msgspec.msgpack.Decoder[Frame](Head | Saved | Rows).decode


def _next(file: IO[bytes]) -> bytes:
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    return file.read(length)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise StateError(f"{path} cannot be read ({error.strerror}): correct its name.") from None
