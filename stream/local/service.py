"""What the supervisor needs of a server, be it a process or a container."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stream.errors import StackError

# A broker starts in 4 to 8 s on two free cores; a loaded machine, or one that first pulls the data of a
# large log back into memory, needs many times that.
START_TIMEOUT_S = 120.0
_POLL_S = 0.05


class Service(Protocol):
    """One server on one loopback port with one log file."""

    name: str
    port: int
    log: Path

    def start(self) -> None:
        """Start it, with the data it had when it was stopped; returns before it is healthy."""

    def stop(self) -> None:
        """Stop it gracefully; `start` brings it back on the same port with the same data."""

    def end(self, keep_data: bool) -> None:
        """Stop it for good, at once if its data is not to be kept."""

    def exited(self) -> bool:
        """Whether it has ended, by itself or not."""

    def said(self) -> str:
        """The last lines it has logged since its start, in one line."""

    def healthy(self) -> bool:
        """Whether clients can use it right now; costs a few round trips."""

    def pid(self) -> int | None:
        """Its process id on this machine, None when it does not run or runs in a container."""


class PortTakenError(Exception):
    """Another process was faster to listen on the port."""


class CancelledError(Exception):
    """Nobody waits for the start any more."""


def wait_healthy(service: Service, cancelled: Callable[[], bool]) -> None:
    """Wait until `service` is healthy.

    Raises PortTakenError, CancelledError when `cancelled` says so, and StackError when the server ends or
    does not become healthy in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not service.healthy():
        if cancelled():
            raise CancelledError
        if service.exited():
            if "ddress already in use" in service.said():
                raise PortTakenError
            raise StackError(
                f"{service.name} ended while it was starting; "
                f"its log {service.log} ends with: {service.said()}"
            )
        if time.monotonic() > deadline:
            raise StackError(
                f"{service.name} did not answer on port {service.port} within {START_TIMEOUT_S:.0f} s; "
                f"its log {service.log} ends with: {service.said()}"
            )
        time.sleep(_POLL_S)
