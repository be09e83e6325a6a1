"""`python -m benchmarks.chaos`: is anything lost or counted twice, whatever happens to the workers?"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis

from benchmarks import harness
from benchmarks.chaos import shop, verify
from benchmarks.chaos.crew import Crew
from benchmarks.chaos.faults import FULL, KILL, SHORT, Fault, Faults, longest_s, plan
from benchmarks.chaos.feed import Feed
from benchmarks.chaos.watch import Watch
from benchmarks.contender import ContenderError
from benchmarks.stream_worker import done as all_done
from benchmarks.topics import Ends, read
from stream.cli.worker import engine_config
from stream.engine import Engine
from stream.local import Stack
from stream.runtime import topics
from stream.runtime.bystander import restore
from stream.runtime.settings import Settings

EVENTS, SHORT_EVENTS = 1_000_000, 150_000
WORKERS = 3
PARTITIONS = 8
SEED = 1
FIRST_AFTER_S = 5.0
"""So that there is something to lose."""
DRAIN_TIMEOUT_S = 300.0
RECOVERY_S = 15.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description="Kill, freeze and cut off workers under load; then count everything again.",
        epilog="example: python -m benchmarks.chaos --short --json",
    )
    parser.add_argument("--short", action="store_true", help="five faults instead of twenty-five")
    parser.add_argument("--events", type=int, help=f"events sent ({EVENTS}; short {SHORT_EVENTS})")
    parser.add_argument("--seed", type=int, default=SEED, help="of the shop and of the faults (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Send, break, wait, count; the whole report."""
    settings, environment = await harness.prepared(stack.bootstrap, stack.redis_url, PARTITIONS)
    kinds = plan(SHORT if options.short else FULL, options.seed)
    events = options.events or (SHORT_EVENTS if options.short else EVENTS)
    arrivals = shop.arrivals(events, int(time.time()) * 1000, options.seed)
    # The last fault is over before the last event is sent.
    pace = events / (FIRST_AFTER_S + longest_s(kinds))
    redis = Redis.from_url(stack.redis_url)
    crew = Crew(settings, environment, redis, folder)
    feed = Feed(stack.bootstrap, settings.topic(topics.EVENTS), PARTITIONS, arrivals, pace)
    lists = settings.topic(topics.OF_KIND["recs"])
    try:
        async with Watch(stack.bootstrap, lists, PARTITIONS) as watch:
            for _ in range(WORKERS):
                crew.start()
            await crew.ready()
            sending = asyncio.create_task(feed.run())
            faults = Faults(stack, crew, watch, redis, lambda: feed.ends, settings, options.seed)
            await asyncio.sleep(FIRST_AFTER_S)
            done = [await _one(faults, kind, feed) for kind in kinds]
            await sending
            await _drained(settings, crew)
            await crew.stop()
        return await _counted(settings, redis, watch, done) | {"events": feed.sent, "pace_per_s": pace}
    finally:
        await crew.stop()
        redis.close()


async def _one(faults: Faults, kind: str, feed: Feed) -> Fault:
    fault = await faults.do(kind)
    harness.progress.print(
        f"[dim]{feed.sent:,} events; {kind}: went on after {fault.recovery_s:.1f} s, "
        f"{fault.redelivered:,} lists made twice"
    )
    return fault


async def _drained(settings: Settings, crew: Crew) -> None:
    """Until the group has committed all that its input topics hold."""
    deadline = asyncio.get_running_loop().time() + DRAIN_TIMEOUT_S
    async with Ends(settings.bootstrap) as ends:
        while not await all_done(settings, ends):
            crew.check()
            if asyncio.get_running_loop().time() > deadline:
                raise ContenderError(
                    f"the workers were not done {DRAIN_TIMEOUT_S:.0f} s after the last event"
                )
            await asyncio.sleep(0.2)


async def _counted(settings: Settings, redis: Redis, watch: Watch, done: Sequence[Fault]) -> dict[str, Any]:
    log = await read(settings.bootstrap, settings.topic(topics.EVENTS), PARTITIONS)
    counter = verify.counted(log)
    letters = await read(settings.bootstrap, settings.topic(topics.DEAD_LETTERS), PARTITIONS)
    unnoticed, needless = verify.missing_dead_letters(letters, counter.malformed)
    engine = Engine(engine_config(settings))
    began = time.monotonic()
    await restore(settings, engine)
    report: dict[str, Any] = {
        "records": len(log),
        "retries": counter.retries,
        "malformed": len(counter.malformed),
        "malformed_not_in_dead_letters": unnoticed,
        "dead_letters_of_good_events": needless,
        "restore_s": time.monotonic() - began,
        "replayed": engine.metrics.replayed,
        **verify.compare(engine, counter),
        "stale_in_redis": verify.stale_in_redis(redis, settings.prefix, watch.latest),
        "recovery_s_max": max(fault.recovery_s for fault in done if fault.kind.startswith(KILL)),
        "redelivered": sum(fault.redelivered for fault in done),
        "faults": [msgspec.structs.asdict(fault) for fault in done],
        "cpus": os.cpu_count(),
    }
    report["failed"] = [
        name
        for name in (
            "lost", "double", "items_differ", "pair_rows_differ", "shoppers_differ",
            "malformed_not_in_dead_letters", "dead_letters_of_good_events", "stale_in_redis",
        )
        if report[name]
    ]  # fmt: skip
    report["missed"] = [
        f"nothing was delivered twice after {fault.kind}"
        for fault in done
        if fault.kind.startswith(KILL) and not fault.redelivered
    ]
    if report["recovery_s_max"] > RECOVERY_S:
        report["missed"].append(f"recovery took longer than {RECOVERY_S:.0f} s")
    return report


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code: 0 all was counted once, 1 not, 2 it could not be made, 3 all was
    counted once, but a kill lost nothing that had to be done again, or recovery was slow."""
    return harness.run("chaos", arguments(given), measure, _verdict, keep_logs=True)


def _verdict(report: Mapping[str, Any]) -> int:
    return 1 if report["failed"] else 3 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
