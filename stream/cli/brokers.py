"""Kafka for commands that do one thing and end: connected soon, or told why not in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient

from stream.errors import BrokerError
from stream.runtime.connection import kafka_arguments, started
from stream.runtime.settings import Settings

CONNECT_S = 10.0
"""A worker waits for its broker for ever; somebody at a terminal wants to know."""

T = TypeVar("T")


def quiet() -> None:
    """Keep the libraries' log lines (retries, metadata) out of a command's answer."""
    for name in ("aiokafka", "stream"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def soon(settings: Settings, connecting: Awaitable[T]) -> T:
    """The result of `connecting`; BrokerError if Kafka has not answered within `CONNECT_S`."""
    try:
        return await asyncio.wait_for(connecting, CONNECT_S)
    except TimeoutError:
        raise BrokerError(
            f"Kafka at {settings.bootstrap} does not answer: start it (`stream local up`) or correct "
            "STREAM_BOOTSTRAP."
        ) from None


@contextlib.asynccontextmanager
async def admin_of(settings: Settings) -> AsyncIterator[Any]:
    """A connected admin client."""
    quiet()
    admin = await soon(settings, started(settings, lambda: AIOKafkaAdminClient(**kafka_arguments(settings))))
    try:
        yield admin
    finally:
        await admin.close()
