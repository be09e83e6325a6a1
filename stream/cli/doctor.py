"""`stream doctor`: is everything there that a worker needs, and what to do if not."""

from __future__ import annotations

import asyncio

import typer

from stream.cli import options
from stream.cli.output import answer_json, table
from stream.cli.settings import (
    LOCAL_STACK,
    Bootstrap,
    ConfigFile,
    Namespace,
    Prefix,
    RedisUrl,
    load_with_sources,
)

EXAMPLE = "Example: stream doctor --json"

EXIT_FAILED = 1


def doctor(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    redis_url: RedisUrl = None,
    namespace: Namespace = None,
    prefix: Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Check everything a worker needs, and say what to do.

    Python, packages, Kafka, topics, Redis and its eviction policy, clocks, the local stack and workers are
    looked at. Exits with 1 if a check failed. To learn the broker's clock, a topic is created and deleted.
    """
    from stream.cli import checks

    settings, sources = load_with_sources(
        config, bootstrap=bootstrap, redis_url=redis_url, namespace=namespace, prefix=prefix
    )
    done = [
        *checks.python_and_packages(),
        checks.local_stack(sources["bootstrap"] == LOCAL_STACK),
        *asyncio.run(checks.kafka_cluster(settings)),
        *checks.redis_server(settings),
        *checks.workers(settings),
    ]
    ok = all(check.verdict != checks.FAILED for check in done)
    if as_json:
        answer_json({"ok": ok, "checks": [check._asdict() for check in done]})
    else:
        table(("check", "", "found", "what to do"), done)
    if not ok:
        raise typer.Exit(EXIT_FAILED)
