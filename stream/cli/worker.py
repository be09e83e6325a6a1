"""`stream worker`: one process that takes its share of the partitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.settings import Bootstrap, ConfigFile, Group, Namespace, Prefix, RedisUrl, load

if TYPE_CHECKING:
    from stream.config import EngineConfig
    from stream.runtime.settings import Settings

EXAMPLE = "Example: stream worker --bootstrap kafka1:9092 --redis-url redis://cache:6379/0 --pricing auto"


def worker(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    redis_url: RedisUrl = None,
    namespace: Namespace = None,
    prefix: Prefix = None,
    group: Group = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of events and item-updates.")] = None,
    pricing: Annotated[str | None, typer.Option(metavar="MODE", help="off, shadow or auto.")] = None,
    ttl_s: Annotated[int | None, typer.Option("--ttl-s", help="Life of values in Redis, seconds.")] = None,
    worker_id: Annotated[str | None, typer.Option(help="Its name (default: host and process).")] = None,
    datadir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where Faust keeps files.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.")] = None,
) -> None:
    """Work on events until told to stop; start more workers for more load.

    Every setting (`stream config` lists them) can also come from STREAM_* variables or a file. Missing
    topics are created. Exit codes: 0 stopped as told; 2 it cannot go on as things are; 1 a bug, or a
    standstill that a new start may end.
    """
    settings = load(
        config,
        bootstrap=bootstrap,
        redis_url=redis_url,
        namespace=namespace,
        prefix=prefix,
        group=group,
        partitions=partitions,
        pricing=pricing,
        ttl_s=ttl_s,
        worker_id=worker_id,
        datadir=datadir,
        log_level=log_level,
        log_format=log_format,
    )
    from stream.engine import Engine
    from stream.learn.learner import Learner
    from stream.pipeline import warm_up
    from stream.renewal import Renewal
    from stream.runtime.worker import run

    warm_up()
    engine = Engine(engine_config(settings))
    renewal = Renewal(engine, settings.ttl_s * 1000)
    raise typer.Exit(run(settings, engine, lambda: Learner(engine.model, engine.challengers), renewal.due))


def engine_config(settings: Settings) -> EngineConfig:
    """The engine that the settings ask for."""
    from stream.config import EngineConfig
    from stream.events.decode import Bounds
    from stream.pricing import Mode, PricingConfig
    from stream.runtime.scenarios import load as load_scenarios

    return EngineConfig(
        item_partitions=settings.partitions,
        max_shoppers=settings.max_shoppers,
        max_items=settings.max_items,
        inactive_ms=round(settings.inactive_days * 86_400_000),
        rows_saved_per_event=settings.rows_saved_per_event,
        bounds=Bounds(
            round(settings.max_age_days * 86_400_000), round(settings.max_ahead_s * 1000), settings.rating_max
        ),
        pricing=PricingConfig(mode=Mode(settings.pricing)),
        scenarios=load_scenarios(settings.scenarios),
    )
