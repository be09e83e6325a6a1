"""Asks Kafka and Redis whether they serve, over connections that nothing else waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.errors import BrokerError
from stream.runtime.connection import kafka_arguments
from stream.runtime.redis_connection import Address, RedisConnection
from stream.runtime.resp import ReplyError
from stream.runtime.settings import Settings

PROBE_S = 10.0
"""Who takes longer to answer one question does not serve."""


async def who_is_away(settings: Settings, topic: str) -> str | None:
    """Who does not serve: Kafka (the group's coordinator, or the leader of a partition of `topic`), Redis, or
    nobody. A refusal (a password, a grant) is an answer."""
    if not await _in_time(_kafka(settings, topic)):
        return "Kafka"
    if not await _in_time(_redis(settings)):
        return "Redis"
    return None


async def _in_time(answer: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(PROBE_S):
            return await answer
    except KafkaError as error:
        return not error.retriable
    except (OSError, TimeoutError, ReplyError):
        return False
    except BrokerError:
        return True


async def _kafka(settings: Settings, topic: str) -> bool:
    admin = AIOKafkaAdminClient(**kafka_arguments(settings))
    try:
        await admin.start()
        await admin.list_consumer_group_offsets(settings.group)
        (found,) = await admin.describe_topics([topic])
        return bool(found["partitions"]) and all(place["leader"] >= 0 for place in found["partitions"])
    finally:
        await admin.close()


async def _redis(settings: Settings) -> bool:
    connection = RedisConnection(Address.parse(settings.redis_url))
    try:
        await connection.open()
        await connection.call("PING")
        return True
    finally:
        await connection.close()
