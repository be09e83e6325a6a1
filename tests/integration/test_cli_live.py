"""The command line against real Kafka and Redis, with a real worker between them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from typer.testing import CliRunner

from stream.cli.app import app
from stream.client import Client
from stream.local import Stack
from stream.runtime.settings import Settings
from tests.integration.kit import read_all, settings_for, wait_until

ROOT = Path(__file__).parents[2]
NAMES = ("bootstrap", "redis_url", "namespace", "group", "prefix", "partitions", "session_timeout_s")

CSV = """\
when,what,who,sku,eur,shelf
2025-02-03T09:14:00Z,view,c1,lamp,49.90,light
2025-02-03T09:15:00Z,view,c1,desk,199.00,office
2025-02-03T09:16:00Z,view,c2,lamp,49.90,light
2025-02-03T09:16:30Z,gaze,c2,lamp,49.90,light
2025-02-03T09:17:00Z,view,c2,desk,199.00,office
2025-02-03T09:18:00Z,purchase,c2,desk,199.00,office
"""
MAPPING = """\
[fields]
ts = "when"
type = "what"
user_id = "who"
item_id = "sku"
price = "eur"

[item]
category = "shelf"
list_price = "eur"
"""


class Cli:
    """Runs commands with the settings of one test in their environment."""

    def __init__(self, settings: Settings) -> None:
        ours = {f"STREAM_{name.upper()}": str(getattr(settings, name)) for name in NAMES}
        self.environment = os.environ | ours

    def __call__(self, *args: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, the object on standard output, standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "stream", *args, "--json"],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr

    def here(self, *args: str) -> tuple[int, dict[str, Any], str]:
        """The same in this process, which has read all code already: for the second call of a kind."""
        levels = {name: logging.getLogger(name).level for name in ("aiokafka", "stream")}
        # Tests that are coroutines have a loop in this thread, and so have most commands.
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(CliRunner().invoke, app, [*args, "--json"], env=self.environment).result()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        return done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.stderr

    def verdicts(self) -> tuple[int, dict[str, str]]:
        """What `doctor` says."""
        code, told, _ = self("doctor")
        assert told["ok"] == (code == 0)
        return code, {check["name"]: check["verdict"] for check in told["checks"]}


@pytest.fixture
def settings(stack: Stack, namespace: str) -> Settings:
    return settings_for(stack, namespace, partitions=3)


@pytest.fixture
def cli(settings: Settings) -> Cli:
    return Cli(settings)


@pytest.fixture
def log(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "shop.csv").write_text(CSV)
    (tmp_path / "shop.toml").write_text(MAPPING)
    return (str(tmp_path / "shop.csv"), "--format", "mapping", "--mapping", str(tmp_path / "shop.toml"))


@pytest.fixture
def worker(cli: Cli, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "worker.log").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream", "worker", "--worker-id", "w1"],
            cwd=ROOT,
            env=cli.environment,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_topics_are_created_checked_and_listed(cli: Cli, settings: Settings):
    code, _, err = cli("topics", "check")
    assert code == 2
    assert err.startswith("error: Kafka has no topic ")
    code, told, _ = cli("topics", "create")
    assert code == 0
    assert settings.topic("events") in told["created"]
    assert cli("topics", "create")[:2] == (0, {"ok": True, "created": []})
    assert cli("topics", "check")[:2] == (0, {"ok": True, "created": []})
    topics = {row["topic"]: row for row in cli("topics", "list")[1]["topics"]}
    assert topics[settings.topic("events")] == {
        "topic": settings.topic("events"),
        "exists": True,
        "partitions": 3,
        "replicas": 1,
        "messages": 0,
        "cleanup": "delete",
        "timestamps": "LogAppendTime",
    }
    code, _, err = cli("topics", "check", "--partitions", "5")
    assert code == 2
    assert "STREAM_PARTITIONS=3" in err


async def test_produce_writes_what_a_web_app_would(cli: Cli, settings: Settings, log: tuple[str, ...]):
    code, told, err = cli("produce", *log)
    assert (code, err) == (0, "")
    assert told | {"seconds": 0, "events_per_s": 0} == {
        "topic": settings.topic("events"),
        "events": 5,
        "items": 2,
        "dead_letters": 1,
        "refused": {"unknown-type": 1},
        "seconds": 0,
        "events_per_s": 0,
    }
    events = await read_all(settings, "events")
    assert sorted((r.key, json.loads(r.value)["item_id"]) for r in events) == [
        (b"c1", "desk"), (b"c1", "lamp"), (b"c2", "desk"), (b"c2", "desk"), (b"c2", "lamp"),
    ]  # fmt: skip
    for record in events:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 3
        assert record.timestamp > json.loads(record.value)["ts"]
    items = {r.key: json.loads(r.value) for r in await read_all(settings, "items")}
    assert items[b"lamp"] == {"item_id": "lamp", "category": "light", "list_price": 49.9}
    (dead,) = await read_all(settings, "dead-letters")
    assert dead.key is None
    assert dead.value == b"2025-02-03T09:16:30Z,gaze,c2,lamp,49.90,light"
    headers = dict(dead.headers)
    assert (headers["stream-topic"], headers["stream-offset"]) == (b"shop.csv", b"5")
    assert headers["stream-error"] == b"unknown-type"
    assert headers["stream-message"]


async def test_producing_at_a_rate_writes_the_same(cli: Cli, settings: Settings, log: tuple[str, ...]):
    code, told, _ = cli("produce", *log, "--rate", "20")
    assert code == 0
    assert told["seconds"] >= 5 / 20
    assert len(await read_all(settings, "events")) == 5


async def test_a_file_of_another_format_is_refused_row_by_row_and_said_so(
    cli: Cli, settings: Settings, tmp_path: Path
):
    path = tmp_path / "odd.jsonl"
    path.write_text("a,b,c\n1,2,3\n")
    code, told, err = cli("produce", str(path), "--format", "jsonl")
    assert (code, told["events"], told["dead_letters"]) == (1, 0, 2)
    assert "Not one row of" in err
    assert len(await read_all(settings, "dead-letters")) == 2, "nothing is lost"


def test_from_events_to_what_a_web_app_reads(
    cli: Cli, settings: Settings, worker: subprocess.Popen[bytes], tmp_path: Path
):
    code, told, _ = cli("simulate", "--events", "3000", "--seed", "5")
    assert code == 0
    assert told["events"] == 3000
    assert told["items"] > 300
    with Client(settings.redis_url, settings.prefix) as client:

        def done() -> bool:
            assert worker.poll() is None, (tmp_path / "worker.log").read_text()
            engine = [status["engine"] for status in client.workers()]
            return bool(sum(counts["events"] for counts in engine) == 3000)

        wait_until(done, "the worker has all events")
        wait_until(lambda: client.trending() is not None, "a trending list")
        top = client.trending()
        assert top is not None
        wait_until(lambda: client.similar(top.items[0].id) is not None, "a list of similar items")
        wait_until(lambda: client.price(top.items[0].id) is not None, "a price")
    item = top.items[0].id
    assert cli("trending")[1]["items"]
    assert cli("similar", item)[1]["items"]
    assert cli("price", item)[1]["mode"] == "shadow"
    code, _, err = cli("recs", "nobody")
    assert code == 1
    assert err.startswith("Nothing is published for shopper nobody")
    _, verdicts = cli.verdicts()
    assert verdicts["worker w1"] == "ok"
    assert "failed" not in verdicts.values()
    worker.send_signal(signal.SIGINT)
    assert worker.wait(60) == 0


def test_doctor_before_there_are_topics(cli: Cli):
    code, verdicts = cli.verdicts()
    assert code == 1
    assert [name for name, verdict in verdicts.items() if verdict == "failed"] == ["topics"]
    assert verdicts["kafka clock"] == "ok"
    assert verdicts["workers"] == "note"
    assert cli("topics", "create")[0] == 0
    assert cli.verdicts()[0] == 0
