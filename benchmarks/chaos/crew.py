"""The worker processes: started, killed, frozen, and asked through Redis what they hold."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks import harness
from benchmarks.contender import ContenderError, ending, start, stop
from stream.runtime.settings import Settings

READY_TIMEOUT_S = 120.0
FRESH_S = 3.0
"""A status is renewed every second."""
RESTORING = "Restoring"
"""A worker's log line when it begins to restore units."""


class Crew:
    """Workers by name, each with its log in `folder`."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        redis: Redis,
        folder: Path,
        command: Sequence[str] = harness.WORKER,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._redis = redis
        self._folder = folder
        self._command = command
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._made = 0

    def names(self) -> list[str]:
        """Workers that have not been killed."""
        return list(self._processes)

    def start(self) -> str:
        """One more worker; its name."""
        self._made += 1
        name = f"worker-{self._made}"
        environment = {**self._environment, "STREAM_WORKER_ID": name, "STREAM_LOG_FORMAT": "json"}
        self._processes[name] = start(self._command, environment, self._log(name))
        return name

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Freeze (SIGSTOP) or wake (SIGCONT) a worker."""
        self._processes[name].send_signal(number)

    async def ready(self) -> None:
        """Until every worker is ready and holds something, and together they hold every partition.

        What was said before a freeze does not count.
        """
        deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
        while True:
            since_ms = (time.time() - FRESH_S) * 1000
            told = [self._status(name) for name in self._processes]
            fresh = [status for status in told if status and status["ready"] and status["at_ms"] > since_ms]
            held = [p for status in fresh for p in status["partitions"].get("shoppers", {})]
            working = [status for status in fresh if status["partitions"].get("shoppers")]
            if len(working) == len(told) and sorted(map(int, held)) == [*range(self._settings.partitions)]:
                return
            self.check()
            if asyncio.get_running_loop().time() > deadline:
                raise ContenderError(f"the workers hold {sorted(held)} of the partitions: {self._folder}")
            await asyncio.sleep(0.1)

    def owner(self, partition: int) -> str | None:
        """Who says to hold a partition of `events`, as of a second ago at most."""
        for name in self._processes:
            status = self._status(name)
            if status and str(partition) in status["partitions"].get("shoppers", {}):
                return name
        return None

    def restorations(self) -> dict[str, int]:
        """How often each worker has begun to restore units."""
        return {
            name: self._log(name).read_text(errors="replace").count(RESTORING) for name in self._processes
        }

    def told(self, name: str) -> list[Any]:
        """What every worker's status says under `name`, of a second ago at most."""
        found = [self._status(worker) for worker in self._processes]
        if not all(found):
            raise ContenderError(f"a worker tells nothing of itself: {self._folder}")
        return [status[name] for status in found if status]

    def resident_mb(self) -> list[float]:
        """Memory of every worker."""
        return [harness.resident_mb(process.pid) for process in self._processes.values()]

    def check(self) -> None:
        """Raise if a worker has ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise ContenderError(
                    f"{name} ended by itself with status {process.returncode}: {ending(self._log(name))}"
                )

    async def stop(self) -> None:
        """Stop all that run, gracefully."""
        processes, self._processes = self._processes, {}
        for process in processes.values():
            # A frozen one could not obey.
            process.send_signal(signal.SIGCONT)
        await asyncio.gather(*(stop(process) for process in processes.values()))

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _status(self, name: str) -> dict[str, Any] | None:
        return harness.status(self._redis, self._settings, name)
