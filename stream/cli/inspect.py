"""`stream state inspect`: what the durable state holds of one shopper or one item."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import EXIT_NOTHING, answer_json, facts, moment, note, table
from stream.cli.settings import Bootstrap, ConfigFile, Group, Namespace, load

if TYPE_CHECKING:
    from stream.items.describe import ItemState
    from stream.runtime.settings import Settings
    from stream.shoppers.describe import ShopperState

EXAMPLE = "Example: stream state inspect --item L-100"

SHOWN = 10
"""Neighbours of each kind in a table; `--json` gives all."""


def inspect(
    shopper: Annotated[str | None, typer.Argument(metavar="SHOPPER", help="The shopper's user_id.")] = None,
    item: Annotated[
        str | None, typer.Option(metavar="ITEM", help="An item's item_id, instead of a shopper.")
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    group: Group = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what the durable state holds of a shopper or an item.

    It is restored as a new worker would do it, without disturbing those that run, and only the partition that
    matters: of a shopper the others too, if that one knows nobody of the name.
    """
    if (shopper is None) == (item is None):
        raise typer.BadParameter("name either a shopper or, with --item, an item")
    settings = load(config, bootstrap=bootstrap, namespace=namespace, group=group)
    if item is not None:
        found_item = asyncio.run(_item(settings, item))
        _answer(found_item, f"item {item}", as_json, _show_item)
    elif shopper is not None:
        found_shopper = asyncio.run(_shopper(settings, shopper))
        _answer(found_shopper, f"shopper {shopper}", as_json, _show_shopper)


async def _shopper(settings: Settings, user_id: str) -> tuple[ShopperState, int] | None:
    from stream.cli.bystanders import bystander
    from stream.runtime.inspection import shopper_state

    return await shopper_state(settings, await bystander(settings), user_id)


async def _item(settings: Settings, item_id: str) -> tuple[ItemState, int] | None:
    from stream.cli.bystanders import bystander
    from stream.runtime.inspection import item_state

    return await item_state(settings, await bystander(settings), item_id)


def _answer(found: tuple[Any, int] | None, what: str, as_json: bool, show: Any) -> None:
    import msgspec

    if found is None:
        note(f"The state holds nothing of {what}: no event of it was counted, or it was forgotten since.")
        raise typer.Exit(EXIT_NOTHING)
    state, next_offset = found
    if as_json:
        answer_json(msgspec.structs.asdict(state) | {"next_offset": next_offset})
    else:
        show(state, next_offset)


def _show_shopper(state: ShopperState, next_offset: int) -> None:
    facts(
        {
            "shopper": state.user_id,
            "events": state.events,
            "last event": moment(state.last_ts_ms),
            "recent items": ", ".join(state.recent),
            "of this session": len(state.window),
            "basket": ", ".join(state.basket),
            "bought": state.bought,
            "hidden": ", ".join(state.hidden),
            "interests": ", ".join(state.interests),
            "cohorts": ", ".join(f"{field} {key}" for field, key in state.cohorts.items()),
            "in the cart": ", ".join(state.cart),
            "shown and not taken": state.shown,
            "a crowd behind one id": "yes" if state.crowd else "no",
            "as of": f"events-{state.partition}, offset {next_offset}",
        }
    )


def _show_item(state: ItemState, next_offset: int) -> None:
    facts(
        {
            "item": state.item_id,
            "views": state.views,
            "carts": state.carts,
            "purchases": state.purchases,
            "units sold": state.units_sold,
            "units returned": state.units_returned,
            "last event": moment(state.last_ts_ms),
            "as of": f"item-updates-{state.partition}, offset {next_offset}",
        }
    )
    for kind, neighbours in state.neighbours.items():
        if neighbours:
            rows = list(neighbours.items())[:SHOWN]
            table(("item", "weight"), rows, f"{kind}: {len(neighbours)} neighbours, the heaviest first")
    if state.demand:
        rows_of = [(price, *sums) for price, sums in sorted(state.demand.items())]
        table(("price", "exposures", "purchases"), rows_of, "demand, decayed")
