"""What the engine still holds of stacks whose supervisor has gone, and the data that outlives containers."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from stream.local.places import is_locked

HOME_LABEL = "stream.local.home"
OWNER = "owner"
"""The lock in a stack's home that its supervisor holds as long as it lives."""


def volume_name(home: Path, service: str) -> str:
    """The volume that keeps the data of one server of the stack in `home` from one `up` to the next."""
    return f"stream-local-{hashlib.sha256(os.fsencode(home)).hexdigest()[:10]}-{service}"


def end_leftovers(home: Path) -> None:
    """Remove the containers of the stack in `home`, and those of every stack whose supervisor was killed.

    Only the caller can know that nobody owns the stack in `home`. An engine that has gone is no error.
    """
    with contextlib.suppress(Exception), contextlib.closing(_engine()) as engine:
        for container in engine.containers.list(all=True, filters={"label": HOME_LABEL}):
            owner = Path(container.labels[HOME_LABEL])
            # A home that is not on this machine says nothing: the engine may serve others too.
            if owner == home or (owner.is_dir() and not is_locked(owner, OWNER)):
                with contextlib.suppress(Exception):  # another process was faster
                    container.remove(v=True, force=True)


def remove_volumes(home: Path) -> None:
    """Remove the data that the stack in `home` left in volumes."""
    with contextlib.suppress(Exception), contextlib.closing(_engine()) as engine:
        for service in ("kafka", "redis"):
            with contextlib.suppress(Exception):  # there is none
                engine.volumes.get(volume_name(home, service)).remove()


def _engine() -> Any:
    from testcontainers.core.docker_client import DockerClient

    return DockerClient().client
