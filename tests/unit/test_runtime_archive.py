from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from stream.errors import LayoutError, StateError
from stream.runtime import archive
from stream.runtime.archive import ArchiveWriter, Head, Place, Rows, Saved, check, read

HEAD = Head(archive.LAYOUT, 1_700_000_000_000, "shop1.", "stream", 2, [Place("items", 1, 5, 77)])
FRAMES = (
    HEAD,
    Rows.of("items", [(b"lamp", b'{"item_id":"lamp"}'), (b"gone", None)]),
    Saved("items", 1, 0, b"\x00" * 100_000),
    Saved("shoppers", 0, 63, b"x"),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "shop.backup")


def written(path: Path, head: Head = HEAD) -> Path:
    with ArchiveWriter(path) as out:
        for frame in (head, *FRAMES[1:]):
            out.write(frame)
    return path


def test_what_was_written_is_read(file: Path):
    assert check(file) == HEAD
    assert tuple(frame for frame, _ in read(file)) == FRAMES
    rows = FRAMES[1]
    assert isinstance(rows, Rows)
    assert rows.unpacked() == [(b"lamp", b'{"item_id":"lamp"}'), (b"gone", None)]
    done = [at for _, at in read(file)]
    assert done == sorted(done)
    assert done[-1] == file.stat().st_size - 32


def test_the_hash_told_is_that_of_all_but_its_own_bytes(tmp_path: Path):
    with ArchiveWriter(tmp_path / "a") as out:
        out.write(HEAD)
    data = (tmp_path / "a").read_bytes()
    assert out.sha256 == hashlib.sha256(data[:-32]).hexdigest() == data[-32:].hex()


def test_a_file_that_was_cut_anywhere_is_refused(file: Path):
    data = file.read_bytes()
    for length in (len(data) - 1, len(data) - 32, len(data) // 2, len(archive.MAGIC) + 40):
        file.write_bytes(data[:length])
        with pytest.raises(StateError, match=r"shop\.backup was cut or changed \(its SHA-256"):
            check(file)


@pytest.mark.parametrize("at", [20, 1_000, -40, -1])
def test_a_file_that_was_changed_anywhere_is_refused(file: Path, at: int):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    with pytest.raises(StateError, match="was cut or changed"):
        check(file)


@pytest.mark.parametrize("data", [b"", b"stream backup", b"PK\x03\x04" + b"x" * 100])
def test_another_file_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(StateError, match="is no backup: name a file"):
        check(tmp_path / "other")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(StateError, match="cannot be read"):
        check(tmp_path / "nothing")
    with pytest.raises(StateError, match="cannot be written"), ArchiveWriter(tmp_path / "no" / "folder"):
        pass


def test_one_of_a_newer_layout_is_refused(tmp_path: Path):
    newer = written(tmp_path / "newer", msgspec.structs.replace(HEAD, layout=archive.LAYOUT + 1))
    with pytest.raises(LayoutError, match="has layout 2, newer than 1: upgrade"):
        check(newer)


def test_a_half_written_file_has_no_name_and_harms_no_earlier_one(file: Path):
    before = file.read_bytes()

    def fails() -> None:
        with ArchiveWriter(file) as out:
            out.write(HEAD)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
