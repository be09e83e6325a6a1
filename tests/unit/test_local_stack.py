"""The state file, and commands to a supervisor that may have gone."""

from __future__ import annotations

import json
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from stream.errors import StackError
from stream.local.launch import down, status
from stream.local.ports import LOOPBACK, free_ports
from stream.local.stack import ask, read_state, remove_state, stack_from, write_state


def state(home: Path, control_port: int) -> dict[str, Any]:
    return {
        "bootstrap": "127.0.0.1:1",
        "redis_url": "redis://127.0.0.1:2/0",
        "home": str(home),
        "logs": {"kafka": str(home / "kafka.log")},
        "pids": {},
        "mode": "pip",
        "downloaded": "nothing",
        "control_port": control_port,
        "token": "secret",
    }


def supervise(home: Path, reply: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer one command as a supervisor would; the request appears in the returned list."""
    requests: list[dict[str, Any]] = []
    server = socket.create_server((LOOPBACK, 0))

    def serve() -> None:
        with server, server.accept()[0] as connection, connection.makefile("rb") as lines:
            requests.append(json.loads(lines.readline()))
            connection.sendall(json.dumps(reply).encode() + b"\n")

    write_state(home, state(home, server.getsockname()[1]))
    threading.Thread(target=serve, daemon=True).start()
    return requests


def test_the_state_file_is_the_owners_alone(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    write_state(tmp_path, state(tmp_path, 1))
    assert read_state(tmp_path) == state(tmp_path, 1)
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


def test_a_damaged_state_file_is_no_stack(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"half')
    assert read_state(tmp_path) is None
    assert status(tmp_path) is None
    assert not down(tmp_path)


def test_a_command_carries_the_token_and_brings_the_new_ids(tmp_path: Path) -> None:
    requests = supervise(tmp_path, {"pids": {"kafka": 7}})
    stack = stack_from(state(tmp_path, 0))
    stack.start_kafka()
    assert requests == [{"token": "secret", "verb": "start", "service": "kafka"}]
    assert stack.pids == {"kafka": 7}


def test_an_error_of_the_supervisor_is_raised(tmp_path: Path) -> None:
    supervise(tmp_path, {"error": "kafka ended while it was starting."})
    with pytest.raises(StackError, match="ended while"):
        stack_from(state(tmp_path, 0)).start_kafka()


def test_a_stack_that_has_gone_is_one_sentence(tmp_path: Path) -> None:
    write_state(tmp_path, state(tmp_path, free_ports(1)[0]))
    assert ask(tmp_path, "health") is None
    with pytest.raises(StackError, match="stream local up"):
        stack_from(state(tmp_path, 0)).stop_redis()


@pytest.mark.parametrize("healthy", [True, False])
def test_status_is_the_stack_only_while_it_is_healthy(tmp_path: Path, healthy: bool) -> None:
    supervise(tmp_path, {"healthy": healthy})
    assert (status(tmp_path) is not None) is healthy
