"""What every benchmark of live workers shares: servers, a worker's environment and word, the report."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from redis import Redis
from rich.console import Console

from benchmarks.contender import ContenderError
from stream.errors import StreamError
from stream.local import Stack, running
from stream.runtime import topics
from stream.runtime.settings import Settings
from stream.values import key_of

HEAP_MB = 1024
WORKER = (sys.executable, "-m", "stream", "worker")
"""The command of a worker; its settings come from its environment."""

Measure = Callable[[argparse.Namespace, Stack, Path], Coroutine[Any, Any, dict[str, Any]]]

progress = Console(stderr=True, highlight=False)


async def prepared(
    bootstrap: str, redis_url: str, partitions: int, **more: str
) -> tuple[Settings, dict[str, str]]:
    """Settings of a benchmark, whose topics are there now; the same as a worker's environment variables."""
    given = {"bootstrap": bootstrap, "redis_url": redis_url, "partitions": str(partitions), **more}
    settings = Settings.load(None, **given)
    await topics.prepare(settings)
    return settings, {f"STREAM_{name.upper()}": value for name, value in given.items()}


def status(redis: Redis, settings: Settings, worker_id: str) -> dict[str, Any] | None:
    """What a worker last told of itself, None when it was not heard of for some seconds."""
    found: Any = redis.get(key_of(settings.prefix, "worker", worker_id))
    return dict(json.loads(found)) if found else None


def resident_mb(pid: int) -> float:
    """Memory of a process that is really there, MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(
    name: str,
    options: argparse.Namespace,
    measure: Measure,
    verdict: Callable[[Mapping[str, Any]], int] = lambda report: 0,
    keep_logs: bool = False,
) -> int:
    """Measure on a private Kafka and Redis, print the report, and give the exit code.

    The code is the `verdict` on the report; 2 when it could not be made. `measure` is given a folder for the
    workers' logs, which stays if `keep_logs` and the code is not 0.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"stream-{name}-"))
    code = 2
    try:
        with running(heap_mb=HEAP_MB) as stack:
            report = asyncio.run(measure(options, stack, folder))
        code = verdict(report)
    except (StreamError, ContenderError, TimeoutError) as error:
        progress.print(f"The benchmark could not be made: {error}", style="red", markup=False)
        return code
    finally:
        if keep_logs and code:
            progress.print(f"The workers' logs are in {folder}.", markup=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    tell(report, options.json)
    return code


def tell(report: Mapping[str, Any], as_json: bool) -> None:
    """Print a report: one JSON object, or a line a figure."""
    if as_json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        Console().print(f"{name}: {value}", markup=False)
