"""A worker: one process that holds some units, works on their events and publishes what follows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from stream.effects import Effects
from stream.errors import SettingsError, StreamError
from stream.runtime import logs, topics
from stream.runtime.app import App, build_app
from stream.runtime.clock import now_ms
from stream.runtime.control import Control
from stream.runtime.engine_thread import EngineThread
from stream.runtime.freshness import Freshness
from stream.runtime.kafka_sink import KafkaSink
from stream.runtime.lane import Lane
from stream.runtime.neighbours import Neighbours
from stream.runtime.outbox import Outbox
from stream.runtime.redis_sink import RedisSink
from stream.runtime.settings import Settings
from stream.runtime.stages import Engine, Learner, stages_of
from stream.runtime.status import Status
from stream.runtime.telemetry.monitor import Monitor
from stream.runtime.telemetry.observer import Observer
from stream.runtime.telemetry.pulse import leave
from stream.runtime.telemetry.watchdog import Stalled
from stream.runtime.transport import Consumer
from stream.runtime.units import Units

log = logging.getLogger(__name__)

TICK_S, VALUES_A_TICK = 0.05, 128
"""What comes in meanwhile waits: a tick takes 2 to 5 ms. What has changed most goes first."""
SWITCH_S = 0.0005
"""How long a kernel that is done waits for the loop to let go of Python's lock, and the loop for the engine.
At Python's 5 ms a small batch, which asks for it a dozen times, took twice as long."""
STOP_GRACE_S = 5.0
"""How long a stopping worker tries to deliver what it has begun; what it cannot is read again later.
Container engines kill 10 s after they ask."""
SAVE_GRACE_S = 3.0
"""How long it saves state then, oldest buckets first: about a million shoppers."""
SAVED_AT_ONCE = 16
STOP_LIMIT_S = 9.0
"""With Kafka away, neither a commit nor leaving the group ever ends: the process then ends without them."""

EXIT_STOPPED, EXIT_CRASHED, EXIT_REFUSED = 0, 1, 2


def run(
    settings: Settings,
    engine: Engine,
    make_learner: Callable[[], Learner],
    renewed: Callable[[int], Effects],
) -> int:
    """Run a worker until it is told to stop (SIGINT, SIGTERM). `renewed` gives, by the time, what is to be
    published again (`stream.renewal`). Returns the exit code:

    0 stopped as told, everything committed; 2 it cannot go on as things are (a `StreamError`, one sentence
    in the log); 1 something unforeseen (traceback in the log), or nothing moved for so long that a new start
    is the way out. After 1 or 2 nothing undelivered is committed.
    """
    logs.configure(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_S)
    with contextlib.ExitStack() as stack:
        base = settings.datadir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stream-")))
        datadir = base / settings.worker_id
        try:
            datadir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The folder {datadir} cannot be made ({error.strerror}): correct STREAM_DATADIR."
            ) from None
        return asyncio.run(Worker(settings, engine, make_learner, renewed, datadir).run())


class Worker:
    """Everything that one process runs: an event loop for all that is I/O, and the engine's own thread."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        make_learner: Callable[[], Learner],
        renewed: Callable[[int], Effects],
        datadir: Path,
    ) -> None:
        self._settings = settings
        self._renewed = renewed
        self._engine = engine
        self._datadir = datadir
        stages = stages_of(engine, make_learner)
        self._thread = EngineThread()
        redis = RedisSink(settings.redis_url, settings.prefix, settings.ttl_s)
        self._outbox = Outbox(KafkaSink(settings), redis)
        self._units = Units(settings, stages, self._thread, self._outbox.deliver)
        self._freshness = Freshness()
        self._lanes = [
            Lane(
                stage,
                self._units,
                self._outbox,
                self._fail,
                self._freshness if stage.topic == topics.EVENTS else None,
                settings.backlog_records if stage.topic == topics.EVENTS else 0,
            )
            for stage in stages
        ]
        self._control = Control(settings, engine, self._thread)
        self._observer = Observer(
            engine, self._thread, self._units, self._lanes, self._outbox, self._freshness
        )
        self._monitor = Monitor(settings, self._observer, self._phase, self._fail, EXIT_CRASHED)
        self._ready = False
        self._tasks: list[asyncio.Task[None]] = []
        self._abandoned = False
        self._over: asyncio.Future[None]
        self._app: App

    async def run(self) -> int:
        """Start, work, stop. Returns the exit code."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        working = asyncio.create_task(self._work())
        await asyncio.wait((working, self._over), return_when=asyncio.FIRST_COMPLETED)
        code = self._told(self._over.exception() if self._over.done() else working.exception())
        limit = threading.Timer(STOP_LIMIT_S, _leave)
        limit.daemon = True
        limit.start()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await working
        log.info("Stopped.")
        return code

    async def _work(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._thread.stop)
            await stack.enter_async_context(self._monitor)
            for name in await topics.prepare(self._settings):
                log.info("Created topic %s.", name)
            await self._outbox.redis.start()
            stack.push_async_callback(self._outbox.redis.stop)
            await self._outbox.kafka.start()
            stack.push_async_callback(self._outbox.kafka.stop)
            stack.push_async_callback(self._outbox.stop)
            await self._control.start()
            stack.push_async_callback(self._control.stop)
            self._app = build_app(self._settings, self._datadir, self._lanes)
            restore: Any = self._on_assigned
            self._app.on_rebalance_complete.connect(restore)
            status = Status(
                self._settings,
                self._observer,
                self._lanes,
                self._outbox,
                self._freshness,
                self._monitor.url,
                lambda: self._ready,
            )
            stack.push_async_callback(self._cancel_tasks)
            stack.push_async_callback(self._stop_app)
            for body in (
                self._control.run(),
                self._tick(),
                status.run(),
                Neighbours(self._engine, self._thread, self._outbox.redis).run(),
                *(lane.run() for lane in self._lanes),
            ):
                self._spawn(body)
            # What exists now stays: full collections need not look at it again and again.
            gc.collect()
            gc.freeze()
            self._consumer.abandon = self._abandon
            self._observer.group = self._consumer
            await self._app.start()
            await self._app.wait_until_stopped()
            raise self._app.crash_reason or RuntimeError("Faust stopped by itself")

    def _spawn(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(body)
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        # A library's own cancellation may reach a task that nobody cancelled.
        if not (task.cancelled() and task.cancelling()):
            self._fail(None if task.cancelled() else task.exception())

    async def _on_assigned(self, app: Any, **_: Any) -> None:
        """After a rebalance, before the flow starts: bring the units to where the group has committed."""
        rebalance, generation = app.rebalancing_count, app.consumer_generation_id
        try:
            restored = await self._units.assign(
                self._consumer.assignment(), self._consumer, lambda: app.rebalancing_count == rebalance
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                # Faust would take it for its own doing, and never start the flow again.
                self._fail(RuntimeError("a restore was cut off by a cancellation that nobody asked for"))
            raise
        except Exception as error:
            self._fail(error)
            restored = False
        while not restored and app.consumer_generation_id == generation:
            # Returning would start the flow over units that are not restored.
            await asyncio.sleep(0.05)
        if restored:
            held = self._units.places()
            log.info("Partitions moved." if self._ready else "Ready.", extra={"partitions": held})
            self._ready = True

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._ready and not self._app.rebalancing:
                due = await self._thread.call(self._due)
                await self._outbox.deliver([(due, "", 0)])

    def _due(self) -> Effects:
        """In the engine's thread."""
        with self._observer.tick_seconds.timed():
            due = self._engine.tick(now_ms(), VALUES_A_TICK)
            due.values += self._renewed(now_ms()).values
            return due

    def _phase(self) -> str | None:
        """What the worker does instead of working, as one reads it at /readyz."""
        if self._over.done():
            return "the worker is stopping"
        if not self._ready:
            return "the worker is starting"
        return "partitions are being assigned and restored" if self._app.rebalancing else None

    @property
    def _consumer(self) -> Consumer:
        consumer = self._app.consumer
        assert isinstance(consumer, Consumer)
        return consumer

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _fail(self, error: BaseException | None) -> None:
        if not self._over.done():
            self._over.set_exception(error or RuntimeError("a task ended that never should"))
        self._abandon()

    def _abandon(self) -> None:
        self._abandoned = True
        for lane in self._lanes:
            lane.abandon()

    async def _stop_app(self) -> None:
        """Finish what is begun, commit it, save what its next owner would have to replay, leave the group."""
        self._consumer.leaving = self._save
        late = asyncio.get_running_loop().call_later(STOP_GRACE_S, self._abandon)
        await self._app.stop()
        late.cancel()

    async def _save(self) -> None:
        if self._abandoned:
            # Some unit may be ahead of what was delivered.
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAVE_GRACE_S):
                while (unsaved := await self._thread.call(self._engine.unsaved, SAVED_AT_ONCE)).saved:
                    await self._outbox.deliver([(unsaved, "", 0)])
                await self._outbox.saved()

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _told(self, error: BaseException | None) -> int:
        if error is None:
            log.info("Stopping: finishing what is begun.")
            return EXIT_STOPPED
        if isinstance(error, StreamError):
            log.error("%s", error)
            return EXIT_REFUSED
        if isinstance(error, Stalled):
            log.error("%s", error)
            return EXIT_CRASHED
        log.error("The worker ends: %s", error or type(error).__name__, exc_info=error)
        return EXIT_CRASHED


def _leave() -> None:
    log.error("Kafka or Redis does not answer: leaving at once, and what was begun is read again.")
    leave(EXIT_CRASHED)
