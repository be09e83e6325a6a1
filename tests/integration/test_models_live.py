"""A challenger on a real Kafka: a worker's learner judges it beside the model that it publishes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.runtime.settings import Settings
from stream.runtime.topics import prepare
from tests.integration.kit import ROOT, environment, produce, real_worker, settings_for
from tests.unit.test_learner import message


@pytest.fixture
async def settings(stack: Any, namespace: str) -> Settings:
    found = settings_for(stack, namespace, partitions=1)
    await prepare(found)
    return found


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """The log of a worker that is told to stop afterwards."""
    log = tmp_path / "worker.log"
    with real_worker(settings, log):
        yield log


def stream(settings: Settings, *args: str) -> tuple[int, str]:
    """`stream models`: exit code and all that was said."""
    done = subprocess.run(
        [sys.executable, "-m", "stream", "models", *args],
        cwd=ROOT,
        env=environment(settings, "cli"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


async def label(settings: Settings, seed: int) -> None:
    """Lists that were labelled, as workers tell the learner."""
    record = message(200, np.zeros((200, 4)), seed)
    await produce(settings, "examples", [(None, record.value, None)])


async def until(settings: Settings, wanted: Any) -> dict[str, Any]:
    """What `list` says when it is as wanted; lists are labelled meanwhile."""
    for seed in range(60):
        await label(settings, seed)
        code, said = await asyncio.to_thread(stream, settings, "list", "--json")
        if code == 0 and wanted(found := json.loads(said)):
            return dict(found)
        await asyncio.sleep(0.5)
    raise AssertionError(said)


async def test_a_challenger_is_judged_promoted_and_gone(settings: Settings, worker: Path, tmp_path: Path):
    file = str(tmp_path / "model.json")
    assert "no model yet" in stream(settings, "export", file)[1]
    await until(settings, lambda found: found["champion"]["lists"] >= 200)
    assert stream(settings, "export", file)[0] == 0
    assert stream(settings, "challenge", "old", file)[0] == 0
    found = await until(settings, lambda found: found["challengers"]["old"]["lists"] >= 200)
    assert 0 < found["challengers"]["old"]["measures"]["mrr@20"]["challenger"] < 1
    assert stream(settings, "promote", "old")[0] == 0
    await until(settings, lambda found: not found["challengers"])
    assert "unusable" not in worker.read_text()
