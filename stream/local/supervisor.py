"""The process that owns one stack: it starts the servers, takes commands, and cleans up.

`python -m stream.local.supervisor '<JSON of Orders>'`. The first line of its output says how the start went.
A private stack ends with its parent: its standard input is a pipe from the parent that nobody writes to, so
it ends when the parent does, even by SIGKILL; the parent's id is watched as well, because a process forked
by the parent holds the pipe open. A shared stack runs until it is told to go `down`.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from stream.errors import StackError
from stream.local.leftovers import OWNER
from stream.local.places import locked
from stream.local.ports import LOOPBACK
from stream.local.servers import Servers
from stream.local.service import CancelledError
from stream.local.stack import Orders, remove_state, supervisor_log, write_state

_WATCH_S = 0.5  # how long after its parent's death a private stack may notice
_REQUEST_TIMEOUT_S = 5.0


class Supervisor:
    """Owns the servers of one stack from start to end."""

    def __init__(self, orders: Orders, home: Path, report: int) -> None:
        self._orders = orders
        self._home = home
        self._keep_data = orders.parent is None
        self._servers = Servers(home, orders.heap_mb, self._keep_data, self._gone)
        self._ending = False
        self._report: int | None = report
        self._token = secrets.token_hex(16)
        self._control = socket.create_server((LOOPBACK, 0))

    def start(self) -> None:
        """Start both servers and wait until they are healthy. Raises StackError."""
        signal.signal(signal.SIGTERM, self._end_soon)
        signal.signal(signal.SIGINT, self._end_soon)
        self._servers.start()
        self._publish()
        self._report = None

    def serve(self) -> None:
        """Take commands until told to go down, or until the parent has gone."""
        watched: list[Any] = [self._control] if self._orders.parent is None else [self._control, sys.stdin]
        while not self._gone():
            ready, _, _ = select.select(watched, [], [], _WATCH_S)
            if self._control in ready:
                self._answer(self._control.accept()[0])

    def close(self, keep_logs: bool = False) -> None:
        """End the servers; delete a private stack's folder, or all but its logs when an error names them."""
        self._servers.end()
        remove_state(self._home)
        self._control.close()
        if self._keep_data:
            return
        if not keep_logs:
            shutil.rmtree(self._home, ignore_errors=True)
        for entry in self._home.glob("*-data"):
            shutil.rmtree(entry, ignore_errors=True)

    def _gone(self) -> bool:
        if not self._ending:
            self._ending = self._parent_gone() if self._orders.parent is not None else self._caller_gone()
        return self._ending

    def _parent_gone(self) -> bool:
        closed = select.select([sys.stdin], [], [], 0)[0] and not os.read(sys.stdin.fileno(), 1)
        return bool(closed) or os.getppid() != self._orders.parent

    def _caller_gone(self) -> bool:
        # Before the start is reported somebody waits for it; a pipe that nobody reads is in error.
        if self._report is None:
            return False
        poll = select.poll()
        poll.register(self._report, 0)
        return bool(poll.poll(0))

    def _end_soon(self, *_: object) -> None:
        self._ending = True

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_REQUEST_TIMEOUT_S)
            try:
                with connection.makefile("rb") as lines:
                    request = json.loads(lines.readline(4096))
                if not hmac.compare_digest(str(request["token"]), self._token):
                    return
                connection.sendall(json.dumps(self._obey(request)).encode() + b"\n")
            except (OSError, ValueError, KeyError, TypeError):
                return  # a stranger, or a caller that has gone: nothing depends on the answer

    def _obey(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request["verb"]
        try:
            if verb == "health":
                return {"healthy": all(server.healthy() for server in self._servers)}
            if verb == "down":
                self._ending = True
                self._servers.end()
                return {}
            if verb == "stop":
                self._servers.named(request["service"]).stop()
            else:
                self._servers.start_again(request["service"])
        except StackError as error:
            return {"error": str(error)}
        except CancelledError:
            return {"error": "the stack is ending."}
        return {"pids": self._publish()}

    def _publish(self) -> dict[str, int]:
        ports = {server.name: server.port for server in self._servers}
        running = {server.name: pid for server in self._servers if (pid := server.pid()) is not None}
        pids = running | {"supervisor": os.getpid()}
        logs = {server.name: str(server.log) for server in self._servers}
        state = {
            "bootstrap": f"{LOOPBACK}:{ports['kafka']}",
            "redis_url": f"redis://{LOOPBACK}:{ports['redis']}/0",
            "home": str(self._home),
            "logs": logs | {"supervisor": str(supervisor_log(self._home))},
            "pids": pids,
            "mode": self._servers.mode,
            "downloaded": self._servers.downloaded,
            "control_port": self._control.getsockname()[1],
            "token": self._token,
        }
        write_state(self._home, state)
        return pids


def main() -> None:
    """Entry point: report the start on the first line of the output, then serve until the end."""
    orders = Orders(**json.loads(sys.argv[1]))
    report = os.fdopen(os.dup(1), "w")
    # A shared stack's supervisor belongs to nobody: the caller waits for this process, init for the other.
    if orders.parent is None and os.fork():
        os._exit(0)
    home = Path(orders.home or tempfile.mkdtemp(prefix="stream-local-"))
    with supervisor_log(home).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # health checks fail while a broker starts
    # Two supervisors never work in one folder: the second waits until the first has cleaned up.
    with locked(home, OWNER):
        supervisor = Supervisor(orders, home, report.fileno())
        try:
            supervisor.start()
            _tell(report, {"home": str(home)})
            supervisor.serve()
        except CancelledError:
            supervisor.close()
        except Exception as error:
            sentence = str(error)
            if not isinstance(error, StackError):
                traceback.print_exc()
                sentence = f"the local stack failed ({error!r}): its log is {supervisor_log(home)}."
            supervisor.close(keep_logs=str(home) in sentence)
            _tell(report, {"error": sentence})
        else:
            supervisor.close()


def _tell(report: TextIO, message: dict[str, str]) -> None:
    with suppress(OSError, ValueError):  # the caller has gone, or was told before
        print(json.dumps(message), file=report, flush=True)
        report.close()


if __name__ == "__main__":
    main()
