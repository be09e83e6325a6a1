"""One compacted topic, read whole and written to, for commands that do one thing and end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.runtime.settings import Settings


async def put(settings: Settings, topic: str, values: Mapping[bytes, bytes | None]) -> None:
    """Write values by key, None to delete; BrokerError if Kafka does not answer soon."""
    from stream.cli.brokers import quiet, soon
    from stream.runtime import topics
    from stream.runtime.kafka_sink import KafkaSink, Outgoing

    quiet()
    await soon(settings, topics.prepare(settings))
    sink = KafkaSink(settings)
    await soon(settings, sink.start())
    try:
        await sink.send(messages=[Outgoing(topic, key, value) for key, value in values.items()])
    finally:
        await sink.stop()


async def read(settings: Settings, topic: str) -> dict[bytes, bytes]:
    """What the topic says last of every key that was not deleted; BrokerError as above."""
    from stream.cli.brokers import quiet, soon
    from stream.runtime.compacted import latest
    from stream.runtime.log_reader import LogReader

    quiet()
    reader = LogReader(settings)
    await soon(settings, reader.__aenter__())
    try:
        found = (await latest(settings, reader, [topic]))[topic]
    finally:
        await reader.__aexit__(None, None, None)
    return {key: value for key, value in sorted(found.items()) if value is not None}
