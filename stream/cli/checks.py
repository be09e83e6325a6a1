"""What `stream doctor` checks, one function a check or a group of them."""

from __future__ import annotations

import sys
import time
import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from stream.errors import BrokerError, StreamError

OK, NOTE, FAILED = "ok", "note", "failed"
"""`note` is worth knowing and no reason to stop."""

PACKAGES = ("faust-streaming", "aiokafka", "cramjam", "msgspec", "numpy", "numba", "redis", "river")

FETCH_VERSIONS = ((18, "4.1"), (17, "3.9"), (16, "3.7"), (15, "3.5"), (13, "3.1"), (12, "2.7"))
"""Kafka does not tell its release, but a release knows a certain version of the request Fetch."""
FETCH_KEY = 1

SKEW_NOTE_MS = 1_000
"""Beyond this, ages and freshness that are shown are off by what people notice."""

EVICTING = frozenset(("volatile-ttl", "volatile-lru", "volatile-lfu", "allkeys-lru", "allkeys-lfu"))
"""Policies under which a full Redis still takes fresh values. Every value of ours has a TTL."""


class Check(NamedTuple):
    """One check: what was found, and what to do about it (empty when nothing)."""

    name: str
    verdict: str
    found: str
    advice: str = ""


def python_and_packages() -> list[Check]:
    """Versions of what this process runs on."""
    python = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return [
        Check("python", OK if fits else FAILED, python, "" if fits else "Use Python 3.11 or 3.12."),
        Check(
            "packages",
            FAILED if missing else OK,
            ", ".join(found),
            f"Install {', '.join(missing)}: `make setup`." if missing else "",
        ),
    ]


def local_stack(addresses_from_stack: bool) -> Check:
    """Whether this checkout's own Kafka and Redis run, and whether the settings point there."""
    from stream import local

    stack = local.status()
    if stack is None:
        return Check("local stack", OK, "not running")
    use = "in use" if addresses_from_stack else "running, but the settings name other addresses"
    return Check("local stack", OK, f"{use} ({stack.mode}), logs in {stack.home}")


def redis_server(settings: Any) -> list[Check]:
    """Reachable, its version and eviction policy, its clock."""
    import redis

    from stream.runtime.redis_connection import Address

    try:
        where = str(Address.parse(settings.redis_url))
        with redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5) as server:
            info: dict[str, Any] = server.info()
            before = time.time()
            seconds, micros = server.time()
            after = time.time()
    except (redis.RedisError, BrokerError, ValueError) as error:
        advice = "Start it (`stream local up`) or correct STREAM_REDIS_URL."
        return [Check("redis", FAILED, f"does not serve: {error}", advice)]
    name = "Valkey" if "valkey_version" in info else "Redis"
    number = info.get("valkey_version", info.get("redis_version", "?"))
    skew_ms = (seconds + micros / 1e6 - (before + after) / 2) * 1000
    return [Check("redis", OK, f"{name} {number} at {where}"), eviction(info), skew("redis clock", skew_ms)]


def eviction(info: dict[str, Any]) -> Check:
    """What happens when memory is full, from the answer to INFO."""
    policy, limit = str(info.get("maxmemory_policy", "unknown")), int(info.get("maxmemory", 0))
    said = f"{policy}, maxmemory {limit >> 20:,} MB" if limit else f"{policy}, no maxmemory"
    if policy in EVICTING and limit:
        return Check("redis eviction", OK, said)
    if limit:
        advice = "A full Redis will refuse or lose fresh values: set maxmemory-policy volatile-ttl."
        return Check("redis eviction", FAILED, said, advice)
    advice = "Redis may grow until the machine is full: set maxmemory, and maxmemory-policy volatile-ttl."
    return Check("redis eviction", NOTE, said, advice)


def skew(name: str, skew_ms: float, limit_ms: float = 300_000.0) -> Check:
    """How far a server's clock is ahead of (+) or behind (-) this one; failed from `limit_ms` on."""
    said = f"{skew_ms:+.0f} ms from this machine"
    if abs(skew_ms) < SKEW_NOTE_MS:
        return Check(name, OK, said)
    advice = "Synchronise the clocks of both machines (NTP)."
    return Check(name, FAILED if abs(skew_ms) >= limit_ms else NOTE, said, advice)


async def kafka_cluster(settings: Any) -> list[Check]:
    """Reachable, its version, the topics, the brokers' clock."""
    from stream.cli.brokers import admin_of
    from stream.runtime.topics import ensure

    try:
        async with admin_of(settings) as admin:
            cluster = await admin.describe_cluster()
            brokers = len(cluster["brokers"])
            said = f"{brokers} broker{'s' * (brokers != 1)} at {settings.bootstrap}, {_release(admin)}"
            checks = [Check("kafka", OK, said), _replication(settings, brokers)]
            try:
                await ensure(admin, settings, create=False)
                checks.append(Check("topics", OK, "all there, as the state needs them"))
            except StreamError as error:
                checks.append(_failed("topics", error))
            checks.append(await _broker_clock(settings, admin))
            return checks
    except StreamError as error:
        unknown = "not checked: Kafka does not answer"
        return [_failed("kafka", error), Check("topics", NOTE, unknown), Check("kafka clock", NOTE, unknown)]


def _failed(name: str, error: StreamError) -> Check:
    """Our errors say what is wrong, then after a colon what to do."""
    said, _, advice = str(error).partition(": ")
    return Check(name, FAILED, said, advice[:1].upper() + advice[1:])


def _release(admin: Any) -> str:
    known = [conn._versions.get(FETCH_KEY, (0, 0))[1] for conn in admin._client._conns.values()]
    fetch = min(known, default=0)
    for least, release in FETCH_VERSIONS:
        if fetch >= least:
            return f"Kafka {release} or newer"
    return "an old Kafka"


def _replication(settings: Any, brokers: int) -> Check:
    wanted = settings.replication_factor
    if wanted > brokers:
        advice = f"Set STREAM_REPLICATION_FACTOR to {brokers} or less, or start more brokers."
        return Check("replication", FAILED, f"{wanted} replicas on {brokers} brokers", advice)
    if wanted < 3 <= brokers:
        return Check(
            "replication", NOTE, f"factor {wanted}", "Set STREAM_REPLICATION_FACTOR=3 in production."
        )
    return Check("replication", OK, f"factor {wanted}")


async def _broker_clock(settings: Any, admin: Any) -> Check:
    """Kafka tells its time only in records it stamps: one in a topic of its own, deleted at once.

    What counts is the limit on events from the future: a broker behind by more than that refuses all.
    """
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import NewTopic
    from aiokafka.errors import KafkaError

    from stream.runtime.connection import kafka_arguments

    name = settings.topic(f"doctor-{uuid.uuid4().hex[:8]}")
    configs = {"message.timestamp.type": "LogAppendTime", "retention.ms": "60000"}
    try:
        made = await admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])
        if made.topic_errors[0][1]:
            reason = made.topic_errors[0][2]
            return Check("kafka clock", NOTE, f"not checked: no topic can be created ({reason})")
        producer = AIOKafkaProducer(**kafka_arguments(settings), acks=1)
        await producer.start()
        try:
            # The first one also finds its way; only the second is timed.
            await producer.send_and_wait(name, b"probe")
            before = time.time()
            stamped = await producer.send_and_wait(name, b"probe")
            after = time.time()
        finally:
            await producer.stop()
            await admin.delete_topics([name])
    except KafkaError as error:
        return Check("kafka clock", NOTE, f"not checked: {error}")
    skew_ms = stamped.timestamp - (before + after) / 2 * 1000
    return skew("kafka clock", skew_ms, settings.max_ahead_s * 1000)


def workers(settings: Any) -> list[Check]:
    """Those that reported within the last seconds, and what they hold."""
    from stream.client import Client

    try:
        with Client(settings.redis_url, settings.prefix) as client:
            alive = client.workers()
    except StreamError:
        return [Check("workers", NOTE, "not checked: Redis does not serve")]
    if not alive:
        return [Check("workers", NOTE, "none reports", "Start one: `stream worker`.")]
    checks, held = [], set()
    for status in alive:
        partitions = status.get("partitions", {}).get("shoppers", {})
        held |= set(partitions)
        lag = sum(status.get("lag", {}).values())
        said = f"{len(partitions)} partitions of events, lag {lag:,}"
        ready = bool(status.get("ready"))
        checks.append(
            Check(f"worker {status.get('worker')}", OK if ready else NOTE, said if ready else "starting")
        )
    if len(held) < settings.partitions and all(check.verdict == OK for check in checks):
        said = f"{settings.partitions - len(held)} of {settings.partitions} partitions have no worker"
        checks.append(Check("partitions", NOTE, said, "A rebalance may be under way: look again."))
    return checks
