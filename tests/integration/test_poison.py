"""A record that ends every worker that applies it: after some starts it is left out, and all else goes on."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka.protocol.group import LeaveGroupRequest

from stream.config import EngineConfig
from stream.engine import Engine
from stream.events.records import LogRecord
from stream.local import Stack
from stream.pipeline import Pipeline
from stream.pricing import Mode, PricingConfig
from stream.runtime.bystander import restore
from stream.runtime.settings import Settings
from stream.runtime.topics import prepare
from stream.runtime.trouble import STARTS, TRIES
from stream.values import key_of
from tests.integration.kit import (
    PATIENCE_S,
    WorkerProcess,
    admin_for,
    environment,
    produce,
    read_all,
    settings_for,
    wait_until,
)
from tests.integration.test_golden import assert_same_counts, counts

pytestmark = pytest.mark.long

WORKER = Path(__file__).with_name("faulty_worker.py")
CONFIG = EngineConfig(item_partitions=1, pricing=PricingConfig(mode=Mode.OFF))
TS = 1_760_000_000_000
POISON = "poison"
AT = 37
"""Place of the poison in the log."""


def log(poisoned: bool = True) -> list[LogRecord]:
    """Sixty views; the one at `AT` is of an item that nobody else looks at, by somebody who looks at nothing
    else."""
    found = []
    for k in range(60):
        item = POISON if k == AT else f"item-{k % 7}"
        user = "loner" if k == AT else f"shopper-{k % 5}"
        event = {"event_id": f"e{k}", "type": "view", "ts": TS + k * 1000, "user_id": user, "item_id": item}
        if poisoned or k != AT:
            found.append(LogRecord(k, TS, user.encode(), json.dumps(event).encode()))
    return found


def without_poison() -> Engine:
    """State of all records but that one."""
    pipeline = Pipeline(CONFIG)
    for record in log(poisoned=False):
        pipeline.push([record], TS)
    return pipeline.engine


class FaultyWorker(WorkerProcess):
    """`stream worker` with a fault in its engine."""

    def __init__(self, settings: Settings, log: Path, *fault: str) -> None:
        self._log = log
        with log.open("wb") as out:
            command = [sys.executable, str(WORKER), *fault, "worker", "--pricing", "off"]
            self.process = subprocess.Popen(command, env=environment(settings, "w"), stdout=out, stderr=out)

    def metrics(self) -> str:
        """What Prometheus would be told."""
        url = re.findall(r"http://127.0.0.1:[0-9]+/metrics", self.output())[0]
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return bytes(answer.read()).decode()


class Supervisor:
    """Starts the same worker again until it stays; `workers` are all of them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.workers: list[FaultyWorker] = []
        self._folder = folder
        self._reads = redis.Redis.from_url(settings.redis_url)

    @property
    def last(self) -> FaultyWorker:
        return self.workers[-1]

    def start(self, *fault: str) -> FaultyWorker:
        self._reads.delete(key_of(self.settings.prefix, "worker", "w"))
        self.workers.append(FaultyWorker(self.settings, self._folder / f"{len(self.workers)}.log", *fault))
        return self.last

    async def keep_up(self, records: int, *fault: str) -> list[int]:
        """Start workers until one has all `records` in its state; exit codes of those before it."""
        codes: list[int] = []
        while len(codes) < 10:
            worker = self.start(*fault)
            while worker.process.poll() is None:
                if self.has_applied(records):
                    return codes
                await asyncio.sleep(0.05)
            codes.append(worker.process.returncode)
            await bury(self.settings)
        raise AssertionError(self.output())

    def status(self) -> dict[str, Any]:
        found = self._reads.get(key_of(self.settings.prefix, "worker", "w"))
        assert found is None or isinstance(found, bytes)
        return json.loads(found) if found else {}

    def has_applied(self, records: int) -> bool:
        told = self.status()
        lag: dict[str, int] = told.get("lag", {})
        shoppers = told.get("partitions", {}).get("shoppers", {})
        return bool(told.get("ready")) and shoppers.get("0") == records and not any(lag.values())

    def told(self, part: str) -> list[int]:
        """Which of the workers have said that."""
        return [k for k, worker in enumerate(self.workers) if worker.told(part)]

    def output(self) -> str:
        return "\n--\n".join(worker.output() for worker in self.workers)

    def close(self) -> None:
        self._reads.close()
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()


async def bury(settings: Settings) -> None:
    """Take members that were killed out of the group, instead of waiting for their sessions to end."""
    async with admin_for(settings) as admin:
        (response,) = await admin.describe_consumer_groups([settings.group])
        node = await admin.find_coordinator(settings.group)
        for group in response.to_object()["groups"]:
            for member in group["members"]:
                await admin._send_request(LeaveGroupRequest(settings.group, member["member_id"]), node)


@pytest.fixture
async def scene(stack: Stack, namespace: str, tmp_path: Path) -> Any:
    # Nothing is saved: each restore replays the whole log, and so comes by the poison again.
    settings = settings_for(stack, namespace, partitions=1, rows_saved_per_event=0.0)
    await prepare(settings)
    supervisor = Supervisor(settings, tmp_path)
    yield supervisor
    supervisor.close()


async def send(settings: Settings, records: list[LogRecord]) -> None:
    await produce(settings, "events", [(record.key, record.value, 0) for record in records])


async def dead_letter(settings: Settings) -> tuple[Any, dict[str, str]]:
    """The one there is, with its headers."""
    (letter,) = await read_all(settings, "dead-letters")
    return letter, {name: value.decode() for name, value in letter.headers}


async def assert_restores_as_if_it_had_never_been(settings: Settings) -> None:
    engine = Engine(CONFIG)
    await restore(settings, engine)
    expected = without_poison()
    assert_same_counts(counts(expected), counts(engine))
    assert engine.metrics.replayed == len(log(poisoned=False))
    (mine,), (theirs,) = expected.shopper_units.values(), engine.shopper_units.values()
    for user in (f"shopper-{k}" for k in range(5)):
        one, other = (unit.state.rows[unit.interner.find(user.encode())] for unit in (mine, theirs))
        assert one["events"] == other["events"]


async def test_an_event_that_raises_is_left_out_with_its_traceback_and_its_partition_goes_on(scene):
    await send(scene.settings, log())
    fault = ("shoppers", "raise", POISON)
    assert await scene.keep_up(60, *fault) == [1] * (1 + TRIES)
    assert scene.status()["engine"]["events"] == 59
    letter, headers = await dead_letter(scene.settings)
    original = log()[AT]
    assert (letter.key, letter.value) == (original.key, original.value)
    assert (headers["stream-error"], headers["stream-attempt"]) == ("crashed", str(TRIES))
    assert (headers["stream-topic"], headers["stream-offset"]) == (scene.settings.topic("events"), str(AT))
    first, *traceback = headers["stream-message"].splitlines()
    assert first == "the record ended the worker 2 times when it was applied alone"
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == "ZeroDivisionError: told to fail"
    assert scene.told("raised ZeroDivisionError") == [0, 1, 2]
    assert scene.told("1 at a time") == [1, 2]
    assert scene.told(f"Record {AT} of") == [3]
    assert scene.last.stop() == 0, scene.output()
    await assert_restores_as_if_it_had_never_been(scene.settings)
    # The fault is still there, and so is the record.
    assert await scene.keep_up(60, *fault) == []
    assert scene.last.stop() == 0, scene.output()
    assert len(await read_all(scene.settings, "dead-letters")) == 1


async def test_a_message_that_kills_the_process_is_left_out_and_what_follows_it_is_no_hole(scene):
    """In the item stage, whose messages build on each other."""
    worker = scene.start("items", "kill", POISON)
    worker.wait_told("Ready.")
    # What is left out is a message, with all the events that it speaks of: here the one alone.
    await send(scene.settings, log()[:AT])
    wait_until(lambda: scene.has_applied(AT), "what came before is applied")
    await send(scene.settings, log()[AT : AT + 1])
    assert worker.process.wait(PATIENCE_S) == -9
    await send(scene.settings, log()[AT + 1 :])
    await bury(scene.settings)
    assert await scene.keep_up(60, "items", "kill", POISON) == [-9] * (STARTS + TRIES)
    letter, headers = await dead_letter(scene.settings)
    assert (headers["stream-error"], headers["stream-topic"]) == (
        "crashed",
        scene.settings.topic("item-updates"),
    )
    assert headers["stream-message"].endswith("killed, out of memory, or a fault in native code")
    assert POISON.encode() in letter.value
    engine = scene.status()["engine"]
    assert (engine["holes"], engine["refused"]) == (0, {})
    wait_until(
        lambda: 'stream_dead_letters_total{reason="crashed"} 1' in scene.last.metrics(), "it is counted"
    )
    assert scene.last.stop() == 0, scene.output()
    restored = Engine(CONFIG)
    await restore(scene.settings, restored)
    assert_same_counts(counts(without_poison()), counts(restored))


async def test_a_record_that_only_a_replay_cannot_bear_is_left_out_by_the_replay(scene):
    await send(scene.settings, log())
    assert await scene.keep_up(60, "shoppers", "raise", "nothing") == []
    assert scene.last.stop() == 0, scene.output()
    assert await scene.keep_up(60, "shoppers", "raise-silently", POISON) == [1] * (1 + TRIES)
    _, headers = await dead_letter(scene.settings)
    assert (headers["stream-error"], headers["stream-offset"]) == ("crashed", str(AT))
    assert headers["stream-message"].endswith("ZeroDivisionError: told to fail")
    assert scene.last.stop() == 0, scene.output()
