"""The pulse of event loop and engine thread, and the thread that ends the process when one has none."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable

from stream.runtime.telemetry.watchdog import STALL_S, Watchdog

log = logging.getLogger(__name__)

EVERY_S = 1.0
ALIVE_S = 60.0
"""Without a sign of life for longer, /healthz says no. Loading a large unit's state takes seconds."""

LOOP, ENGINE = "the event loop", "the engine's thread"


class Pulse:
    """When each was last heard of (monotonic seconds). Written by the loop, read by any thread."""

    def __init__(self) -> None:
        now_s = time.monotonic()
        self.heard_s = {LOOP: now_s, ENGINE: now_s}

    def beat(self, name: str) -> None:
        """A sign of life."""
        self.heard_s[name] = time.monotonic()

    async def run(self) -> None:
        """The loop's own beat, for ever."""
        while True:
            self.beat(LOOP)
            await asyncio.sleep(EVERY_S)

    def lost(self) -> str | None:
        """One sentence about who has not been heard of for `ALIVE_S`; None when both live."""
        now_s = time.monotonic()
        for name, heard_s in self.heard_s.items():
            if now_s - heard_s > ALIVE_S:
                return f"{name} has not answered for {now_s - heard_s:.0f} s"
        return None


def leave(code: int) -> None:
    """End the process here and now; a worker may be killed at any time, so nothing is lost by it."""
    logging.shutdown()
    os._exit(code)


class Guard:
    """Ends a process whose loop or engine thread is stuck.

    The consumer's thread would go on telling the group that all is well, so nobody would take its partitions.
    """

    def __init__(self, pulse: Pulse, code: int, end: Callable[[int], None] = leave) -> None:
        self._pulse = pulse
        self._code = code
        self._end = end
        self._watchdog = Watchdog()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns within moments."""
        self._stopped.set()
        self._thread.join()

    def look(self, now_s: float) -> bool:
        """Whether the process was to be ended."""
        stuck = self._watchdog.see(now_s, self._pulse.heard_s)
        if stuck is None:
            return False
        log.error(
            "%s has not answered for %.0f s: the worker ends, to be started anew.",
            stuck.capitalize(),
            STALL_S,
        )
        self._end(self._code)
        return True

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            if self.look(time.monotonic()):
                return
