"""What the shell's tests share: settings, worker processes, and reading and writing topics."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from stream.runtime.redis_connection import Address, RedisConnection
from stream.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("fake_worker.py")
PATIENCE_S = 60.0
"""How long anything may take that surely happens: generous, because machines are shared."""


def settings_for(stack: Any, namespace: str, **changes: Any) -> Settings:
    given = {
        "bootstrap": stack.bootstrap,
        "redis_url": stack.redis_url,
        "namespace": namespace,
        "group": f"{namespace}group",
        "prefix": f"{namespace}keys",
        "partitions": 4,
        "session_timeout_s": 6.0,
    }
    return Settings(**(given | changes))


def environment(settings: Settings, worker_id: str) -> dict[str, str]:
    names = ("bootstrap", "redis_url", "namespace", "group", "prefix", "partitions", "session_timeout_s")
    ours = {
        f"STREAM_{name.upper()}": str(getattr(settings, name))
        for name in (*names, "max_poll_records", "rows_saved_per_event")
    }
    return os.environ | ours | {"STREAM_WORKER_ID": worker_id, "STREAM_LOG_FORMAT": "json"}


class WorkerProcess:
    """A worker in a process of its own; `lines` are its log lines so far."""

    def __init__(self, settings: Settings, worker_id: str, log: Path, wait_s: float = 0.0) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), str(wait_s)],
                env=environment(settings, worker_id),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def lines(self) -> list[dict[str, Any]]:
        found = []
        for line in self._log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def told(self, part: str) -> bool:
        return any(part in line["message"] for line in self.lines)

    def wait_told(self, part: str) -> None:
        wait_until(lambda: self.told(part) or self.process.poll() is not None, part)
        assert self.told(part), self._log.read_text()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def output(self) -> str:
        return self._log.read_text()


class Start(Protocol):
    def __call__(self, name: str, wait_s: float = 0.0) -> WorkerProcess: ...


@contextlib.contextmanager
def workers(settings: Settings, folder: Path) -> Iterator[Start]:
    """Starts workers by name, with a wait for each record; ends those that still run."""
    running: list[WorkerProcess] = []

    def start(name: str, wait_s: float = 0.0) -> WorkerProcess:
        running.append(WorkerProcess(settings, name, folder / f"{name}.log", wait_s))
        return running[-1]

    try:
        yield start
    finally:
        for worker in running:
            if worker.process.poll() is None:
                worker.kill()


@contextlib.contextmanager
def real_worker(settings: Settings, log: Path) -> Iterator[None]:
    """A worker as shops start it, ready, in a process of its own; it is told to stop afterwards, and does."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream", "worker", "--pricing", "off"],
            cwd=ROOT,
            env=environment(settings, "w1"),
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: "Ready." in log.read_text() or process.poll() is not None, "the worker is ready")
        assert process.poll() is None, log.read_text()
        yield
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_until(true: Callable[[], bool], what: str, seen: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"in vain: {what} {seen()}"
        time.sleep(0.05)


@contextlib.asynccontextmanager
async def admin_for(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def produce(
    settings: Settings, topic: str, rows: Sequence[tuple[bytes | None, bytes | None, int | None]]
) -> list[tuple[int, int]]:
    """Write (key, value, partition) rows; returns (partition, offset) of each."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=5)
    await producer.start()
    try:
        sent = [
            await producer.send(settings.topic(topic), key=key, value=value, partition=partition)
            for key, value, partition in rows
        ]
        return [(done.partition, done.offset) for done in [await delivery for delivery in sent]]
    finally:
        await producer.stop()


async def read_all(settings: Settings, topic: str) -> list[Any]:
    """Every record that the topic holds now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        await consumer._client.add_topic(settings.topic(topic))
        partitions = consumer.partitions_for_topic(settings.topic(topic)) or ()
        tps = [TopicPartition(settings.topic(topic), p) for p in partitions]
        ends = await consumer.end_offsets(tps)
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        records: list[Any] = []
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for found in (await consumer.getmany(timeout_ms=200)).values():
                records += found
        return records
    finally:
        await consumer.stop()


async def committed(settings: Settings, topic: str) -> dict[int, int]:
    """Committed offset of each partition of a topic."""
    async with admin_for(settings) as admin:
        offsets = await admin.list_consumer_group_offsets(settings.group)
    name = settings.topic(topic)
    return {tp.partition: found.offset for tp, found in offsets.items() if tp.topic == name}


async def redis_call(settings: Settings, *args: Any) -> Any:
    connection = RedisConnection(Address.parse(settings.redis_url))
    await connection.open()
    try:
        return await connection.call(*args)
    finally:
        await connection.close()


async def status(settings: Settings, worker_id: str) -> dict[str, Any] | None:
    """What a worker tells about itself in Redis."""
    found = await redis_call(settings, "GET", f"{settings.prefix}:v1:worker:{{{worker_id}}}")
    return json.loads(found) if found else None
