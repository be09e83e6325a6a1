"""`stream recs`, `similar`, `trending` and `price`: what a web app would be given right now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from stream.cli import options
from stream.cli.output import EXIT_NOTHING, answer_json, facts, moment, note, table
from stream.cli.settings import ConfigFile, Prefix, RedisUrl, load

if TYPE_CHECKING:
    from stream.client import Client, Recommendations

RECS_EXAMPLE = "Example: stream recs shopper-17 --limit 8"
SIMILAR_EXAMPLE = "Example: stream similar L-100 --json"
TRENDING_EXAMPLE = "Example: stream trending --category lamps"
PRICE_EXAMPLE = "Example: stream price L-100"


def recs(
    shopper: Annotated[
        str, typer.Argument(metavar="SHOPPER", help="The shopper's user_id; for `product` an item_id.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="Places shown.")] = 20,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="home, product, cart, email, buy-again or the shop's own.")
    ] = "home",
    config: ConfigFile = None,
    redis_url: RedisUrl = None,
    prefix: Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what is recommended to a shopper now."""
    of = _key(config, scenario)
    with _client(config, redis_url, prefix) as client:
        found = client.recommendations(shopper, limit, scenario)
        where = "" if scenario == "home" else f" in the scenario {scenario}"
        _show(
            {f"{of}_id": shopper}, found, f"{'item' if of == 'item' else 'shopper'} {shopper}{where}", as_json
        )


def similar(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's item_id.")],
    together: Annotated[bool, typer.Option("--together", help="Items bought together with it.")] = False,
    config: ConfigFile = None,
    redis_url: RedisUrl = None,
    prefix: Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the items looked at together with an item."""
    with _client(config, redis_url, prefix) as client:
        found = client.together(item) if together else client.similar(item)
        _show({"item_id": item}, found, f"item {item}", as_json)


def trending(
    category: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this category (default: all).")
    ] = None,
    config: ConfigFile = None,
    redis_url: RedisUrl = None,
    prefix: Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the items that many look at right now."""
    with _client(config, redis_url, prefix) as client:
        what = "the shop" if category is None else f"category {category}"
        _show({"category": category}, client.trending(category), what, as_json)


def price(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's item_id.")],
    config: ConfigFile = None,
    redis_url: RedisUrl = None,
    prefix: Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the price in force of an item, and why it is what it is."""
    import msgspec

    with _client(config, redis_url, prefix) as client:
        found = client.price(item)
    if found is None:
        _nothing(f"item {item}")
    answer: dict[str, Any] = {"item_id": item} | msgspec.structs.asdict(found)
    if as_json:
        answer_json(answer)
    else:
        answer["generated_at"] = moment(found.generated_at)
        answer["since"] = moment(found.since_ms) if found.since_ms else "never moved"
        facts({name: value for name, value in answer.items() if name != "since_ms"})


def _key(config: Path | None, scenario: str) -> str:
    """Whose lists a scenario's are: `user` or `item`. `InputError` for a name that the settings know nothing
    of."""
    from stream.rules.scenario import find
    from stream.runtime.scenarios import load as load_scenarios

    return "item" if find(load_scenarios(load(config).scenarios), scenario).key == "item" else "user"


def _client(config: Path | None, redis_url: str | None, prefix: str | None) -> Client:
    from stream.client import Client

    settings = load(config, redis_url=redis_url, prefix=prefix)
    return Client(settings.redis_url, settings.prefix)


def _show(of: dict[str, Any], found: Recommendations | None, what: str, as_json: bool) -> None:
    if found is None:
        _nothing(what)
    if as_json:
        import msgspec

        answer_json(of | msgspec.structs.asdict(found) | {"items": msgspec.to_builtins(found.items)})
        return
    age_s = max(0.0, time.time() - found.generated_at / 1000)
    rows = [
        (place, item.id, item.score, item.reason, item.sentence() or "")
        for place, item in enumerate(found, 1)
    ]
    table(
        ("", "item", "score", "reason", "because"),
        rows,
        f"{what}: ranked by {found.model}, {_age(age_s)} ago",
    )


def _age(age_s: float) -> str:
    for unit, seconds in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if age_s >= 2 * seconds:
            return f"{age_s / seconds:.0f} {unit}"
    return f"{age_s:.1f} s"


def _nothing(what: str) -> NoReturn:
    """Raises `typer.Exit`."""
    note(f"Nothing is published for {what}: no event of it has reached a worker yet, or the value expired.")
    raise typer.Exit(EXIT_NOTHING)
