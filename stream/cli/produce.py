"""`stream produce`: a file of events into Kafka."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import EXIT_NOTHING, answer_json, facts, note, progress
from stream.cli.settings import Bootstrap, ConfigFile, Namespace, load

EXAMPLE = "Example: stream produce shop.csv --format mapping --mapping shop.toml --rate 500"

BATCHES_PER_S = 20
"""With --rate: how smoothly the events flow."""


def produce(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of events.")],
    format: options.Format,
    mapping: options.Mapping = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="N", help="Rows a second (default: as fast as it goes)."),
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a file of events to Kafka.

    Events go to `events`, item facts to `items`, bad rows to `dead-letters`. Missing topics are created.
    Event ids are the same every time, so producing a file twice counts once. Exits with 1 if not one row
    could be used.
    """
    from stream.events.readers import read, size_bytes

    size = size_bytes(file)
    settings = load(config, bootstrap=bootstrap, namespace=namespace)
    began = time.perf_counter()
    with progress(f"producing {file.name}", size) as bar:
        sent = asyncio.run(_send(settings, read(file, format, mapping, bar), file.name, rate))
    seconds = time.perf_counter() - began
    rows = sent["events"] + sent["dead_letters"]
    answer = sent | {"seconds": round(seconds, 3), "events_per_s": round(rows / seconds, 1)}
    if as_json:
        answer_json(answer)
    else:
        facts({name: value for name, value in answer.items() if name != "refused" or value})
    if sent["dead_letters"] and not sent["events"] and not sent["items"]:
        note(f"Not one row of {file} could be used: is --format {format} what it holds?")
        raise typer.Exit(EXIT_NOTHING)


async def _send(settings: Any, results: Any, source: str, rate: float | None) -> dict[str, Any]:
    from stream.cli.sender import BATCH, Sender
    from stream.events.types import Item

    step = BATCH if rate is None else max(1, min(BATCH, round(rate / BATCHES_PER_S)))
    async with Sender(settings, source, batch=step) as sender:
        clock = asyncio.get_running_loop().time
        began, rows = clock(), 0
        for result in results:
            await sender.add(result)
            rows += not isinstance(result, Item)
            if rate is not None and rows % step == 0:
                await asyncio.sleep(max(0.0, began + rows / rate - clock()))
    return {
        "topic": settings.topic("events"),
        "events": sender.events,
        "items": sender.items,
        "dead_letters": sum(sender.refused.values()),
        "refused": dict(sender.refused),
    }
