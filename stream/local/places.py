"""Where the local stack keeps things on this machine, and a lock between processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import StackError


def checkout() -> Path:
    """The folder that holds the package `stream`: a checkout, or a site-packages folder."""
    return Path(__file__).resolve().parents[2]


def default_home() -> Path:
    """The folder of this checkout's shared stack, below the user's state folder.

    Its name is made of the checkout's path, so that two copies never share a stack.
    """
    root = checkout()
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:10]
    return _base("XDG_STATE_HOME", ".local/state") / "stream" / "local" / f"{root.name}-{digest}"


def cache_dir() -> Path:
    """The folder of what was downloaded once for all stacks of this user."""
    return _base("XDG_CACHE_HOME", ".cache") / "stream"


def _base(variable: str, below_home: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification says that a relative path is to be ignored.
    return Path(value) if os.path.isabs(value) else Path.home() / below_home


def make_private(folder: Path) -> Path:
    """Create `folder`, which only this user may enter: it holds the stack's control token.

    Raises StackError when it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StackError(
            f"the local stack cannot create its folder {folder} ({error.strerror}): make it writable, "
            "or point XDG_STATE_HOME and XDG_CACHE_HOME to folders that are."
        ) from error
    return folder


@contextmanager
def locked(folder: Path, name: str = "lock") -> Iterator[None]:
    """Hold the lock `name` of `folder`: waits for its turn, and is freed when the process ends."""
    with (make_private(folder) / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(folder: Path, name: str) -> bool:
    """Whether a process holds the lock `name` of `folder` now."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # nobody ever held it
        return False
    return False
