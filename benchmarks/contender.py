"""One turn of one peer: a fresh group, a fresh output topic, a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.peers.clock import Orders
from benchmarks.topics import Ends, create

TURN_TIMEOUT_S = 1800.0
STOP_TIMEOUT_S = 10.0
"""Faust may spend longer than this on leaving its group; its figures are complete by then."""

MODULES: Mapping[str, str] = {
    "bare_aiokafka": "benchmarks.peers.bare_aiokafka",
    "stock_faust": "benchmarks.peers.stock_faust",
    "quix": "benchmarks.peers.quix_streams",
    "bytewax": "benchmarks.peers.bytewax_flow",
}
"""The peers, in the order they take turns in. All but the first publish one list an event."""

BARE = "bare_aiokafka"


class Turn(msgspec.Struct, frozen=True):
    """What one contender did in one turn."""

    contender: str
    events: int
    seconds: float
    """From the first record handled to the last, start-up left out."""
    lists: int
    """Messages found in its output topic."""

    @property
    def events_per_s(self) -> float:
        """Rate of the turn."""
        return self.events / self.seconds


class ContenderError(Exception):
    """A contender stopped early or never finished; the message holds the end of its log."""


async def take_turn(
    name: str, bootstrap: str, source: str, partitions: int, events: int, folder: Path, label: str
) -> Turn:
    """Run one peer over the first `events` messages of `source` (which holds just as many)."""
    sink = f"bench.{name}.{label}"
    private = folder / f"{name}.{label}"
    private.mkdir(parents=True)
    report = private / "report.json"
    await create(bootstrap, [sink], partitions)
    given = Orders(bootstrap, source, sink, sink, partitions, events, str(report), str(private))
    log = private / "log"
    process = start([sys.executable, "-m", MODULES[name], msgspec.json.encode(given).decode()], {}, log)
    try:
        await _until(report.exists, process, log)
        async with Ends(bootstrap) as ends:
            lists = await ends.count(sink, partitions)
            deadline = asyncio.get_running_loop().time() + 30.0
            while name != BARE and lists < events and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.1)
                lists = await ends.count(sink, partitions)
    finally:
        await stop(process)
    measured = json.loads(report.read_bytes())
    return Turn(name, measured["events"], measured["seconds"], lists)


def start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a contender in a process group of its own, its output in the file `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
        )


async def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop, and end it with its children when it takes too long."""
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)


def ending(log: Path, characters: int = 2000) -> str:
    """The end of a contender's log, for an error message."""
    return log.read_text(errors="replace")[-characters:]


async def _until(done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + TURN_TIMEOUT_S
    while not done():
        if process.poll() is not None:
            raise ContenderError(f"it stopped early with status {process.returncode}: {ending(log)}")
        if asyncio.get_running_loop().time() > deadline:
            raise ContenderError(f"it was not done after {TURN_TIMEOUT_S:.0f} s: {ending(log)}")
        await asyncio.sleep(0.05)
