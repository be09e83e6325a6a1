"""`stream state`: the durable state looked at, written to a file and brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli import inspect, options, repartition
from stream.cli.output import answer_json, facts, moment, note, percentage
from stream.cli.settings import Bootstrap, ConfigFile, Group, Namespace, load

if TYPE_CHECKING:
    from stream.runtime.settings import Settings

app = typer.Typer(
    help="Look at the durable state, back it up, bring it back, also in other partitions.",
    epilog="Example: stream state dump shop.backup",
    no_args_is_help=True,
)

app.command("inspect", epilog=inspect.EXAMPLE)(inspect.inspect)
app.command("repartition", epilog=repartition.EXAMPLE)(repartition.repartition)


@app.command("dump", epilog="Example: stream state dump /backups/shop-monday.backup")
def dump_state(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to be written.")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    group: Group = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a backup of all state to a file, while workers go on.

    It holds the counts of every event that is in the log now, also of those that no worker has read yet, the
    catalogue, the prices in force and the ranking model. This process needs the memory of a worker that holds
    all partitions.
    """
    settings = load(config, bootstrap=bootstrap, namespace=namespace, group=group)
    with percentage(f"writing {file.name}") as told:
        answer = asyncio.run(_dump(settings, file, told))
    if as_json:
        answer_json(answer)
    else:
        facts({name: value for name, value in answer.items() if name != "offsets"})


@app.command("load", epilog="Example: STREAM_NAMESPACE=new. STREAM_GROUP=new stream state load shop.backup")
def load_state(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup that `dump` has written.")],
    from_beginning: Annotated[
        bool,
        typer.Option(
            "--from-beginning",
            help="Let workers count what `events` already holds: it is newer than the file.",
        ),
    ] = False,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    group: Group = None,
    as_json: options.AsJson = False,
) -> None:
    """Bring a backup back into Kafka, for workers to begin with.

    The file is checked first. Missing topics are created. The group must have no members and no state. What
    the topics already hold of the catalogue, of prices and of models stays.
    """
    settings = load(config, bootstrap=bootstrap, namespace=namespace, group=group)
    with percentage(f"loading {file.name}") as told:
        answer = asyncio.run(_load(settings, file, from_beginning, told))
    if as_json:
        answer_json(answer)
        return
    created = {"created": moment(answer["created_ms"])}
    facts(created | {name: value for name, value in answer.items() if name in ("buckets", "topics")})
    note("Workers that start now begin with this state; `stream rebuild` fills an empty Redis from it.")


async def _dump(settings: Settings, file: Path, told: Callable[[int, int], None]) -> dict[str, Any]:
    from stream.cli.bystanders import bystander
    from stream.runtime.backup import dump

    return await dump(settings, await bystander(settings), file, told)


async def _load(
    settings: Settings, file: Path, from_beginning: bool, told: Callable[[int, int], None]
) -> dict[str, Any]:
    from stream.cli.brokers import admin_of
    from stream.runtime.recovery import load as load_backup

    async with admin_of(settings) as admin:
        return await load_backup(settings, admin, file, from_beginning, told)
