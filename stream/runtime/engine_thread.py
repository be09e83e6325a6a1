"""The thread in which the engine lives: its kernels run beside the event loop, not in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class EngineThread:
    """Everything that touches the engine or the units is called here: one call at a time, in the order asked.

    Kernels let go of Python's lock, so that meanwhile the loop packs, sends and receives. In the loop's own
    thread a batch of a thousand events held up every delivery for some 20 ms, several times over.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="engine")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises. Once begun it runs to its end, even if the caller is cancelled.
        About 0.1 ms."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    async def stop(self) -> None:
        """Wait for the call that is running; those that wait are dropped."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
