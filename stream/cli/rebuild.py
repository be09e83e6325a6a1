"""`stream rebuild`: an empty Redis filled again from the durable state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, percentage
from stream.cli.settings import Bootstrap, ConfigFile, Group, Namespace, Prefix, RedisUrl, load

if TYPE_CHECKING:
    from stream.runtime.settings import Settings

EXAMPLE = "Example: stream rebuild --per-s 20000"

PER_S = 5_000
"""A value costs Redis some 10 µs, so that 95 % of its time is left for readers and workers."""


def rebuild(
    per_s: Annotated[
        float, typer.Option("--per-s", min=1.0, metavar="N", help="Values written a second at most.")
    ] = PER_S,
    days: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="D",
            help="Lists for shoppers seen in the last D days of event time (default: ttl_s).",
        ),
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    redis_url: RedisUrl = None,
    namespace: Namespace = None,
    prefix: Prefix = None,
    group: Group = None,
    as_json: options.AsJson = False,
) -> None:
    """Fill Redis again from state after it was lost.

    Prices, trending and item lists first, then recommendations, for those first who were seen last. Workers
    go on meanwhile: what they write is newer and stays. This process needs the memory of a worker that holds
    all partitions.
    """
    settings = load(
        config, bootstrap=bootstrap, redis_url=redis_url, namespace=namespace, prefix=prefix, group=group
    )
    seen_s = settings.ttl_s if days is None else days * 86_400
    answer = asyncio.run(_rebuild(settings, round(seen_s * 1000), per_s))
    if as_json:
        answer_json(answer)
    else:
        facts(answer)


async def _rebuild(settings: Settings, seen_ms: int, per_s: float) -> dict[str, Any]:
    from stream.cli.brokers import CONNECT_S
    from stream.cli.bystanders import bystander
    from stream.errors import BrokerError
    from stream.runtime.rebuild import rebuild as fill
    from stream.runtime.redis_sink import RedisSink

    engine = await bystander(settings)
    redis = RedisSink(settings.redis_url, settings.prefix, settings.ttl_s)
    try:
        await asyncio.wait_for(redis.start(), CONNECT_S)
    except TimeoutError:
        raise BrokerError(
            f"Redis at {redis.address} does not answer: start it (`stream local up`) or correct "
            "STREAM_REDIS_URL."
        ) from None
    try:
        with percentage("filling Redis") as told:
            return await fill(settings, engine, redis, seen_ms, per_s, told)
    finally:
        await redis.stop()
