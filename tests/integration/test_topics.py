"""Creating and checking topics on a real broker."""

from __future__ import annotations

import pytest
from aiokafka.admin import NewTopic

from stream.errors import TopicError
from stream.runtime.topics import TOPICS, ensure, prepare, read_configs
from tests.integration.kit import admin_for, settings_for


@pytest.fixture
def settings(stack, namespace):
    return settings_for(stack, namespace)


async def test_missing_topics_are_created_with_their_settings_once(settings):
    assert sorted(await prepare(settings)) == sorted(settings.topic(topic.name) for topic in TOPICS)
    assert await prepare(settings) == []
    async with admin_for(settings) as admin:
        configs = await read_configs(admin, [settings.topic(topic.name) for topic in TOPICS])
        sizes = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics()}
    for topic in TOPICS:
        found = configs[settings.topic(topic.name)]
        assert {key: found[key] for key in topic.config} == topic.config
        assert sizes[settings.topic(topic.name)] == topic.partitions or settings.partitions


async def test_without_leave_to_create_the_missing_are_named(settings):
    async with admin_for(settings) as admin:
        with pytest.raises(TopicError, match=r"has no topic .*events.*`stream topics create`"):
            await ensure(admin, settings, create=False)


async def test_other_partitions_are_refused_with_the_way_out(settings):
    await prepare(settings)
    other = settings.model_copy(update={"partitions": 6})
    with pytest.raises(TopicError, match=r"events has 4 partitions where 6 .*STREAM_PARTITIONS=4"):
        await prepare(other)


async def test_another_cleanup_or_timestamp_is_refused_with_the_way_out(settings):
    name = settings.topic("events")
    async with admin_for(settings) as admin:
        await admin.create_topics([NewTopic(name, settings.partitions, 1)])
    with pytest.raises(
        TopicError, match=r"message\.timestamp\.type=CreateTime where LogAppendTime .*--alter"
    ):
        await prepare(settings)
