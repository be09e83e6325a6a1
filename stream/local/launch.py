"""Start, find and end stacks: the callers' side."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from stream.errors import StackError
from stream.local.child import end_leftover, log_tail
from stream.local.leftovers import end_leftovers
from stream.local.places import checkout, default_home, locked, make_private
from stream.local.ports import LOOPBACK
from stream.local.stack import (
    SERVICES,
    Orders,
    Stack,
    ask,
    read_state,
    remove_state,
    stack_from,
    supervisor_log,
)

# Kafka needs 200 MB of heap for a test, more for many partitions and a page of consumers. With more than this
# it is also made for load and not for a quick start.
HEAP_MB = 512
_HEALTH_TIMEOUT_S = 15.0
_END_TIMEOUT_S = 60.0


def up(home: Path | None = None) -> Stack:
    """Start the shared stack of this checkout in the background, or find the healthy one that runs.

    A broken one is ended and started again. Data, and where possible ports, stay the same from one `up` to
    the next; delete `home` after `down` to begin empty.
    Raises StackError with the way out. Cost: about 0.3 s when it runs, 8 s when not, and a download of 42 MB
    the first time.
    """
    home = (home or default_home()).absolute()
    with locked(home):
        stack = status(home)
        if stack is not None:
            return stack
        _end(home)
        process = _launch(Orders(str(home), None, HEAP_MB))
        try:
            return _started(process, supervisor_log(home))
        finally:
            process.wait()  # it has handed over to the background at once


def down(home: Path | None = None) -> bool:
    """End the shared stack; its data stays in its home. False when none was running."""
    home = (home or default_home()).absolute()
    if not home.exists():
        return False
    with locked(home):
        return _end(home)


def status(home: Path | None = None) -> Stack | None:
    """The shared stack when it runs and both of its servers answer, else None."""
    home = (home or default_home()).absolute()
    state = read_state(home)
    reply = ask(home, "health", timeout_s=_HEALTH_TIMEOUT_S)
    return stack_from(state) if state is not None and reply == {"healthy": True} else None


@contextmanager
def running(heap_mb: int = HEAP_MB) -> Iterator[Stack]:
    """A private stack on free ports in a temporary folder for the length of a `with` block.

    Its servers end and its folder is deleted when the block ends, and also when this process is killed.
    `heap_mb` is the broker's heap. Raises StackError with the way out.
    """
    process = _launch(Orders(None, os.getpid(), heap_mb))
    home: Path | None = None
    try:
        stack = _started(process, None)
        home = stack.home
        yield stack
    finally:
        _finish(process)
        # What its supervisor did already, unless that was killed.
        if home is not None and home.exists():
            _end(home)
            shutil.rmtree(home, ignore_errors=True)


def _launch(orders: Orders) -> subprocess.Popen[bytes]:
    root = str(checkout())
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    if orders.home is not None:
        make_private(Path(orders.home))
    return subprocess.Popen(
        # -P: a file of the working directory must not stand in for a module. A session of its own: Ctrl-C
        # in a terminal must not reach the servers before their users have finished with them.
        [sys.executable, "-P", "-m", "stream.local.supervisor", json.dumps(asdict(orders))],
        stdin=subprocess.DEVNULL if orders.parent is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
    )


def _started(process: subprocess.Popen[bytes], log: Path | None) -> Stack:
    assert process.stdout is not None
    with process.stdout as report:
        line = report.readline()
    message: dict[str, str] = json.loads(line) if line else {}
    if "error" in message:
        raise StackError(message["error"])
    state = read_state(Path(message["home"])) if message else None
    if state is None:
        where = f"; its log {log} ends with: {log_tail(log)}" if log is not None else ""
        raise StackError(f"the local stack's supervisor ended before its servers were up{where}; try again.")
    return stack_from(state)


def _finish(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()  # which tells the supervisor to end
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end(home: Path) -> bool:
    """End whatever the state file in `home` names; False when nothing did."""
    state = read_state(home)
    if state is None:
        return False
    if ask(home, "down", timeout_s=_END_TIMEOUT_S) is None:
        # The supervisor hangs or has been killed; on Linux the kernel has ended its processes.
        markers = {"supervisor": str(home), "kafka": str(home), "redis": _redis_marker(state["redis_url"])}
        for name in ("supervisor", *SERVICES):
            if name in state["pids"]:
                end_leftover(state["pids"][name], markers[name])
        if state.get("mode") == "docker":
            end_leftovers(home)
    remove_state(home)
    return True


def _redis_marker(url: str) -> str:
    # Redis rewrites its command line to its address.
    return f"{LOOPBACK}:{url.rsplit(':', 1)[1].split('/')[0]}"
