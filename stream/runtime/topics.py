"""The topics of a namespace: what each is for, how it is kept, creating and checking them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from stream.errors import BrokerError, TopicError
from stream.runtime.connection import backoff, kafka_arguments, started
from stream.runtime.settings import Settings

EVENTS = "events"
ITEMS = "items"
RULES = "rules"
ITEM_UPDATES = "item-updates"
EXAMPLES = "examples"
MODELS = "models"
AGGREGATES = "aggregates"
SHOPPER_STATE = "shopper-state"
ITEM_STATE = "item-state"
DEAD_LETTERS = "dead-letters"

OF_KIND = {
    "recs": "recommendations",
    "similar": "similar-items",
    "together": "together-items",
    "trending": "trending",
    "price": "prices",
}
"""Output topic of each kind of value."""

CONTROL = (ITEMS, RULES, OF_KIND["price"], AGGREGATES, MODELS)
"""What every worker reads whole, without a group."""

KEPT = (ITEMS, RULES, OF_KIND["price"], MODELS)
"""Compacted topics that are part of the durable state: facts and rules that shops told, prices in force and
since when, the ranking model. What `aggregates` holds follows from the items' state within a second."""

MESSAGE_MAX_BYTES = 16 << 20
"""A payload far too large must reach us to become a dead letter instead of an error in the shop."""
DEAD_LETTER_MAX_BYTES = MESSAGE_MAX_BYTES + (1 << 20)
"""The largest event with its headers."""

_DAY_MS = 86_400_000
_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
# Append time: history that is loaded today must not be deleted by retention tomorrow.
_LOG = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS), **_APPEND_TIME}
# Small segments, because only closed ones are compacted and a restart reads what is left.
_COMPACT = {
    "cleanup.policy": "compact",
    "segment.bytes": str(32 << 20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
}
# That an item was removed must be known as long as its counts may lie in saved state.
_TOLD = {**_COMPACT, "delete.retention.ms": str(100 * 365 * _DAY_MS)}
# Written most of all, and read as they come: to compact them at every tenth that is new took the broker 2 µs
# a list.
_OUTPUT = {**_COMPACT, "min.cleanable.dirty.ratio": "0.5"}


class Topic(NamedTuple):
    """One topic. `partitions` None: as many as the settings say. `checked`: what must hold if it exists."""

    name: str
    partitions: int | None
    config: dict[str, str]
    checked: tuple[str, ...] = ("cleanup.policy",)


TOPICS = (
    Topic(
        EVENTS,
        None,
        {**_LOG, "max.message.bytes": str(MESSAGE_MAX_BYTES)},
        ("cleanup.policy", "message.timestamp.type"),
    ),
    Topic(ITEMS, 1, _TOLD),
    Topic(RULES, 1, _COMPACT),
    Topic(
        ITEM_UPDATES,
        None,
        {**_LOG, "max.message.bytes": str(MESSAGE_MAX_BYTES)},
        ("cleanup.policy", "message.timestamp.type"),
    ),
    *(Topic(name, None, _COMPACT if name in KEPT else _OUTPUT) for name in OF_KIND.values()),
    Topic(EXAMPLES, 1, {**_LOG, "retention.ms": str(7 * _DAY_MS)}),
    Topic(MODELS, 1, _COMPACT),
    Topic(AGGREGATES, 1, {**_COMPACT, "max.message.bytes": str(MESSAGE_MAX_BYTES)}),
    *(
        Topic(name, None, {**_COMPACT, "max.message.bytes": str(MESSAGE_MAX_BYTES)})
        for name in (SHOPPER_STATE, ITEM_STATE)
    ),
    Topic(DEAD_LETTERS, None, {**_LOG, "max.message.bytes": str(DEAD_LETTER_MAX_BYTES)}),
)

_FIXED_PARTITIONS = frozenset((EVENTS, ITEM_UPDATES, EXAMPLES, SHOPPER_STATE, ITEM_STATE))
"""Their partitions are the units of state: another number would be another split of the state."""


async def prepare(settings: Settings) -> list[str]:
    """Wait for Kafka, create what is missing, check the rest; returns the names created."""
    admin = await started(settings, lambda: AIOKafkaAdminClient(**kafka_arguments(settings)))
    try:
        return await ensure(admin, settings)
    finally:
        await admin.close()


async def ensure(admin: AIOKafkaAdminClient, settings: Settings, create: bool = True) -> list[str]:
    """Create the missing topics (or `TopicError` when `create` is False) and check those that exist.

    Raises `TopicError` in one sentence when a topic has other partitions, cleanup or timestamps than the
    units of state need. Returns the full names of the topics it created.
    """
    existing = {topic["topic"]: topic for topic in await admin.describe_topics()}
    missing = [topic for topic in TOPICS if settings.topic(topic.name) not in existing]
    if missing and not create:
        names = ", ".join(settings.topic(topic.name) for topic in missing)
        raise TopicError(f"Kafka has no topic {names}: `stream topics create` creates what is missing.")
    present = [topic for topic in TOPICS if topic not in missing]
    for topic in present:
        _check_partitions(topic, len(existing[settings.topic(topic.name)]["partitions"]), settings)
    await _check_configs(admin, present, settings)
    created = [await _create(admin, topic, settings) for topic in missing]
    waits = backoff()
    # The controller has them; brokers tell of them a moment later.
    while created and not {t["topic"] for t in await admin.describe_topics() if t["partitions"]}.issuperset(
        created
    ):
        await asyncio.sleep(next(waits))
    return created


async def _create(admin: AIOKafkaAdminClient, topic: Topic, settings: Settings) -> str:
    name = settings.topic(topic.name)
    new = NewTopic(
        name, topic.partitions or settings.partitions, settings.replication_factor, topic_configs=topic.config
    )
    response = await admin.create_topics([new])
    _, code, *rest = response.topic_errors[0]
    # Another worker that starts at the same moment may have been faster.
    if code not in (0, TopicAlreadyExistsError.errno):
        reason = (rest[0] if rest else None) or for_code(code).__name__
        raise TopicError(
            f"Topic {name} could not be created ({reason}): create it by hand or correct the settings."
        )
    return name


def _check_partitions(topic: Topic, found: int, settings: Settings) -> None:
    wanted = topic.partitions or settings.partitions
    if topic.name in _FIXED_PARTITIONS and found != wanted:
        way_out = f"set STREAM_PARTITIONS={found}" if topic.partitions is None else "recreate it with one"
        raise TopicError(
            f"Topic {settings.topic(topic.name)} has {found} partitions where {wanted} are expected: "
            f"{way_out} or use another STREAM_NAMESPACE."
        )


async def _check_configs(admin: AIOKafkaAdminClient, topics: Sequence[Topic], settings: Settings) -> None:
    wanted = {settings.topic(topic.name): topic for topic in topics}
    if not wanted:
        return
    for name, found in (await read_configs(admin, list(wanted))).items():
        for key in wanted[name].checked:
            want = wanted[name].config.get(key)
            if want is not None and found.get(key) != want:
                raise TopicError(
                    f"Topic {name} has {key}={found.get(key)} where {want} is needed: run `kafka-configs.sh "
                    f"--alter --topic {name} --add-config {key}={want}` or use another STREAM_NAMESPACE."
                )


async def read_configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Settings in force of the named topics."""
    responses = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    configs: dict[str, dict[str, str]] = {}
    for response in responses:
        for code, reason, _, name, entries in _resources(response):
            if code:
                raise BrokerError(
                    f"Kafka does not tell the settings of topic {name} ({reason}): grant DescribeConfigs."
                )
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


def _resources(response: Any) -> list[Any]:
    with contextlib.suppress(AttributeError):
        return list(response.resources)
    return []
