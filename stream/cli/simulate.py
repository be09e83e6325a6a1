"""`stream simulate`: the events of a synthetic shop, into a file or into Kafka."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, moment, progress
from stream.cli.settings import Bootstrap, ConfigFile, Namespace, load
from stream.errors import InputError

EXAMPLE = "Example: stream simulate --days 14 --seed 7 --out shop.jsonl.gz"

DAY_MS = 86_400_000
WEEKS_BACK = 7
"""History until now by default: enough for prices to have moved several times."""
EVENTS_A_DAY = 4_000
"""A little less than the shop makes, so that a start that many days back gives enough before now."""
AT_ONCE = 5_000


def simulate(
    events: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after this many events.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, metavar="D", help="Simulate this many days.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another shop.")] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day, UTC (default: so as to end today)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write JSON lines (gzip if named .gz) instead of to Kafka."),
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """Write the events of a synthetic shop to Kafka or a file.

    Its catalogue comes with them. Shoppers have tastes, sessions, baskets and true demand curves. The shop
    starts weeks in the past (7 weeks by default) and never runs ahead of the clock. The same seed and start
    give the same bytes.
    """
    from stream.simulate import Shop, ShopConfig

    now_ms = time.time_ns() // 1_000_000
    start_ms = _start_ms(start, events, days, now_ms)
    until_ms = min(now_ms, start_ms + days * DAY_MS) if days is not None else now_ms
    if until_ms <= start_ms:
        raise InputError(
            f"The simulated shop cannot start on {moment(start_ms)}: choose a --start in the past."
        )
    shop = Shop(ShopConfig(seed=seed, start_ms=start_ms))
    limit = events if events is not None else 1 << 62
    began = time.perf_counter()
    with progress("simulating", events or (until_ms - start_ms) // 1000, of_bytes=False) as bar:

        def told(done: int) -> None:
            bar(done if events is not None else (shop.clock_ms - start_ms) // 1000)

        happenings = _happenings(shop, until_ms, limit, told)
        if out is not None:
            counts = _write(happenings, out)
        else:
            settings = load(config, bootstrap=bootstrap, namespace=namespace)
            counts = asyncio.run(_send(settings, happenings))
    answer = counts | {
        "seed": seed,
        "from_ms": start_ms,
        "to_ms": shop.clock_ms,
        "seconds": round(time.perf_counter() - began, 3),
    }
    if as_json:
        answer_json(answer)
    else:
        told_as = {"from_ms": moment(start_ms), "to_ms": moment(shop.clock_ms)}
        facts({name.removesuffix("_ms"): value for name, value in (answer | told_as).items()})


def _start_ms(start: datetime | None, events: int | None, days: int | None, now_ms: int) -> int:
    """Midnight, so that two calls on one day give the same."""
    if start is not None:
        return round(start.replace(tzinfo=UTC).timestamp() * 1000)
    back = days if days is not None else max(7 * WEEKS_BACK, -(-(events or 0) // EVENTS_A_DAY))
    return (now_ms // DAY_MS - back) * DAY_MS


def _happenings(shop: Any, until_ms: int, limit: int, told: Any) -> Iterator[Any]:
    """Facts of items before the events of the time in which they went on sale."""
    given, since_ms = 0, -1
    while shop.clock_ms < until_ms and given < limit:
        batch = shop.advance(until_ms, min(AT_ONCE, limit - given))
        yield from shop.catalogue(since_ms)
        since_ms = shop.clock_ms
        yield from batch
        given += len(batch)
        told(given)


def _write(happenings: Iterator[Any], path: Path) -> dict[str, Any]:
    import msgspec

    from stream.events.types import Item

    encoder = msgspec.json.Encoder()
    events = items = 0
    try:
        with _opened(path) as file:
            for one in happenings:
                if isinstance(one, Item):
                    items += 1
                    line = encoder.encode({"type": "item"} | msgspec.to_builtins(one))
                else:
                    events += 1
                    line = encoder.encode(one)
                file.write(line + b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): correct --out.") from None
    return {"out": str(path), "events": events, "items": items}


def _opened(path: Path) -> IO[bytes]:
    if path.suffix != ".gz":
        return path.open("wb")
    # No time in the header: the same shop gives the same file.
    return gzip.GzipFile(path, "wb", compresslevel=6, mtime=0)  # type: ignore[return-value]


async def _send(settings: Any, happenings: Iterator[Any]) -> dict[str, Any]:
    from stream.cli.sender import Sender

    async with Sender(settings, "simulation") as sender:
        for one in happenings:
            await sender.add(one)
    return {"topic": settings.topic("events"), "events": sender.events, "items": sender.items}
