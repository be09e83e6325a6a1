"""A server process that never outlives the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# 1 is PR_SET_PDEATHSIG of <sys/prctl.h>, 9 is SIGKILL. The parent may have died before the request was made.
_ASK_THEN_BECOME = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
# How long a broker may take to close its logs; it needs 1 s, a busy machine some more.
STOP_TIMEOUT_S = 30.0
# What a message tells of a log: its last lines.
TOLD_LINES = 3


class Child:
    """One server process in the background; its output goes to a log file."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                dying_with_parent(argv),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exited(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self._process.poll() is not None

    def said(self) -> str:
        """The last lines that this process has logged, in one line."""
        return log_tail(self._log, self._log_start)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Wait for its end; False when it still runs after `timeout_s`."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if not self.exited():
            self._process.terminate()
            if not self.wait():
                self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


def dying_with_parent(argv: Sequence[str]) -> Sequence[str]:
    """The command `argv` so that, on Linux, the kernel kills it when this process dies, even by SIGKILL.

    Elsewhere the next `up`, `down` or the end of `running` finds and ends what is left. A small Python
    program asks the kernel and then becomes `argv`: asked for between fork and exec instead (`preexec_fn`),
    it would run a copy of a process whose threads may hold any lock.
    """
    if not sys.platform.startswith("linux"):
        return argv
    return [sys.executable, "-I", "-S", "-c", _ASK_THEN_BECOME, str(os.getpid()), *argv]


def end_leftover(pid: int, marker: str) -> None:
    """Kill process `pid` of a dead supervisor if its command line holds `marker`, and wait until it is gone.

    The marker guards against ids that belong to somebody else by now.
    """
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while marker in _command_line(pid) and time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _command_line(pid: int) -> str:
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
    except OSError:
        return ""


def log_tail(log: Path, start: int = 0) -> str:
    """The last telling lines of a log from byte `start` on, joined to one line; empty when there are none."""
    try:
        text = log.read_bytes()[start:].decode(errors="replace")
    except OSError:
        return ""
    # Java's stack frames say where, not what.
    telling = [line.strip() for line in text.splitlines() if line.strip() and line[0] not in "\t "]
    return " | ".join(telling[-TOLD_LINES:])[-600:]
