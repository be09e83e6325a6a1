"""Settings of a command: its flags, the environment, a file, and the local stack if one runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stream.local import Stack
    from stream.runtime.settings import Settings

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file (default: $STREAM_CONFIG, ./stream.toml)."),
]
Bootstrap = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka bootstrap servers.")]
RedisUrl = Annotated[str | None, typer.Option(metavar="URL", help="redis:// or rediss:// address.")]
Namespace = Annotated[str | None, typer.Option(metavar="TEXT", help="Put before every topic's name.")]
Group = Annotated[str | None, typer.Option(help="Consumer group of the workers.")]
Prefix = Annotated[str | None, typer.Option(metavar="TEXT", help="First part of every Redis key.")]

LOCAL_STACK = "local stack"


def load(config: Path | None = None, **flags: Any) -> Settings:
    """`Settings.load`; an address that nothing sets is the one of this checkout's local stack, if it runs."""
    return load_with_sources(config, **flags)[0]


def load_with_sources(config: Path | None = None, **flags: Any) -> tuple[Settings, dict[str, str]]:
    """The settings, and where each comes from: flag, environment, file, local stack or default."""
    from stream.runtime.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, ENV_PREFIX, Settings

    settings = Settings.load(config, **flags)
    given = settings.model_fields_set
    environment = {name.upper() for name in os.environ}
    file = config or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG
    sources = {}
    for name in type(settings).model_fields:
        if flags.get(name) is not None:
            sources[name] = "flag"
        elif (ENV_PREFIX + name).upper() in environment:
            sources[name] = "environment"
        else:
            sources[name] = str(file) if name in given else "default"
    stack = _local_stack() if sources["bootstrap"] == sources["redis_url"] == "default" else None
    if stack is not None:
        flags |= {"bootstrap": stack.bootstrap, "redis_url": stack.redis_url}
        settings = Settings.load(config, **flags)
        sources |= {"bootstrap": LOCAL_STACK, "redis_url": LOCAL_STACK}
    return settings, sources


def _local_stack() -> Stack | None:
    from stream.local import status

    return status()
