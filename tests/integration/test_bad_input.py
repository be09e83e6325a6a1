"""What a real worker does with everything that a shop can send wrongly, and while Redis is away."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from stream.local import Stack
from stream.runtime.kafka_sink import KafkaSink, Outgoing
from stream.runtime.settings import Settings
from stream.shoppers.session import CROWD_EVENTS_PER_HOUR
from stream.values import key_of
from tests.integration.kit import WorkerProcess, environment, read_all, settings_for, wait_until

PARTITIONS = 2
TS = 1_760_000_000_000
YEAR_1970 = "1970-01-01T00:00:00Z"
YEAR_2100 = "2100-01-01T00:00:00Z"
ITEMS = ("lamp", "desk", "chair", "shelf", "rug")


class RealWorker(WorkerProcess):
    """`stream worker` itself, where its base class starts an engine that counts."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings = settings
        self._log = log
        self._reads = redis.Redis.from_url(settings.redis_url)
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream", "worker", "--pricing", "off"],
                env=environment(settings, "w1"),
                stdout=out,
                stderr=out,
            )

    def has_list(self, shopper: str) -> bool:
        """Whether something is recommended to a shopper."""
        return bool((self.value("recs", shopper) or {"items": []})["items"])

    def value(self, kind: str, name: str) -> dict[str, Any] | None:
        """A published value, or None."""
        found = self._reads.get(key_of(self.settings.prefix, kind, name))
        assert found is None or isinstance(found, bytes)
        return json.loads(found) if found else None

    def engine(self) -> dict[str, Any]:
        """The engine's counters as the worker last told them, at most a second ago."""
        told: dict[str, Any] = {}

        def has_told() -> bool:
            assert self.process.poll() is None, self.output()
            told.update(self.value("worker", "w1") or {})
            return bool(told)

        wait_until(has_told, "the worker's status")
        found: dict[str, Any] = told["engine"]
        return found

    def flush_redis(self) -> None:
        """Values and scripts: what a Redis without persistence has after a restart."""
        self._reads.flushall()
        self._reads.script_flush()

    def wait_counted(self, name: str, count: int) -> None:
        """Until a counter of the engine has reached `count`."""
        wait_until(lambda: self.engine()[name] >= count, f"{count} {name}")

    def close(self) -> None:
        """End the process if it still runs."""
        self._reads.close()
        if self.process.poll() is None:
            self.kill()


@pytest.fixture(scope="module")
def worker(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """One worker for all tests here, as its start takes longer than they do."""
    settings = settings_for(stack, f"test-{uuid.uuid4().hex[:10]}-", partitions=PARTITIONS)
    started = RealWorker(settings, tmp_path_factory.mktemp("worker") / "worker.log")
    try:
        started.wait_told("Ready.")
        yield started
        assert started.stop() == 0, started.output()
    finally:
        started.close()


async def send(settings: Settings, messages: list[Outgoing]) -> None:
    """Write records as they are, however large, each after the one before it."""
    sink = KafkaSink(settings)
    await sink.start()
    try:
        await sink.send(messages=messages)
    finally:
        await sink.stop()


def view(event_id: str, user: str, item: str, **fields: Any) -> dict[str, Any]:
    return {"event_id": event_id, "type": "view", "ts": TS, "user_id": user, "item_id": item, **fields}


def keyed(key: bytes | None, body: dict[str, Any] | bytes | None, *headers: tuple[str, bytes]) -> Outgoing:
    value = json.dumps(body).encode() if isinstance(body, dict) else body
    return Outgoing("events", key, value, headers=headers)


def without(name: str) -> dict[str, Any]:
    return {field: value for field, value in view("x", "bad", "lamp").items() if field != name}


BAD: list[tuple[str, Outgoing]] = [
    ("malformed-json", keyed(b"bad", b'{"event_id": "x", "type"')),
    ("malformed-json", keyed(b"bad", b"")),
    ("malformed-json", keyed(b"bad", b"\xff\xfe\x00 no text at all")),
    ("malformed-json", keyed(b"bad", view("x", "bad", "lamp", price=float("nan")))),
    ("malformed-json", keyed(b"bad", b'{"context": ' + b"[" * 100_000)),
    ("not-an-object", keyed(b"bad", b"[1, 2, 3]")),
    ("missing-field", keyed(b"bad", without("item_id"))),
    ("missing-field", keyed(None, without("user_id"))),
    ("invalid-field", keyed(b"bad", view("x", "bad", "lamp", price="cheap"))),
    ("invalid-field", keyed(b"bad", view("x", "bad", "lamp", price=-1.0))),
    ("invalid-field", keyed(b"bad", view("x", "bad", "lamp", quantity=0))),
    ("invalid-field", keyed(b"", view("x", "", "lamp"))),
    ("invalid-field", keyed(b"bad", view("x", "bad", ""))),
    ("invalid-field", keyed(b"bad", view("x", "bad", "i" * 129))),
    ("invalid-field", keyed(b"bad", view("x", "bad", "la\0mp"))),
    ("invalid-field", keyed(b"bad", view("x", "bad", "lamp") | {"ts": "yesterday"})),
    ("unknown-type", keyed(b"bad", view("x", "bad", "lamp") | {"type": "gaze"})),
    ("unknown-type", keyed(b"ce", b'{"item_id": "lamp"}', ("ce_specversion", b"1.0"), ("ce_type", b"gaze"))),
    ("too-old", keyed(b"bad", view("x", "bad", "lamp") | {"ts": YEAR_1970})),
    ("from-the-future", keyed(b"bad", view("x", "bad", "lamp") | {"ts": YEAR_2100})),
    ("null-value", keyed(b"bad", None)),
    ("too-large", keyed(b"bad", view("x", "bad", "lamp", context={"text": "x" * 10_000_000}))),
    ("wrong-key", keyed(b"other", view("x", "bad", "lamp"), ("stream-rekeyed-from", b"0:0"))),
]
"""Every way to be refused, with the reason it is given."""

MISKEYED = [
    keyed(None, view("n1", "no-key", "lamp")),
    keyed(b"somebody-else", view("n2", "other-key", "desk")),
    keyed(b"", view("n3", "empty-key", "chair")),
]
"""Good events under a wrong key: written again under the right one, then counted."""

CLOUD_EVENT = keyed(
    b"cloud",
    b'{"item_id": "rug"}',
    ("ce_specversion", b"1.0"),
    ("ce_id", b"c1"),
    ("ce_type", b"com.shop.view"),
    ("ce_time", b"2025-10-09T08:53:20Z"),
    ("ce_subject", b"cloud"),
)


def good(first: int, shoppers: int, visit: str) -> list[Outgoing]:
    """Two views by each of some shoppers."""
    return [
        keyed(b"shopper-%d" % k, view(f"{visit}-{k}-{at}", f"shopper-{k}", ITEMS[(k + at) % len(ITEMS)]))
        for k in range(first, first + shoppers)
        for at in range(2)
    ]


async def test_whatever_is_wrong_goes_to_dead_letters_and_the_rest_gets_its_lists(worker: RealWorker):
    settings, before = worker.settings, worker.engine()
    fine = good(0, len(BAD), "fine")
    between = [message for k, (_, bad) in enumerate(BAD) for message in (bad, *fine[2 * k : 2 * k + 2])]
    sent = [*between, CLOUD_EVENT, *MISKEYED]
    counted = len(fine) + 1 + len(MISKEYED)
    await send(settings, sent)
    worker.wait_counted("events", before["events"] + counted)
    # Behind all that may still be refused, in each partition.
    last = [Outgoing("events", b"last-%d" % p, None, partition=p) for p in range(PARTITIONS)]
    await send(settings, last)
    reasons = Counter(reason for reason, _ in BAD) + Counter({"null-value": PARTITIONS})
    worker.wait_counted("records", before["records"] + len(sent) + len(MISKEYED) + PARTITIONS)

    engine = worker.engine()
    assert engine["refused"] == reasons
    assert engine["rekeyed"] == len(MISKEYED)
    # Nothing is lost: whatever is in the log, what was written again included, became one of three.
    assert engine["events"] - before["events"] == counted
    assert counted + reasons.total() + len(MISKEYED) == len(sent) + len(MISKEYED) + PARTITIONS
    log = await read_all(settings, "events")
    assert len(log) == engine["records"]

    def untouched(record: Any) -> tuple[Any, ...]:
        return record.key, record.value, tuple(h for h in record.headers if not h[0].startswith("stream-"))

    dead = await read_all(settings, "dead-letters")
    expected = Counter([(reason, *untouched(bad)) for reason, bad in BAD])
    expected += Counter([("null-value", *untouched(one)) for one in last])
    told = [(record, dict(record.headers)) for record in dead]
    assert Counter((headers["stream-error"].decode(), *untouched(r)) for r, headers in told) == expected
    places = {(b"%d" % r.partition, b"%d" % r.offset): r for r in log}
    for letter, headers in told:
        original = places[headers["stream-partition"], headers["stream-offset"]]
        assert (original.key, original.value) == (letter.key, letter.value)
        assert headers["stream-topic"].decode() == settings.topic("events")
        assert headers["stream-timestamp"] == b"%d" % original.timestamp
        assert headers["stream-message"]

    served = [f"shopper-{k}" for k in range(len(BAD))]
    for shopper in (*served, "cloud", "no-key", "other-key", "empty-key"):
        wait_until(partial(worker.has_list, shopper), f"a list for {shopper}")
    assert worker.value("recs", "bad") is None
    again = {r.key for r in log if "stream-rekeyed-from" in dict(r.headers)}
    assert again == {b"no-key", b"other-key", b"empty-key", b"other"}


async def test_an_id_that_everybody_shares_is_counted_and_kept_out_of_the_pairs(worker: RealWorker):
    before = worker.engine()
    crowd = [
        keyed(b"guest", view(f"guest-{k}", "guest", ITEMS[k % len(ITEMS)]))
        for k in range(CROWD_EVENTS_PER_HOUR + 10)
    ]
    await send(worker.settings, crowd)
    worker.wait_counted("events", before["events"] + len(crowd))
    assert worker.engine()["crowded"] - before["crowded"] == 10


async def test_lists_are_fresh_again_after_redis_was_emptied_and_after_it_was_away(
    worker: RealWorker, stack: Stack
):
    shoppers = [f"shopper-{k}" for k in range(100, 120)]

    def versions() -> dict[str, str]:
        """Version of each shopper's list, where there is one that is not empty."""
        lists = {who: worker.value("recs", who) for who in shoppers}
        return {who: found["version"] for who, found in lists.items() if found and found["items"]}

    async def visit(name: str) -> None:
        """Everybody looks at two things."""
        await send(worker.settings, good(100, len(shoppers), name))

    def wait_fresh(than: dict[str, str]) -> dict[str, str]:
        def newer() -> bool:
            now = versions()
            return all(now.get(who, "") > than.get(who, "") for who in shoppers)

        wait_until(newer, "everybody has a fresh list")
        return versions()

    before = worker.engine()
    await visit("first")
    first = wait_fresh({})
    worker.flush_redis()
    await visit("second")
    second = wait_fresh(first)
    stack.stop_redis()
    await visit("third")
    worker.wait_told("does not serve")
    stack.start_redis()
    wait_fresh(second)
    assert worker.told("answers again")
    worker.wait_counted("events", before["events"] + 3 * 2 * len(shoppers))
    now = worker.engine()
    assert now["records"] - before["records"] == now["events"] - before["events"] == 3 * 2 * len(shoppers)
    assert now["refused"] == before["refused"]
