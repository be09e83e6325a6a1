"""A rule that is written to its topic, and the lists that workers publish to Redis from then on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.errors import TopicError
from stream.runtime.compacted import latest
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.topics import prepare
from tests.integration.kit import (
    ROOT,
    environment,
    produce,
    read_all,
    real_worker,
    redis_call,
    settings_for,
)

PARTITIONS = 2
IN_FORCE_S = 1.0
"""How soon a rule that is in the topic is to be in force."""

ITEMS = [f"i{k}" for k in range(12)]


@pytest.fixture
async def settings(stack: Any, namespace: str) -> Settings:
    found = settings_for(stack, namespace, partitions=PARTITIONS)
    await prepare(found)
    return found


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """The log of a worker that is told to stop afterwards."""
    log = tmp_path / "worker.log"
    with real_worker(settings, log):
        yield log


def stream(settings: Settings, *arguments: str) -> tuple[int, str]:
    """One command; its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "stream", *arguments],
        cwd=ROOT,
        env=environment(settings, "none"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


class Shopper:
    """Looks at items, and waits for the list of each look."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.looks = 0

    async def look(self, *items: str) -> dict[str, Any]:
        """The first list that these looks lead to."""
        before = await self.published()
        rows: list[tuple[bytes | None, bytes | None, int | None]] = []
        for item in items:
            self.looks += 1
            told = {
                "event_id": f"look-{self.looks}",
                "type": "view",
                "user_id": self.name,
                "item_id": item,
                "ts": int(time.time() * 1000),
            }
            rows.append((self.name.encode(), json.dumps(told).encode(), None))
        await produce(self.settings, "events", rows)
        end = time.monotonic() + 30
        while (found := await self.published())["version"] == before["version"]:
            assert time.monotonic() < end, "no list came"
            await asyncio.sleep(0.01)
        return found

    async def published(self) -> dict[str, Any]:
        value = await redis_call(self.settings, "GET", f"{self.settings.prefix}:v1:recs:{{{self.name}}}")
        return json.loads(value) if value else {"version": "", "items": []}


async def test_lists_of_scenarios_lie_under_keys_of_their_own(settings: Settings, worker: Path):
    await Shopper(settings, "ben").look(*ITEMS)
    await Shopper(settings, "anna").look(*ITEMS[:3])
    told = {
        "event_id": "c1",
        "type": "cart",
        "user_id": "anna",
        "item_id": "i5",
        "ts": int(time.time() * 1000),
    }
    await produce(settings, "events", [(b"anna", json.dumps(told).encode(), None)])

    async def published(kind: str, of: str) -> dict[str, Any]:
        key, end = f"{settings.prefix}:v1:{kind}:{{{of}}}", time.monotonic() + 30
        while (value := await redis_call(settings, "GET", key)) is None:
            assert time.monotonic() < end, f"{key} did not come"
            await asyncio.sleep(0.05)
        return dict(json.loads(value))

    cart, page = await published("recs-cart", "anna"), await published("recs-product", "i5")
    assert "i5" not in cart["items"]
    assert {"i4", "i6"} <= set(page["items"])
    code, said = await asyncio.to_thread(stream, settings, "recs", "anna", "--scenario", "cart", "--json")
    assert (code, [each["id"] for each in json.loads(said)["items"]]) == (0, cart["items"])
    code, said = await asyncio.to_thread(stream, settings, "rebuild", "--json")
    assert code == 0, said


async def test_a_rule_is_in_force_within_a_second(settings: Settings, worker: Path, tmp_path: Path):
    facts = [
        (item.encode(), json.dumps({"item_id": item, "brand": "Acme" if k % 3 else "Bolt"}).encode(), None)
        for k, item in enumerate(ITEMS)
    ]
    await produce(settings, "items", facts)
    ben = Shopper(settings, "ben")
    await ben.look(*ITEMS)
    shopper = Shopper(settings, "anna")
    for item in ITEMS:
        await shopper.look(item)
    before = await shopper.look("i0")
    assert {"i3", "i6"} <= set(before["items"]) & set((await ben.look("i1"))["items"])

    rules: dict[str, object] = {"no-bolt": {"kind": "exclude", "where": {"attribute": "brand", "is": "Bolt"}}}
    rules["first"] = {"kind": "pin", "item": "i7", "position": 1}
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    code, said = stream(settings, "rules", "put", str(tmp_path / "rules.json"))
    assert (code, said) == (0, "Put first, no-bolt.\n")
    await asyncio.sleep(IN_FORCE_S)
    # Also in the lists of who does nothing just now, and of what sells out.
    assert not {"i0", "i3", "i6", "i9"} & set((await ben.published())["items"])
    assert "i2" in (await ben.published())["items"]
    await produce(settings, "items", [(b"i2", b'{"item_id":"i2","stock":0}', None)])
    await asyncio.sleep(IN_FORCE_S)
    assert "i2" not in (await ben.published())["items"]
    under = await shopper.look("i1")
    assert under["items"]
    assert (under["items"][0], under["reasons"][0]) == ("i7", "pinned")
    assert not {"i0", "i3", "i6", "i9"} & set(under["items"])

    # A rule that cannot be used is told of in the log, and the one before stays.
    await produce(settings, "rules", [(b"no-bolt", b'{"kind":"exclude"}', None)])
    await asyncio.sleep(IN_FORCE_S)
    assert not {"i0", "i3", "i6", "i9"} & set((await shopper.look("i2"))["items"])
    assert "The rule 'no-bolt' is refused: " in worker.read_text()

    assert stream(settings, "rules", "remove", "no-bolt", "first")[0] == 0
    await produce(settings, "items", [(b"i2", b'{"item_id":"i2"}', None)])
    await asyncio.sleep(IN_FORCE_S)
    after = await shopper.look("i0")
    assert set(after["items"]) == set(before["items"])
    assert stream(settings, "rules", "list") == (0, "There are no rules.\n")


async def test_rules_are_put_whole_or_not_at_all_and_listed(settings: Settings, tmp_path: Path):
    file = tmp_path / "rules.json"
    file.write_text('{"good": {"kind": "hide", "item": "a"}, "bad": {"kind": "boost"}}')
    code, said = stream(settings, "rules", "put", str(file))
    assert code == 2
    assert said.startswith("error: The rule 'bad' in ")
    assert "missing required field `where`" in said
    assert await read_all(settings, "rules") == []
    rules = {"r": {"kind": "exclude", "where": {"attribute": "colour", "is": "red"}}}
    file.write_text(json.dumps(rules))
    code, said = stream(settings, "rules", "put", str(file))
    assert code == 2
    assert "names the attribute 'colour', which no item of the catalogue has; allowed are age_days, " in said
    assert await read_all(settings, "rules") == []
    await produce(settings, "items", [(b"x", b'{"item_id":"x","attributes":{"colour":"red"}}', None)])
    assert stream(settings, "rules", "put", str(file), "--json") == (0, '{"put": ["r"]}\n')
    code, said = stream(settings, "rules", "list", "--json")
    assert (code, json.loads(said)) == (0, {"rules": rules})


async def test_a_topic_that_an_older_version_did_not_make_is_named_with_the_way_out(
    stack: Any, namespace: str
):
    settings = settings_for(stack, namespace)
    async with LogReader(settings) as reader:
        with pytest.raises(TopicError, match=r"no topic .*rules: `stream topics create` creates"):
            await latest(settings, reader, ["rules"])
