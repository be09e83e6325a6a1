"""Every copy of the checkout has a home of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import StackError
from stream.local import places


def test_two_copies_have_two_homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(places, "checkout", lambda: Path("/one/shop"))
    one = places.default_home()
    monkeypatch.setattr(places, "checkout", lambda: Path("/two/shop"))
    assert one != places.default_home()
    assert one.is_relative_to(tmp_path)


def test_a_relative_xdg_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert places.cache_dir() == Path.home() / ".cache" / "stream"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"cannot create its folder .*XDG_STATE_HOME"):
        places.make_private(tmp_path / "file" / "below")
