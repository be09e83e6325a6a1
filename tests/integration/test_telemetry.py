"""What a whole worker tells Prometheus of what it did, on real Kafka and Redis."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from stream.runtime.telemetry.families import FAMILIES
from stream.runtime.telemetry.probe import who_is_away
from stream.runtime.topics import prepare
from tests.integration.kit import (
    WorkerProcess,
    environment,
    produce,
    redis_call,
    settings_for,
    status,
    wait_until,
    workers,
)

PARTITIONS = 2
TS = 1_760_000_000_000


class RealWorker(WorkerProcess):
    """`stream worker` itself."""

    def __init__(self, settings: Any, log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream", "worker", "--pricing", "off"],
                env=environment(settings, "w1"),
                stdout=out,
                stderr=out,
            )

    @property
    def url(self) -> str:
        """Where the log says that it can be asked."""
        line = next(line for line in self.lines if line["message"].startswith("Metrics are at "))
        return str(line["message"]).removeprefix("Metrics are at ").removesuffix("/metrics.")

    def ask(self, path: str) -> tuple[int, str]:
        return get(self.url + path)

    def value(self, name: str, **labels: str) -> float:
        """One sample of a scrape."""
        return scrape(self.ask("/metrics")[1])[name, frozenset(labels.items())]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def scrape(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def view(shopper: str, k: int, **more: Any) -> tuple[bytes, bytes, int]:
    event = {"event_id": f"e{k}", "type": "view", "ts": TS + k, "user_id": shopper, "item_id": f"i{k % 7}"}
    return shopper.encode(), json.dumps(event | more).encode(), k % PARTITIONS


@pytest.fixture
async def settings(stack, namespace):
    found = settings_for(stack, namespace, partitions=PARTITIONS)
    await prepare(found)
    return found


async def test_what_a_worker_did_is_what_it_tells(stack, settings, tmp_path):
    worker = RealWorker(settings, tmp_path / "worker.log")
    try:
        worker.wait_told("Metrics are at ")
        code, text = worker.ask("/readyz")
        # Restoring takes longer than asking; but should it ever not, that is no fault.
        assert code == 200 or json.loads(text)["reason"]
        worker.wait_told("Ready.")
        wait_until(lambda: worker.ask("/readyz")[0] == 200, "ready")
        assert worker.ask("/healthz") == (200, '{"alive": true}\n')
        events = [view(f"s{k % 20}", k) for k in range(400)]
        await produce(settings, "events", [*events, *events[:30]])
        await produce(settings, "events", [(b"s1", b"{broken", 0), (b"s1", b"{}", 0), (b"s1", b"[]", 1)])
        wait_until(lambda: worker.value("stream_events_total") >= 400, "all events")
        wait_until(lambda: worker.value("stream_consumer_lag_records", stage="items") == 0, "no lag")
        wait_until(
            lambda: worker.value("stream_freshness_seconds_count", since="event") >= 400, "all delivered"
        )
        wait_until(lambda: worker.value("stream_batch_records_sum", stage="shoppers") >= 433, "acknowledged")
        wait_until(lambda: worker.value("stream_dead_letters_total", reason="not-an-object") == 1, "refused")
        wait_until(
            lambda: worker.value("stream_step_seconds_count", step="commit", stage="all") > 0, "commit"
        )
        found = scrape(worker.ask("/metrics")[1])

        def value(name: str, **labels: str) -> float:
            return found[name, frozenset(labels.items())]

        assert {family.name for family in FAMILIES if family.kind == "counter" and not family.labels} <= {
            name for name, _ in found
        }
        assert value("stream_events_total") == 400
        assert value("stream_duplicates_total") == 30
        assert value("stream_dead_letters_total", reason="malformed-json") == 1
        assert value("stream_dead_letters_total", reason="missing-field") == 1
        assert value("stream_dead_letters_total", reason="too-old") == 0
        assert value("stream_freshness_seconds_count", since="broker") == 433
        assert value("stream_freshness_seconds_count", since="event") == 430
        assert value("stream_batch_records_sum", stage="shoppers") == 433
        assert value("stream_units", stage="shoppers") == value("stream_units", stage="items") == PARTITIONS
        for stage in ("items", "shoppers", "learner"):
            assert value("stream_consumer_lag_seconds", stage=stage) == 0
            assert value("stream_consumer_lag_records", stage=stage) == 0
        assert value("stream_lists_total") > 0
        # One for each shopper at least: of lists that are delivered together Redis gets the last.
        assert value("stream_redis_values_written_total") >= 20
        assert value("stream_step_seconds_count", step="apply", stage="shoppers") > 0
        assert value("stream_restore_seconds_count") == 1
        assert value("stream_stalled_seconds") < 60
        assert value("stream_ready") == 1
        assert value("process_cpu_seconds_total") > 0
        told = await status(settings, "w1")
        assert told is not None
        assert told["metrics"] == f"{worker.url}/metrics"
        assert worker.stop() == 0, worker.output()
        # What it saved on leaving is what its successor need not replay.
        assert await redis_call(settings, "EXISTS", f"{settings.prefix}:v1:recs:{{s1}}") == 1
    finally:
        if worker.process.poll() is None:
            worker.kill()


async def test_a_port_that_is_taken_ends_the_worker_with_one_sentence(settings, tmp_path, monkeypatch):
    with workers(settings, tmp_path) as start:
        first = start("first")
        first.wait_told("Metrics are at ")
        port = next(line for line in first.lines if "Metrics are at" in line["message"])["message"]
        monkeypatch.setenv("STREAM_METRICS_PORT", port.rpartition(":")[2].partition("/")[0])
        second = start("second")
        assert second.process.wait(60) == 2
        (line,) = [line for line in second.lines if line["level"] == "error"]
        assert "STREAM_METRICS_PORT" in line["message"]
        assert "traceback" not in line
        assert first.stop() == 0, first.output()


async def test_the_probe_tells_who_is_away(stack, settings):
    topic = settings.topic("events")
    assert await who_is_away(settings, topic) is None
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    assert await who_is_away(nowhere, topic) == "Redis"
    nowhere = settings.model_copy(update={"bootstrap": "127.0.0.1:1"})
    assert await who_is_away(nowhere, topic) == "Kafka"
