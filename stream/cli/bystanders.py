"""An engine for commands that restore state beside the group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.engine import Engine
    from stream.runtime.settings import Settings


async def bystander(settings: Settings) -> Engine:
    """An empty engine as workers have it, except that it saves nothing. Raises `BrokerError` when Kafka does
    not answer soon, `TopicError` when there are no topics."""
    from stream.cli.brokers import admin_of
    from stream.cli.worker import engine_config
    from stream.engine import Engine
    from stream.runtime.topics import ensure

    async with admin_of(settings) as admin:
        await ensure(admin, settings, create=False)
    return Engine(replace(engine_config(settings), rows_saved_per_event=0.0))
