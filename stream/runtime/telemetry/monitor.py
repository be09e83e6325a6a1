"""Looks at the worker every second, serves what it sees, and speaks up when nothing moves."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from prometheus_client.exposition import choose_encoder

from stream.runtime.settings import Settings
from stream.runtime.telemetry.exposition import registry
from stream.runtime.telemetry.observer import Observer, Readings, Sample
from stream.runtime.telemetry.probe import who_is_away
from stream.runtime.telemetry.pulse import ENGINE, EVERY_S, Guard, Pulse
from stream.runtime.telemetry.readiness import Readiness
from stream.runtime.telemetry.server import Answer, Server
from stream.runtime.telemetry.watchdog import STALL_S, Stalled, Watchdog

log = logging.getLogger(__name__)

STALE_S = 10.0
"""A verdict on what was seen longer ago is none."""


class Monitor:
    """An async context: within it, the worker is watched and can be asked.

    `phase()` says in one sentence what the worker does instead of working, None while it works; `fail` ends
    it; `code` is the exit code for a process that cannot even end by itself.
    """

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        phase: Callable[[], str | None],
        fail: Callable[[BaseException | None], None],
        code: int,
        probe: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._phase = phase
        self._fail = fail
        self._probe = probe or partial(who_is_away, settings)
        self._pulse = Pulse()
        self._guard = Guard(self._pulse, code)
        self._watchdog = Watchdog()
        self._readiness = Readiness()
        self._values: Readings = {}
        self._crowds: Sequence[str] = ()
        self._lag_s: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._server: Server

    @property
    def url(self) -> str:
        """Where the worker can be asked, without a path."""
        return self._server.url

    async def __aenter__(self) -> Self:
        answers = {"/metrics": self._metrics(), "/healthz": self._healthz, "/readyz": self._readyz}
        self._server = Server(self._settings.metrics_host, self._settings.metrics_port, answers)
        log.info("Metrics are at %s/metrics.", self.url)
        self._guard.start()
        for body in (self._pulse.run(), self._run()):
            self._spawn(body)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._guard.stop()
        self._server.stop()

    def _spawn(self, body: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(body)
        task.add_done_callback(lambda done: None if done.cancelled() else self._fail(done.exception()))
        self._tasks.append(task)

    async def _run(self) -> None:
        while True:
            sample = await self._observer.look()
            self._pulse.beat(ENGINE)
            self._name_crowds(sample.engine.get("crowds", []))
            self.see(sample, time.monotonic())
            await self.watch(sample, time.monotonic())
            await asyncio.sleep(EVERY_S)

    def _name_crowds(self, ids: Sequence[str]) -> None:
        for each in ids:
            if each not in self._crowds:
                log.warning(
                    "%s has more events in an hour than a person: a bot, or an id that many share. What it "
                    "looks at counts for nothing from now on.",
                    each,
                )
        self._crowds = ids

    def see(self, sample: Sample, now_s: float) -> None:
        """Judge a sample, and keep it to be served."""
        self._readiness.see(now_s, self._phase(), sample.lag_s, sample.away)
        self._lag_s = sample.lag_s
        self._values = sample.values | {
            "stream_ready": {(): float(self._readiness.reason is None)},
            "stream_stalled_seconds": {(): self._watchdog.stood_s},
        }

    async def watch(self, sample: Sample, now_s: float) -> None:
        """End the worker when something has stood still for too long that nobody else holds up."""
        excused = self._phase() is not None or sample.away is not None
        stalled = self._watchdog.see(now_s, {} if excused else sample.unfinished)
        if stalled is None:
            return
        self._watchdog.rest()
        # Nobody has complained, but aiokafka waits in silence too.
        away = await self._probe(stalled.rpartition("-")[0])
        if away is not None:
            log.warning("Nothing was committed for %.0f s: waiting for %s to serve again.", STALL_S, away)
            return
        self._fail(
            Stalled(
                f"Nothing of {stalled} was committed for {STALL_S:.0f} s although records wait and Kafka and "
                "Redis serve: the worker ends, to be started anew."
            )
        )

    # Answers, in the server's threads

    def _metrics(self) -> Callable[[str], Answer]:
        found = registry(lambda: self._values)

        def answer(accept: str) -> Answer:
            encode, content_type = choose_encoder(accept)
            return Answer(HTTPStatus.OK, content_type, encode(found))

        return answer

    def _healthz(self, accept: str) -> Answer:
        return _verdict("alive", self._pulse.lost())

    def _readyz(self, accept: str) -> Answer:
        age_s = time.monotonic() - self._pulse.heard_s[ENGINE]
        if age_s > STALE_S:
            return _verdict("ready", f"nothing was heard of the engine for {age_s:.0f} s")
        return _verdict("ready", self._readiness.reason, lag_s=self._lag_s)


def _verdict(name: str, reason: str | None, **more: object) -> Answer:
    """200, or 503 with the reason; a line of JSON."""
    said = {name: reason is None} | ({} if reason is None else {"reason": reason}) | more
    status = HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, "application/json", json.dumps(said).encode() + b"\n")
