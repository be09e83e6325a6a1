"""`stream bootstrap`: the state of a shop with a past, from a file of events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import EXIT_NOTHING, answer_json, facts, note, percentage, progress
from stream.cli.settings import Bootstrap, ConfigFile, Group, Namespace, load
from stream.errors import InputError

if TYPE_CHECKING:
    from stream.runtime.settings import Settings

EXAMPLE = "Example: stream bootstrap orders-and-views.jsonl.gz --format jsonl"


def bootstrap(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of past events.")],
    format: options.Format,
    mapping: options.Mapping = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Leave events at or after this time to the log (ISO 8601, else UTC, or epoch milliseconds): "
            "for a file whose event ids are not those of the live events.",
        ),
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    group: Group = None,
    as_json: options.AsJson = False,
) -> None:
    """Begin with a shop's history: count a file of past events, for workers to go on from.

    Run it before the first worker; live events may flow into `events` already. An event that the log holds
    (same shopper, same event_id) counts from the log, every other from the file. Item facts go to `items`,
    where what the shop has told live stays; bad rows go to `dead-letters`. This process needs the memory of a
    worker that holds all partitions. Exits with 1 if not one row could be used.
    """
    until_ms = None if until is None else _moment_ms(until)
    settings = load(config, bootstrap=bootstrap, namespace=namespace, group=group)
    answer = asyncio.run(_bootstrap(settings, file, format, mapping, until_ms))
    if as_json:
        answer_json(answer)
    else:
        facts({name: value for name, value in answer.items() if name != "refused" or value})
    if not (answer["events"] or answer["items"] or any(answer["left_to_log"].values())):
        note(f"Not one row of {file} could be used: is --format {format} what it holds?")
        raise typer.Exit(EXIT_NOTHING)
    note("Workers that start now begin with this state; `stream rebuild` gives everybody in it a list.")


async def _bootstrap(
    settings: Settings, file: Path, format: str, mapping: Path | None, until_ms: int | None
) -> dict[str, Any]:
    from stream.cli.brokers import admin_of
    from stream.cli.worker import engine_config
    from stream.engine import Engine
    from stream.events.readers import read, size_bytes
    from stream.runtime.bootstrap import Bootstrap as Work

    work = Work(settings, Engine(engine_config(settings)), file.name, until_ms)
    # A file that is not of this format is told of before any topic is made.
    read(file, format, mapping)
    async with admin_of(settings) as admin:
        with percentage("reading the log") as told:
            await work.look(admin, told)
    with progress(f"counting {file.name}", size_bytes(file)) as bar:
        await work.count(read(file, format, mapping, bar))
    with percentage("storing state") as told:
        return await work.store(told)


def _moment_ms(text: str) -> int:
    """Epoch milliseconds of what the user says."""
    import msgspec

    from stream.events.decode import to_ms
    from stream.events.types import Timestamp

    try:
        return to_ms(msgspec.convert(int(text) if text.isdecimal() else text, Timestamp))
    except (msgspec.ValidationError, ValueError):
        raise InputError(
            f"--until {text} is no time: write it as 2024-05-01T00:00:00Z or in epoch milliseconds."
        ) from None
