"""What a caller holds of a running stack, and what it shares with the supervisor that runs it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import StackError
from stream.local.ports import LOOPBACK
from stream.local.service import START_TIMEOUT_S

_STATE = "state.json"
# The supervisor answers when the work is done: at the longest a start, after a stop.
_REPLY_TIMEOUT_S = 2 * START_TIMEOUT_S
SERVICES = ("kafka", "redis")


@dataclass(frozen=True)
class Orders:
    """What a caller wants: a stack in `home`, or a private one in a new folder that ends with `parent`.

    `heap_mb` is the broker's heap.
    """

    home: str | None
    parent: int | None
    heap_mb: int


@dataclass(frozen=True)
class Stack:
    """A running Kafka broker and Redis server, both on loopback only.

    - `bootstrap`: the broker's `host:port`; `redis_url`: the server's URL
    - `home`: the folder of its data and logs; `logs`: log files by `kafka`, `redis` and `supervisor`
    - `pids`: process ids by the same names, without those that do not run or run in containers
    - `mode`: `pip` (processes from Python packages) or `docker`; `downloaded`: what and where to
    """

    bootstrap: str
    redis_url: str
    home: Path
    logs: dict[str, Path]
    pids: dict[str, int]
    mode: str
    downloaded: str

    def stop_kafka(self) -> None:
        """Stop only the broker, gracefully. Raises StackError when the stack has gone."""
        self._command("stop", "kafka")

    def start_kafka(self) -> None:
        """Start the broker again on its port with its data, also after a kill; returns when it is healthy."""
        self._command("start", "kafka")

    def stop_redis(self) -> None:
        """Stop only Redis; its data is written down. Raises StackError when the stack has gone."""
        self._command("stop", "redis")

    def start_redis(self) -> None:
        """Start Redis again on its port, with the data of its stop; returns when it is healthy."""
        self._command("start", "redis")

    def _command(self, verb: str, service: str) -> None:
        reply = ask(self.home, verb, service)
        if reply is None:
            raise StackError(
                f"the local stack in {self.home} does not answer: start it again with `stream local up`."
            )
        if "error" in reply:
            raise StackError(str(reply["error"]))
        self.pids.clear()
        self.pids.update(reply["pids"])


def ask(
    home: Path, verb: str, service: str = "", timeout_s: float = _REPLY_TIMEOUT_S
) -> dict[str, Any] | None:
    """Send one command to the supervisor of the stack in `home`; None when there is none, or it is silent.

    Verbs: `health`, `stop`, `start` (these two with a service) and `down`.
    """
    state = read_state(home)
    if state is None:
        return None
    request = {"token": state["token"], "verb": verb, "service": service}
    try:
        with socket.create_connection((LOOPBACK, state["control_port"]), timeout=timeout_s) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                reply = json.loads(answer.readline())
    except (OSError, ValueError):
        return None
    return reply if isinstance(reply, dict) else None


def supervisor_log(home: Path) -> Path:
    """The log file of the supervisor of the stack in `home`."""
    return home / "supervisor.log"


def stack_from(state: dict[str, Any]) -> Stack:
    """The Stack that a state file describes."""
    return Stack(
        bootstrap=state["bootstrap"],
        redis_url=state["redis_url"],
        home=Path(state["home"]),
        logs={name: Path(log) for name, log in state["logs"].items()},
        pids=dict(state["pids"]),
        mode=state["mode"],
        downloaded=state["downloaded"],
    )


def read_state(home: Path) -> dict[str, Any] | None:
    """The state file of the stack in `home`, None when there is none or it is not one."""
    try:
        state = json.loads((home / _STATE).read_bytes())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and {"token", "control_port", "pids"} <= state.keys() else None


def write_state(home: Path, state: dict[str, Any]) -> None:
    """Replace the state file in one step; only this user may read it."""
    part = home / f"{_STATE}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(state, file)
    part.replace(home / _STATE)


def remove_state(home: Path) -> None:
    """Forget the stack in `home`; its data stays."""
    (home / _STATE).unlink(missing_ok=True)
