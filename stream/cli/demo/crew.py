"""The processes of a demo: a private Kafka and Redis, and one worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from aiokafka import AIOKafkaConsumer

from stream.errors import StackError
from stream.local import Stack, running
from stream.local.child import dying_with_parent
from stream.runtime.connection import kafka_arguments
from stream.runtime.settings import Settings
from stream.values import key_of

READY_TIMEOUT_S = 900.0
"""The first start compiles the kernels: some minutes, and more on a busy machine."""

STOP_TIMEOUT_S = 30.0


@dataclass
class Crew:
    """What runs, and how to look at it."""

    stack: Stack
    settings: Settings
    worker: subprocess.Popen[bytes]
    log: Path
    reads: Any

    def status(self) -> dict[str, Any] | None:
        """What the worker said of itself at most a second ago; None before its first word."""
        self._check()
        key = key_of(self.settings.prefix, "worker", self.settings.worker_id)
        value = self.reads.get(key)
        return json.loads(value) if value else None

    def values(self, kind: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Published values of one kind, those that exist, by id."""
        if not ids:
            return {}
        found = self.reads.mget([key_of(self.settings.prefix, kind, each) for each in ids])
        return {each: json.loads(value) for each, value in zip(ids, found, strict=True) if value}

    def count(self, kind: str) -> int:
        """How many values of a kind are in Redis."""
        pattern = key_of(self.settings.prefix, kind, "*")
        return sum(1 for _ in self.reads.scan_iter(match=pattern, count=1000))

    def _check(self) -> None:
        code = self.worker.poll()
        if code is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise StackError(f"The worker ended with code {code}: {last[0]}")

    def wait_ready(self) -> None:
        """Until the worker works; raises `StackError` if it does not come up."""
        end = time.monotonic() + READY_TIMEOUT_S
        while not (self.status() or {}).get("ready"):
            if time.monotonic() > end:
                raise StackError(f"The worker is not ready after {READY_TIMEOUT_S:.0f} s: see {self.log}.")
            time.sleep(0.1)


@contextlib.contextmanager
def crew(pricing: str) -> Iterator[Crew]:
    """Start everything, hand it over, and leave nothing running, whatever happens."""
    with running() as stack:
        settings = Settings.load(
            bootstrap=stack.bootstrap,
            redis_url=stack.redis_url,
            worker_id="demo",
            pricing=pricing,
        )
        log = stack.home / "worker.log"
        with log.open("wb") as out:
            worker = subprocess.Popen(
                dying_with_parent([sys.executable, "-m", "stream", "worker"]),
                env={**os.environ, **_environment(settings)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # Its own group: Ctrl-C is for the demo, which then stops the worker in good order.
                start_new_session=True,
            )
        with redis.Redis.from_url(stack.redis_url) as reads:
            try:
                yield Crew(stack, settings, worker, log, reads)
            finally:
                _stop(worker)


def _environment(settings: Settings) -> Mapping[str, str]:
    names = ("bootstrap", "redis_url", "worker_id", "pricing")
    return {f"STREAM_{name.upper()}": str(getattr(settings, name)) for name in names}


def _stop(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


async def topic_length(settings: Settings, name: str) -> int:
    """Records in one of our topics, by its offsets."""
    consumer = AIOKafkaConsumer(settings.topic(name), **kafka_arguments(settings))
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        return sum(ends[each] - begins[each] for each in partitions)
    finally:
        await consumer.stop()
