from __future__ import annotations

import asyncio

import pytest

import stream.local
from stream.cli import checks
from stream.runtime.settings import Settings


@pytest.mark.parametrize(
    ("policy", "maxmemory", "verdict"),
    [
        ("volatile-ttl", 512 << 20, checks.OK),
        ("allkeys-lru", 1 << 30, checks.OK),
        ("noeviction", 512 << 20, checks.FAILED),
        ("volatile-random", 512 << 20, checks.FAILED),
        ("noeviction", 0, checks.NOTE),
        ("volatile-ttl", 0, checks.NOTE),
    ],
)
def test_eviction(policy: str, maxmemory: int, verdict: str):
    check = checks.eviction({"maxmemory_policy": policy, "maxmemory": maxmemory})
    assert check.verdict == verdict
    assert policy in check.found
    assert bool(check.advice) == (verdict != checks.OK)


@pytest.mark.parametrize(
    ("skew_ms", "verdict"),
    [(0.0, checks.OK), (-900.0, checks.OK), (5_000.0, checks.NOTE), (-400_000.0, checks.FAILED)],
)
def test_clocks(skew_ms: float, verdict: str):
    check = checks.skew("some clock", skew_ms)
    assert check.verdict == verdict
    assert bool(check.advice) == (verdict != checks.OK)


def test_python_and_packages_are_those_that_run_this():
    assert [check.verdict for check in checks.python_and_packages()] == [checks.OK, checks.OK]


def test_servers_that_are_away(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stream.cli.brokers.CONNECT_S", 0.2)
    settings = Settings.load(bootstrap="127.0.0.1:1", redis_url="redis://:secret@127.0.0.1:1/0")
    found = [*asyncio.run(checks.kafka_cluster(settings)), *checks.redis_server(settings)]
    found += checks.workers(settings)
    verdicts = {check.name: check.verdict for check in found}
    assert verdicts["kafka"] == verdicts["redis"] == checks.FAILED
    assert verdicts["topics"] == verdicts["workers"] == checks.NOTE
    assert "secret" not in str(found)
    for check in found:
        assert check.advice or check.found.startswith("not checked")


def test_workers_that_report(monkeypatch: pytest.MonkeyPatch):
    settings = Settings.load(partitions=3)
    one = {
        "worker": "w1",
        "ready": True,
        "partitions": {"shoppers": {"0": 5, "1": 7}},
        "lag": {"shoppers": 4},
    }
    for alive, verdicts in (
        ([], {"workers": checks.NOTE}),
        ([one], {"worker w1": checks.OK, "partitions": checks.NOTE}),
        ([one, {"worker": "w2", "ready": False}], {"worker w1": checks.OK, "worker w2": checks.NOTE}),
    ):
        monkeypatch.setattr("stream.client.Client.workers", lambda _, alive=alive: alive)
        assert {check.name: check.verdict for check in checks.workers(settings)} == verdicts


def test_the_local_stack(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream.local, "status", lambda: None)
    assert checks.local_stack(False).found == "not running"
