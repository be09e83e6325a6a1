"""`stream replay`: a file of events through the engine, without Kafka and Redis."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, progress
from stream.errors import InputError

if TYPE_CHECKING:
    from stream.effects import Effects

EXAMPLE = "Example: stream replay 2019-Oct.csv.gz --format rees46 --out values.jsonl"


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of events.")],
    format: options.Format,
    mapping: options.Mapping = None,
    batch: Annotated[int, typer.Option(min=1, help="Events pushed at a time; 1 flushes after each.")] = 1000,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every published value to this file (JSON lines)."),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Compare the lists with those under --with or --rules.")
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option(
            "--with", metavar="FILE", help="With --diff: another home.toml (docs/merchandising.md)."
        ),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --diff: rules as `stream rules put` takes them."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Run the engine over a file, in this process.

    Says what it would have published. No Kafka or Redis is needed. Lines of --out are {"kind", "id",
    "value"}, in the order of publication.

    With --diff the log goes, in time order, through the scenario `home` as the settings have it now, without
    rules, and through the other: how many shoppers' last lists differ, and by how much (share in common, and
    rank-biased overlap), which items gain and lose places, and what both lists were worth on the last 30 %
    of what followed.
    """
    if diff:
        from stream.cli.diff import diff as compare

        if out is not None:
            raise InputError("--diff publishes no values to write: leave --out away.")
        compare(file, format, mapping, home, rules, as_json)
        return
    if home is not None or rules is not None:
        raise InputError("--with and --rules say what to compare with: give them with --diff.")
    from stream.cli.feed import Feed, read_all, total_bytes
    from stream.events.readers import Bad
    from stream.events.types import Item

    size = total_bytes([file])
    feed = Feed()
    refused: Counter[str] = Counter()
    rows = 0
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress(f"replaying {file.name}", size))
        results = read_all([file], format, mapping, bar)
        values = stack.enter_context(_opened(out)) if out is not None else None
        for result in results:
            if isinstance(result, Bad):
                refused[result.reason] += 1
                rows += 1
            elif isinstance(result, Item):
                feed.item(result)
            else:
                feed.event(result)
                rows += 1
                if feed.waiting >= batch:
                    _write(feed.flush(), values)
        _write(feed.flush(), values)
        _write(feed.drain(), values)
    seconds = time.perf_counter() - began
    metrics = feed.pipeline.engine.metrics
    answer = {
        "rows": rows,
        "events": metrics.events,
        "duplicates": metrics.duplicates,
        "dead_letters": sum(refused.values()) + sum(metrics.refused.values()),
        "refused": dict(refused + metrics.refused),
        "shoppers": sum(len(unit) for unit in feed.pipeline.engine.shopper_units.values()),
        "sessions": metrics.sessions,
        "recommendations": metrics.recommendations,
        "item_lists": metrics.item_lists,
        "prices": metrics.prices,
        "price_moves": metrics.price_moves,
        "catalogue_refused": metrics.catalogue_refused,
        "exchange_messages": metrics.exchange_messages,
        "model": feed.pipeline.learner.snapshot().name,
        "live": feed.pipeline.learner.quality.as_dict(),
        "seconds": round(seconds, 3),
        "events_per_s": round(rows / seconds, 1),
    }
    if as_json:
        answer_json(answer)
    else:
        facts({name: value for name, value in answer.items() if not isinstance(value, dict) or value})


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): correct --out.") from None


def _write(effects: Effects, out: IO[bytes] | None) -> None:
    if out is None:
        return
    import msgspec

    for values in effects.values:
        for name, value in zip(values.ids, values.values, strict=True):
            line = {"kind": values.kind, "id": name.decode(), "value": msgspec.Raw(value)}
            out.write(msgspec.json.encode(line) + b"\n")
