"""`stream explain`: why an item is in a shopper's list, or is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import options
from stream.cli.output import EXIT_NOTHING, answer_json, facts, note, progress, table
from stream.cli.settings import Bootstrap, ConfigFile, Group, Namespace, load

if TYPE_CHECKING:
    from stream.explanation import Explained

EXAMPLE = "Example: stream explain shopper-17 L-100"


def explain(
    shopper: Annotated[str, typer.Argument(metavar="SHOPPER", help="The shopper's user_id.")],
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's item_id.")],
    events: Annotated[
        Path | None,
        typer.Option(metavar="LOG", help="Replay this file of events instead: no Kafka is needed."),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="Format of LOG (docs/formats.md).")
    ] = "jsonl",
    mapping: options.Mapping = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    group: Group = None,
    as_json: options.AsJson = False,
) -> None:
    """Say why an item is in a shopper's list, or is not.

    The state is restored as a new worker would do it, without disturbing those that run, and the list made
    again: what each source says of the item, what the model makes of it, what rules did, how many shoppers
    are behind it. This process needs the memory of a worker that holds all items.
    """
    if events is not None:
        told, as_of = _of_log(events, format, mapping, shopper, item), f"the end of {events.name}"
    else:
        settings = load(config, bootstrap=bootstrap, namespace=namespace, group=group)

        async def find() -> tuple[Explained, int] | None:
            from stream.cli.bystanders import bystander
            from stream.runtime.inspection import explanation

            return await explanation(settings, await bystander(settings), shopper, item)

        found = asyncio.run(find())
        told, as_of = (None, "") if found is None else (found[0], f"offset {found[1]} of events")
    if told is None:
        note(f"Nothing is known of shopper {shopper}: no event of it was counted, or it was forgotten since.")
        raise typer.Exit(EXIT_NOTHING)
    if told.unknown:
        note(
            f"Nothing is known of item {item}: no event and no entry of the catalogue that is kept names it."
        )
        raise typer.Exit(EXIT_NOTHING)
    if as_json:
        import msgspec

        answer_json(msgspec.to_builtins(told) | {"as_of": as_of})
    else:
        _show(told, as_of)


def _of_log(log: Path, format: str, mapping: Path | None, shopper: str, item: str) -> Explained | None:
    """Replay a file in this process."""
    from stream.cli.feed import Feed, read_all, total_bytes
    from stream.events.readers import Bad
    from stream.events.types import Item
    from stream.explanation import explain

    feed = Feed()
    with progress(f"replaying {log.name}", total_bytes([log])) as bar:
        for result in read_all([log], format, mapping, bar):
            if isinstance(result, Item):
                feed.item(result)
            elif not isinstance(result, Bad):
                feed.event(result)
                if feed.waiting >= 1_000:
                    feed.flush()
        feed.flush()
    return explain(feed.pipeline.engine, 0, shopper, item, feed.clock_ms)


def _show(told: Explained, as_of: str) -> None:
    facts(
        {
            "shopper": told.user_id,
            "item": told.item_id,
            "place in the list": told.place or f"none of {len(told.items)}",
            "why not": told.why,
            "reason": told.reason,
            "in words": told.sentence,
            "shoppers behind it": f"at least {told.shoppers}"
            if told.shoppers
            else "too few to tell, or none",
            "place in the plain order": told.plain_place,
            "place in the model's order": told.model_place,
            "list ranked by": told.ranked_by,
            "candidates": told.candidates,
            "the network adds": told.added,
            "the model's total": told.total,
            "ahead of the last place by": told.ahead,
            "as of": as_of,
        }
    )
    if told.sources:
        table(("source", "score"), list(told.sources.items()), "what each source says of it")
    if told.features:
        rows = [(f.name, f.value, f.weight, f.product) for f in told.features]
        table(("feature", "value", "weight", "product"), rows, "what the model makes of it")
    if told.rules:
        effects = [(e.rule, e.effect, e.before, e.after, e.factor) for e in told.rules]
        table(("rule", "effect", "from place", "to place", "factor"), effects, "what rules did")
