"""A file of lines: plain or gzip, read once from front to back in constant memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from stream.errors import InputError

CHUNK_BYTES = 1 << 18
"""Read at a time: large enough to make the cost a chunk vanish, small enough to stay in the cache."""

LINE_MAX_BYTES = 1 << 26
"""Longest line accepted (64 MiB): beyond it the file is no file of lines, and memory is at stake."""

BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
OTHER_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def raw(line: str) -> bytes:
    """The bytes of a line as they stand in the file, also where they are not UTF-8."""
    return line.encode("utf-8", "surrogateescape")


def size_bytes(path: Path) -> int:
    """Size of the file on disk: what `on_bytes` counts up to. InputError if there is none."""
    if not path.exists():
        raise InputError(f"There is no file {path}: check the path.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file: give the path of one file of events.")
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


class Log:
    """One file of events. `first` is its first line ("" if the file is empty), read at once.

    `on_bytes` is called with the bytes of the file on disk consumed so far, once a chunk.
    InputError where the file is missing, unreadable, or packed in a way other than gzip.
    """

    def __init__(self, path: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        self.path = path
        self.on_bytes = on_bytes
        self._size_bytes = size_bytes(path)
        with path.open("rb") as file:
            head = file.read(8)
        for magic, what in OTHER_MAGIC.items():
            if head.startswith(magic):
                raise InputError(f"{path} is {what}: turn it into plain or gzip UTF-8 text first.")
        self._gzip = head.startswith(GZIP_MAGIC)
        peek = self._lines(None)
        self.first = next(peek, "")
        peek.close()

    def lines(self) -> Iterator[str]:
        """All lines without their line ends (LF or CRLF) and without a byte order mark.

        Bytes that are not UTF-8 become lone surrogates, which `raw` turns back. InputError where
        the gzip data are damaged or cut, or a line is longer than LINE_MAX_BYTES.
        """
        return self._lines(self.on_bytes)

    def _lines(self, on_bytes: Callable[[int], None] | None) -> Generator[str, None, None]:
        rest = bytearray()
        start = True
        for chunk in self._chunks(on_bytes):
            if start:
                rest += chunk
                if len(rest) < len(BOM):
                    continue
                chunk = bytes(rest).removeprefix(BOM)
                rest.clear()
                start = False
            end = chunk.rfind(b"\n")
            if end < 0:
                rest += chunk
                if len(rest) > LINE_MAX_BYTES:
                    raise InputError(
                        f"{self.path} has a line of over {LINE_MAX_BYTES >> 20} MiB: it is not "
                        "a file with one event a line."
                    )
                continue
            yield from _split(bytes(rest) + chunk[:end])
            rest[:] = chunk[end + 1 :]
        if rest:
            yield from _split(bytes(rest).removesuffix(b"\r"))

    def _chunks(self, on_bytes: Callable[[int], None] | None) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            if not self._gzip:
                yield from _counted(file, file.read1, on_bytes)
            else:
                try:
                    with gzip.GzipFile(fileobj=file) as unpacked:
                        yield from _counted(file, unpacked.read1, on_bytes)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    raise InputError(
                        f"The gzip data of {self.path} are cut or damaged: get the file again; "
                        "what was read before the damage was used."
                    ) from error
        if on_bytes is not None:
            on_bytes(self._size_bytes)


def _counted(
    file: BinaryIO, read: Callable[[int], bytes], on_bytes: Callable[[int], None] | None
) -> Iterator[bytes]:
    while chunk := read(CHUNK_BYTES):
        if on_bytes is not None:
            on_bytes(file.tell())
        yield chunk


def _split(block: bytes) -> list[str]:
    text = block.decode("utf-8", "surrogateescape")
    if "\r" in text:
        return [line.removesuffix("\r") for line in text.split("\n")]
    return text.split("\n")
