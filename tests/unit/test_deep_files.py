from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.deep.files import Watched, read, write
from stream.errors import InputError, LayoutError
from stream.sources.deep import Deep
from stream.sources.deep_model import model_of
from tests.unit.deep_kit import arrays, names
from tests.unit.source_kit import ITEMS, items_of, room, visit
from tests.unit.test_deep_source import seen


def test_a_model_is_read_as_it_was_written(tmp_path: Path):
    held = arrays(["käse", "brot", "x"])
    write(tmp_path / "m.npz", held)
    found, made = read(tmp_path / "m.npz"), model_of(held)
    assert found.about == made.about
    for of in ("hashes", "row", "blocks"):
        assert np.array_equal(getattr(found, of), getattr(made, of))
    for one, other in zip(found.weights, made.weights, strict=True):
        assert np.array_equal(one, other)
    assert os.listdir(tmp_path) == ["m.npz"]


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_files_that_are_no_model_are_refused_in_one_sentence(tmp_path: Path):
    write(tmp_path / "good.npz", arrays(names(40)))
    whole = (tmp_path / "good.npz").read_bytes()
    trap = tmp_path / "sprung"
    objects: Any = arrays(names(4)) | {"query": np.array([Trap(trap)], object)}
    np.savez(tmp_path / "objects.npz", **objects)
    np.savez(tmp_path / "others.npz", weights=np.zeros(3))
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Trap(trap)))
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bent.npz").write_bytes(whole.replace(b"item-7", b"item-8", 1))
    (tmp_path / "text.npz").write_text("a,b\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    for file in sorted(tmp_path.iterdir()):
        if file.name != "good.npz":
            with pytest.raises(LayoutError, match="stream train sessions") as caught:
                read(file)
            assert str(file) in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1
    assert not trap.exists()
    with pytest.raises(InputError, match="There is no session model"):
        read(tmp_path / "nowhere.npz")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "nowhere" / "m.npz", arrays(names(4)))


# In the archive's end, so that it is said to begin before the file does.
@example(at=0.9992, byte=65, cut=False)
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_whatever_happened_to_a_file_the_error_is_one_sentence(at: float, byte: int, cut: bool):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.npz"
        write(path, arrays(names(4)))
        whole = bytearray(path.read_bytes())
        place = int(at * len(whole))
        if cut:
            del whole[place:]
        else:
            whole[place] = byte
        path.write_bytes(whole)
        told = ""
        try:
            read(path)
        except LayoutError as error:
            told = str(error)
        assert "\n" not in told


def test_a_newer_file_takes_over_and_a_broken_one_does_not(tmp_path: Path):
    path = tmp_path / "m.npz"
    write(path, arrays(names(ITEMS)))
    source = seen(Deep(room(), read(path)), list(range(ITEMS)))
    watched = Watched(path, source)
    before = items_of(source, visit([2]))
    assert before[0] == 3
    assert watched.look() is None

    path.write_bytes(b"half a fi")
    said = watched.look()
    assert said is not None
    assert said.startswith("The session model in force stays: ")
    assert len(said.splitlines()) == 1
    assert items_of(source, visit([2])) == before
    # It is said once.
    assert watched.look() is None

    path.unlink()
    assert "There is no session model" in (watched.look() or "")
    assert items_of(source, visit([2])) == before

    write(path, arrays([f"item-{k}" for k in range(1, ITEMS)]))
    assert (watched.look() or "").startswith("A newer session model is in force: ")
    assert items_of(source, visit([2]))[0] == 1
    assert watched.look() is None
