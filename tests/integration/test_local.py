"""The local stack: what it serves, and what it leaves behind (nothing)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis
from testcontainers.core.docker_client import DockerClient

from stream.errors import StackError
from stream.local import Stack, down, running, status, up
from stream.local.leftovers import HOME_LABEL, remove_volumes
from stream.local.places import checkout
from stream.local.ports import answers


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1].split("/")[0])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def containers(stack: Stack) -> Any:
    """Those of a stack, where an engine answers and it has some."""
    if stack.mode == "pip":
        return []
    with contextlib.closing(DockerClient().client) as engine:
        return engine.containers.list(all=True, filters={"label": f"{HOME_LABEL}={stack.home}"})


def kill(stack: Stack, server: str) -> None:
    if stack.mode == "pip":
        os.kill(stack.pids[server], signal.SIGKILL)
    for container in containers(stack):
        if server in container.attrs["Config"]["Image"]:
            container.kill()


def eventually(condition: Callable[[], bool], patience_s: float = 30.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def send(stack: Stack, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap) as producer:
        await producer.send_and_wait(topic, value)


async def receive(stack: Stack, topic: str, group: str | None) -> bytes:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=stack.bootstrap, group_id=group, auto_offset_reset="earliest"
    )
    async with consumer:
        message = await asyncio.wait_for(consumer.getone(), 30)
        if group is not None:
            await consumer.commit()
    assert message.value is not None
    return bytes(message.value)


def test_the_first_consumer_group_is_served_at_once(
    stack: Stack, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(send(stack, f"{namespace}topic", b"hello"))
    assert asyncio.run(receive(stack, f"{namespace}topic", f"{namespace}group")) == b"hello"
    assert "Coordinator" not in " ".join(r.message for r in caplog.records if r.levelname == "ERROR")


def test_redis_answers(stack: Stack, namespace: str) -> None:
    with Redis.from_url(stack.redis_url) as redis:
        redis.set(f"{namespace}key", "value", ex=60)
        assert redis.get(f"{namespace}key") == b"value"


def test_logs_are_where_it_says(stack: Stack) -> None:
    assert {"kafka", "redis", "supervisor"} == set(stack.logs)
    assert all(log.is_file() for log in stack.logs.values())
    assert stack.downloaded


def test_everything_listens_on_one_loopback_address_only(stack: Stack) -> None:
    for address in (stack.bootstrap, stack.redis_url):
        # A server that listens everywhere would answer here too.
        with socket.socket() as elsewhere:
            elsewhere.settimeout(2)
            assert elsewhere.connect_ex(("127.0.0.2", port_of(address))) != 0


def test_kafka_stops_and_comes_back_with_its_data(stack: Stack, namespace: str) -> None:
    asyncio.run(send(stack, f"{namespace}topic", b"kept"))
    stack.stop_kafka()
    assert not answers(port_of(stack.bootstrap))
    assert "kafka" not in stack.pids
    assert answers(port_of(stack.redis_url))
    stack.start_kafka()
    assert stack.mode == "docker" or alive(stack.pids["kafka"])
    assert asyncio.run(receive(stack, f"{namespace}topic", None)) == b"kept"


def test_redis_stops_and_comes_back_with_its_data(stack: Stack, namespace: str) -> None:
    with Redis.from_url(stack.redis_url) as redis:
        redis.set(f"{namespace}key", "kept")
    stack.stop_redis()
    assert not answers(port_of(stack.redis_url))
    stack.start_redis()
    with Redis.from_url(stack.redis_url) as redis:
        assert redis.get(f"{namespace}key") == b"kept"


def test_redis_comes_back_after_a_kill(stack: Stack) -> None:
    kill(stack, "redis")
    assert eventually(lambda: not answers(port_of(stack.redis_url)))
    stack.start_redis()
    with Redis.from_url(stack.redis_url) as redis:
        assert redis.ping()


HOLD = """
import json, time
from stream.local import running
with running() as stack:
    print(json.dumps({"home": str(stack.home), "pids": stack.pids, "downloaded": stack.downloaded,
                      "bootstrap": stack.bootstrap, "mode": stack.mode}), flush=True)
    time.sleep(600)
"""


def test_a_killed_parent_leaves_nothing_behind(stack: Stack, tmp_path: Path) -> None:
    # All that can be odd at once: another copy beside the first, in a path with spaces, a comma and a
    # letter that is not ASCII; temporary files too; neither Java nor Maven on the PATH; no network.
    copy = tmp_path / "a copy, with ü"
    shutil.copytree(checkout() / "stream", copy / "stream", ignore=shutil.ignore_patterns("__pycache__"))
    (temporary := copy / "temporary files").mkdir()
    environment = {
        "PATH": str(tmp_path),
        "HOME": os.environ["HOME"],
        "PYTHONPATH": str(copy),
        "TMPDIR": str(temporary),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "LC_ALL": "C",
        "JAVA_TOOL_OPTIONS": "-Xmx1m",
    }
    kept = ("DOCKER_HOST", "XDG_CACHE_HOME")
    environment |= {name: os.environ[name] for name in kept if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", HOLD], env=environment, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        other = json.loads(parent.stdout.readline())
        assert other["bootstrap"] != stack.bootstrap
        assert other["mode"] == "docker" or other["downloaded"].startswith("nothing")
        assert Path(other["home"]).parent == temporary
        assert answers(port_of(other["bootstrap"]))
        parent.kill()
    assert eventually(lambda: not Path(other["home"]).exists())
    assert eventually(lambda: not any(alive(pid) for pid in other["pids"].values()))
    assert not answers(port_of(other["bootstrap"]))
    assert list(temporary.iterdir()) == []
    assert answers(port_of(stack.bootstrap))


def test_a_failed_start_is_one_sentence_and_leaves_the_logs_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with (
        pytest.raises(StackError, match=r"^kafka ended while it was starting; its log \S+ ends with: \S"),
        running(heap_mb=1),
    ):
        pass
    (home,) = tmp_path.iterdir()
    assert "kafka.log" in {entry.name for entry in home.iterdir()}
    assert not list(home.glob("*-data"))


def test_a_killed_supervisor_leaves_nothing_behind() -> None:
    with running() as private:
        os.kill(private.pids["supervisor"], signal.SIGKILL)
    assert not answers(port_of(private.bootstrap))
    assert not private.home.exists()
    assert not containers(private)
    assert eventually(lambda: not any(alive(pid) for pid in private.pids.values()))


def test_the_shared_stack_is_found_repaired_and_ended(tmp_path: Path, namespace: str) -> None:
    home = tmp_path / "the home"
    assert status(home) is None
    assert not down(home)
    first = up(home)
    try:
        assert up(home) == first
        assert status(home) == first
        asyncio.run(send(first, f"{namespace}topic", b"kept"))
        kill(first, "kafka")
        assert eventually(lambda: status(home) is None)
        second = up(home)
        assert (second.bootstrap, second.redis_url) == (first.bootstrap, first.redis_url)
        assert second.pids != first.pids
        assert asyncio.run(receive(second, f"{namespace}topic", None)) == b"kept"
    finally:
        assert down(home)
        if first.mode == "docker":
            remove_volumes(home)
    assert not containers(second)
    assert not any(alive(pid) for name, pid in second.pids.items() if name != "supervisor")
    assert status(home) is None
    assert not down(home)
