"""The demo's course: start, feed, look, wait until all is done, sum up, stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import answer_json
from stream.errors import InputError

EXAMPLE = "Example: stream demo --events shop.csv --format mapping --mapping shop.toml"

STEP_S = 0.1
LOOK_S = 0.5
MAX_LAG = 6_000
"""Events that may wait in Kafka before the feed pauses: a shop does not outrun its worker for long."""

QUIET_S = 3.0
"""After the last event: how long nothing may change before the demo is over."""


def demo(
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Events from a file instead of the simulated shop.")
    ] = None,
    format: Annotated[str, typer.Option(help="Format of the file: see docs/formats.md.")] = "jsonl",
    mapping: options.Mapping = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated shop.")] = 7,
    as_json: options.AsJson = False,
) -> None:
    """Start Kafka, Redis and a worker on this machine, send events through them, and watch.

    On a terminal it goes on until Ctrl-C; otherwise until the simulated weeks, or the file, are over.
    """
    from stream.cli.demo.crew import crew
    from stream.cli.demo.feeds import FileFeed, ShopFeed
    from stream.cli.demo.view import View, print_summary

    view = View(quiet=as_json)
    forever = sys.stdout.isatty() and sys.stderr.isatty() and not as_json
    if events is not None and not events.is_file():
        raise InputError(f"There is no file {events}: give the path of a file of events.")
    if events is None and (format != "jsonl" or mapping is not None):
        raise InputError("--format and --mapping describe a file: name it with --events FILE.")
    now_ms = time.time_ns() // 1_000_000
    feed = FileFeed(events, format, mapping) if events else ShopFeed(now_ms, seed, forever)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # To be told to stop, or to lose the terminal, is a Ctrl-C: everything is stopped in good order.
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    view.say("Starting Kafka and Redis (the first time, 44 MB of Kafka are downloaded).")
    with crew("shadow" if events else "auto") as started:
        view.say("Starting a worker (the first time, its kernels are compiled: some minutes).")
        started.wait_ready()
        view.say(f"Ready. Logs: {started.log.parent}")
        answer = asyncio.run(_Course(started, feed, view).run())
    if as_json:
        answer_json(answer)
    else:
        print_summary(answer)


class _Course:
    """One run, from the first event to the summary."""

    def __init__(self, crew: Any, feed: Any, view: Any) -> None:
        self._crew, self._feed, self._view = crew, feed, view
        self._lists: dict[str, tuple[list[str], list[str]]] = {}
        self._prices: dict[str, float] = {}
        self._news: list[str] = []
        self._events = (0.0, 0)
        self._rate = 0.0

    async def run(self) -> dict[str, Any]:
        from stream.cli.demo.summary import summary
        from stream.runtime.kafka_sink import KafkaSink

        sink = KafkaSink(self._crew.settings)
        await sink.start()
        began = time.monotonic()
        try:
            with self._view.live or contextlib.nullcontext():
                with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
                    await self._send(sink)
                ended = await self._settle(time.monotonic())
            status = self._crew.status()
            return summary(self._crew, self._feed, status, ended - began, await self._dead_letters())
        finally:
            await sink.stop()

    async def _send(self, sink: Any) -> None:
        looked, sent = 0.0, 0
        while not self._feed.done:
            began = time.monotonic()
            messages = self._feed.step(STEP_S)
            await sink.send(messages=messages)
            sent += sum(message.topic == "events" for message in messages)
            if self._feed.waits:
                await self._through(sent)
            elif time.monotonic() - looked >= LOOK_S:
                looked = time.monotonic()
                while (self._look() or {"lag": {}})["lag"].get("shoppers", 0) > MAX_LAG:
                    await asyncio.sleep(LOOK_S)
            await asyncio.sleep(max(0.0, STEP_S - (time.monotonic() - began)))

    async def _through(self, events: int) -> None:
        """Wait until so many events are applied, and all that follows from them; then take the prices."""
        while True:
            status = self._crew.status()
            if status and status["records"]["shoppers"] >= events and not sum(status["lag"].values()):
                break
            await asyncio.sleep(STEP_S)
        self._look()

    async def _settle(self, last_s: float) -> float:
        """Wait until every event is applied and nothing moves any more; when the last event was through."""
        seen, since = None, time.monotonic()
        while time.monotonic() - since < QUIET_S:
            status = self._look()
            if status is not None:
                now = (
                    status["engine"]["events"],
                    status["engine"]["item_lists"],
                    sum(status["lag"].values()),
                )
                if now != seen:
                    if seen is None or now[0] != seen[0]:
                        last_s = time.monotonic()
                    seen, since = now, time.monotonic()
            await asyncio.sleep(LOOK_S)
        return last_s

    def _look(self) -> dict[str, Any] | None:
        """Read the worker's status and a few values, pass moved prices on to the shop, and show it all."""
        from stream.cli.demo.view import Glance

        status: dict[str, Any] | None = self._crew.status()
        if status is None:
            return None
        self._take_prices()
        engine = status["engine"]
        at_s, count = self._events
        if status["at_ms"] / 1000 > at_s:
            if at_s:
                self._rate = (engine["events"] - count) / (status["at_ms"] / 1000 - at_s)
            self._events = (status["at_ms"] / 1000, engine["events"])
        last = self._feed.last
        shopper, item = (last.user_id, last.item_id or "") if last else ("", "")
        recs = self._crew.values("recs", [shopper]).get(shopper, {}).get("items", [])
        similar = self._crew.values("similar", [item]).get(item, {}).get("items", []) if item else []
        self._view.show(
            Glance(
                day=datetime.fromtimestamp(engine["last_event_ts_ms"] / 1000, UTC).strftime("%d %b %Y"),
                events=engine["events"],
                events_per_s=self._rate,
                lag=status["lag"].get("shoppers", 0),
                recommendations=engine["recommendations"],
                prices=engine["prices"],
                freshness_p99_ms=status["freshness_p99_ms"],
                shopper=shopper,
                looked_at=item,
                before=self._before_now(shopper, recs),
                after=recs,
                neighbours=similar,
                price_news=self._news,
                hit_rates={name: score["hr@20"] for name, score in engine["quality"].items()},
            )
        )
        return status

    def _before_now(self, shopper: str, recs: list[str]) -> list[str]:
        """The list that this shopper had before the one of now."""
        before, now = self._lists.get(shopper, ([], []))
        if recs != now:
            before, now = now, recs
        self._lists[shopper] = (before, now)
        return before

    def _take_prices(self) -> None:
        """Prices that have moved are what shoppers see from now on."""
        found = self._crew.values("price", self._feed.items())
        moved = {item: value["price"] for item, value in found.items() if value["since_ms"] > 0}
        news = {item: price for item, price in moved.items() if self._prices.get(item) != price}
        for item, price in news.items():
            old = self._prices.get(item, found[item].get("list_price"))
            self._news.append(f"{item}: {old} → {price} ({found[item]['reason']})")
        del self._news[:-8]
        self._prices.update(news)
        self._feed.show_prices(news)

    async def _dead_letters(self) -> int:
        from stream.cli.demo.crew import topic_length

        return await topic_length(self._crew.settings, "dead-letters")
