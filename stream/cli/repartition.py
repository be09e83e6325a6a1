"""`stream state repartition`: a backup made fit for another number of partitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, note, percentage
from stream.errors import StateError

EXAMPLE = "Example: stream state repartition shop.backup shop-16.backup --to 16"


def repartition(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A backup that `dump` has written.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The backup to be written.")],
    to: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Partitions that NEW is for.")],
    as_json: options.AsJson = False,
) -> None:
    """Write a backup again for another number of partitions.

    Every shopper and item moves to the partition that Kafka's default partitioner (murmur2) gives its id; no
    count changes. Neither Kafka nor Redis is needed. docs/operations.md has the whole procedure.
    """
    from stream.runtime.repartition import repartition as write

    if new.resolve() == old.resolve():
        raise StateError(f"{new} is the backup that is read: name another file.")
    with percentage(f"writing {new.name}") as told:
        answer = write(old, new, to, told)
    if as_json:
        answer_json(answer)
        return
    facts(answer)
    note(f"Load it with STREAM_PARTITIONS={to}, and a namespace and group of its own.")
