"""Events a second of one worker and of what one would write instead: `python -m benchmarks.throughput`.

Starts a private Kafka and Redis, checks the peers' answers, lets the contenders take turns over the
same generated log, and prints rates and ratios. Exit code 1: the run is void; 2: it could not be made.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from redis import Redis
from rich.console import Console

from benchmarks import core, stream_worker
from benchmarks.contender import MODULES, ContenderError, Turn, take_turn
from benchmarks.page import markdown
from benchmarks.peers.job import TOP, WINDOW
from benchmarks.report import figures, table
from benchmarks.topics import create, write
from benchmarks.verify import EVENTS as VERIFIED_EVENTS
from benchmarks.verify import verify
from benchmarks.workload import ITEMS, SHOPPERS, encode, generate
from stream.errors import StreamError
from stream.local import Stack, running
from stream.local.pins import KAFKA_VERSION

EVENTS = 1_000_000
SOURCE = "bench.events"
"""The topic that the peers read; this project's worker reads the same log in a namespace of its own."""
WARM_UP_EVENTS = 5_000
"""Enough for the worker to compile every kernel, which numba then keeps on disk for the measured turns."""
CORE_EVENTS = 400_000
SEED = 1
HEAP_MB = 1024
DOCS = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
DISTRIBUTIONS = (
    "faust-streaming",
    "quixstreams",
    "bytewax",
    "aiokafka",
    "confluent-kafka",
    "msgspec",
    "numba",
)

progress = Console(stderr=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Measure this project beside bare aiokafka, stock Faust, Quix Streams and Bytewax.",
        epilog="example: python -m benchmarks.throughput --events 200000 --turns 1 --json",
    )
    parser.add_argument("--events", type=_positive, default=EVENTS, help="events of the log (%(default)s)")
    parser.add_argument(
        "--partitions", type=_positive, default=8, help="partitions of the topic (%(default)s)"
    )
    parser.add_argument("--turns", type=_positive, default=1, help="turns of each contender (%(default)s)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*MODULES, "stream"],
        help="only this contender, repeatable; ratios to the others are then left out",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    return parser.parse_args(given)


async def measure(options: argparse.Namespace, stack: Stack, folder: Path) -> dict[str, Any]:
    """Verify, warm up, take turns; the whole report."""
    load_at_start = os.getloadavg()[0]
    names = options.only or [*MODULES, "stream"]
    peers = [name for name in MODULES if name in names]
    # Whole seconds before now: an event's time may not lie ahead of its record's.
    log = generate(options.events, int(time.time()) * 1000, SEED)
    if peers:
        progress.print("[dim]checking the peers' lists")
        sample = encode(generate(VERIFIED_EVENTS, int(time.time()) * 1000, SEED, 100, 500))
        await verify(stack.bootstrap, list(sample), folder, peers)
        await create(stack.bootstrap, [SOURCE], options.partitions)
        await write(stack.bootstrap, SOURCE, options.partitions, encode(log))

    async def own_turn(namespace: str, events: int, coalesce: bool = False) -> stream_worker.WorkerTurn:
        return await stream_worker.take_turn(
            stack.bootstrap,
            stack.redis_url,
            namespace,
            options.partitions,
            itertools.islice(encode(log), events),
            folder,
            coalesce,
        )

    if "stream" in names:
        progress.print("[dim]warming up this project's worker")
        await own_turn("warm.", min(WARM_UP_EVENTS, options.events))
    turns: list[dict[str, Turn]] = []
    own: list[stream_worker.WorkerTurn] = []
    for number in range(1, options.turns + 1):
        turns.append({})
        for name in peers:
            turn = await take_turn(
                name, stack.bootstrap, SOURCE, options.partitions, options.events, folder, f"turn-{number}"
            )
            turns[-1][name] = turn
            progress.print(f"[dim]turn {number}: {name} {turn.events_per_s:,.0f} events/s")
        if "stream" in names:
            own.append(await own_turn(f"turn-{number}.", options.events))
            progress.print(f"[dim]turn {number}: stream {own[-1].events_per_s:,.0f} events/s")
    coalescing, core_rate = None, 0.0
    if "stream" in names:
        coalescing = await own_turn("backlog.", options.events, coalesce=True)
        progress.print(f"[dim]a list a shopper and batch: {coalescing.events_per_s:,.0f} events/s")
        core_rate = core.events_per_s(itertools.islice(encode(log), CORE_EVENTS), options.partitions)
        progress.print(f"[dim]the engine alone: {core_rate:,.0f} events/s")
    return {
        **figures(turns, own, coalescing, core_rate),
        "events": options.events,
        "partitions": options.partitions,
        "turns": options.turns,
        "turns_events_per_s": {
            **{name: [round(turn[name].events_per_s) for turn in turns] for name in peers},
            **({"stream": [round(turn.events_per_s) for turn in own]} if own else {}),
        },
        "shoppers": SHOPPERS,
        "items": ITEMS,
        "seed": SEED,
        "window": WINDOW,
        "top": TOP,
        "verified_events": VERIFIED_EVENTS,
        "cpus": os.cpu_count(),
        "load_average": {"start": load_at_start, "end": os.getloadavg()[0]},
        "versions": versions(stack),
    }


def versions(stack: Stack) -> dict[str, str]:
    """Versions of all that takes part."""
    with Redis.from_url(stack.redis_url) as redis:
        server = redis.info("server")["redis_version"]
    return {
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "redis": server,
        **{name: version(name) for name in DISTRIBUTIONS},
    }


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = arguments(given)
    try:
        with running(heap_mb=HEAP_MB) as stack, tempfile.TemporaryDirectory(prefix="stream-bench-") as folder:
            report = asyncio.run(measure(options, stack, Path(folder)))
    except (StreamError, ContenderError) as error:
        progress.print(f"The benchmark could not be made: {error}", style="red", markup=False)
        return 2
    if options.write_docs:
        DOCS.parent.mkdir(exist_ok=True)
        DOCS.write_text(markdown(report), encoding="utf-8")
    if options.json:
        print(json.dumps(report))
    else:
        Console().print(table(report))
    for reason in report["void"]:
        progress.print(f"This run is void: {reason}.", style="red", markup=False)
    return 1 if report["void"] else 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
