"""State on a real Kafka: looked at, backed up, brought back elsewhere, and Redis filled again from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from faust.types import TP

from stream.effects import Values, version
from stream.engine import Engine
from stream.errors import StateError
from stream.events.decode import to_ms
from stream.events.records import LogRecord
from stream.events.types import AnyEvent, Identify
from stream.items.row import BUCKETS
from stream.local import Stack
from stream.pipeline import Pipeline
from stream.runtime.bystander import catch_up, restore
from stream.runtime.redis_sink import RedisSink
from stream.runtime.seed import commit
from stream.runtime.settings import Settings
from stream.shoppers.describe import ShopperState, describe, shoppers_of
from stream.values import key_of
from tests.integration.kit import committed, produce, read_all, settings_for
from tests.integration.test_cli_live import Cli
from tests.integration.test_golden import (
    CONFIG,
    PARTITIONS,
    Fleet,
    as_list,
    assert_same_counts,
    counts,
    partition_of,
    pings,
    rows,
    shop_log,
)

MakeFleet = Callable[..., Fleet]
Row = tuple[bytes | None, bytes | None, int | None]


@pytest.fixture
def make_fleet(stack: Stack, namespace: str, tmp_path: Path) -> Iterator[MakeFleet]:
    """Worker processes on a namespace of a name; those that still run are ended."""
    made: list[Fleet] = []
    with redis.Redis.from_url(stack.redis_url) as reads:

        def make(name: str, **changes: float) -> Fleet:
            settings = settings_for(stack, f"{namespace}{name}-", partitions=PARTITIONS, **changes)
            (tmp_path / name).mkdir(exist_ok=True)
            made.append(Fleet(settings, tmp_path / name, reads))
            return made[-1]

        yield make
        for process in (process for fleet in made for process in fleet.processes):
            if process.poll() is None:
                process.kill()
                process.wait()


def shoppers(engine: Engine) -> dict[str, ShopperState]:
    found = [
        describe(unit, number)
        for unit in engine.shopper_units.values()
        for number in shoppers_of(unit).tolist()
    ]
    return {state.user_id: state for state in found}


async def state_of(settings: Settings) -> Engine:
    engine = Engine(CONFIG)
    await restore(settings, engine)
    return engine


def in_process(events: list[AnyEvent]) -> Engine:
    """The same log without Kafka."""
    pipeline, offsets = Pipeline(CONFIG, partitions=PARTITIONS), [0] * PARTITIONS
    for event in events:
        partition, ts, key = partition_of(event.user_id), to_ms(event.ts), event.user_id.encode()
        record = LogRecord(offsets[partition], ts, key, msgspec.json.encode(event))
        offsets[partition] += 1
        pipeline.push([record], ts, partition)
    return pipeline.engine


@pytest.mark.parametrize(
    ("killed", "rows_saved_per_event"), [(False, 10_000.0), (True, 10_000.0), (True, 0.0)]
)
async def test_a_run_by_way_of_a_backup_counts_what_one_without_it_counts(
    make_fleet: MakeFleet, tmp_path: Path, killed: bool, rows_saved_per_event: float
):
    events = shop_log()
    read, unread, rest = events[:250], events[250:400], events[400:]
    old = make_fleet("old", rows_saved_per_event=rows_saved_per_event)
    old.start(1)
    await produce(old.settings, "items", [(b"lamp", b'{"item_id":"lamp","category":"light"}', None)])
    await produce(old.settings, "events", rows(read))
    old.wait_applied(len(read))
    # The last of them under no key, which a worker would write again where it belongs.
    *keyed, (_, value, partition) = rows(unread)
    assert partition is not None
    if killed:
        # While it works on the next events, however far it gets.
        await produce(old.settings, "events", keyed)
        old.processes[0].kill()
        old.processes[0].wait()
    else:
        old.stop()
        await produce(old.settings, "events", keyed)
    await produce(old.settings, "events", [(None, value, (partition + 1) % PARTITIONS)])
    file = tmp_path / "shop.backup"
    code, told, err = Cli(old.settings)("state", "dump", str(file))
    assert (code, err) == (0, "")
    assert told["bytes"] == file.stat().st_size
    assert told["shoppers"] == len({event.user_id for event in (*read, *unread)})
    assert not list(tmp_path.glob("*.part"))

    new = make_fleet("new", rows_saved_per_event=rows_saved_per_event)
    code, told, err = Cli(new.settings)("state", "load", str(file))
    assert (code, err) == (0, "")
    assert told["buckets"] == 2 * PARTITIONS * BUCKETS
    assert [record.key for record in await read_all(new.settings, "items")] == [b"lamp"]
    new.start(1)
    await produce(new.settings, "events", rows(rest))
    new.wait_applied(len(rest))
    assert sum(status["engine"]["holes"] for status in new.statuses()) == 0
    new.stop()
    expected, engine = in_process(events), await state_of(new.settings)
    assert_same_counts(counts(expected), counts(engine))
    assert shoppers(expected) == shoppers(engine)
    lineages = {unit.lineage_ms for unit in engine.shopper_units.values()}
    assert lineages == {unit.lineage_ms for unit in engine.item_units.values()} == {told["lineage_ms"]}
    assert told["lineage_ms"] > max(
        unit.lineage_ms for unit in (await state_of(old.settings)).shopper_units.values()
    )


async def test_a_backup_is_written_while_workers_go_on(make_fleet: MakeFleet, tmp_path: Path):
    # Without the login: what follows from one may lie behind the backup's offsets, and is not in it then.
    events: list[AnyEvent] = [event for event in shop_log() if not isinstance(event, Identify)]
    old = make_fleet("old")
    old.start(2)
    await produce(old.settings, "events", rows(events[:300]))
    old.wait_applied(300)
    file = tmp_path / "shop.backup"
    going_on = asyncio.create_task(_slowly(old.settings, rows(events[300:])))
    code, told, err = await asyncio.to_thread(Cli(old.settings), "state", "dump", str(file))
    assert (code, err) == (0, "")
    await going_on
    held = sum(told["offsets"].values())
    new = make_fleet("new")
    assert Cli(new.settings)("state", "load", str(file))[0] == 0
    engine = await state_of(new.settings)
    # Of every partition what lies before its offset: what items and shoppers hold fits together.
    logged = [
        record.value
        for record in await read_all(old.settings, "events")
        if record.offset < told["offsets"][str(record.partition)]
    ]
    assert len(logged) == held
    counted = [event for event in events if msgspec.json.encode(event) in logged]
    assert 300 <= len(counted) <= held
    expected = in_process(counted)
    assert_same_counts(counts(expected), counts(engine))
    assert shoppers(expected) == shoppers(engine)
    old.stop()


async def _slowly(settings: Settings, left: list[Row]) -> None:
    for at in range(0, len(left), 20):
        await produce(settings, "events", left[at : at + 20])
        await asyncio.sleep(0.2)


async def test_what_cannot_be_loaded_is_refused_in_one_sentence(make_fleet: MakeFleet, tmp_path: Path):
    events = shop_log()[:100]
    fleet = make_fleet("old")
    cli, file = Cli(fleet.settings), tmp_path / "shop.backup"
    assert cli.here("topics", "create")[0] == 0
    code, _, err = cli.here("state", "dump", str(file))
    assert (code, "has committed nothing" in err) == (2, True)
    assert list(tmp_path.glob("shop*")) == []
    fleet.start(1)
    await produce(fleet.settings, "items", [(b"lamp", b'{"item_id":"lamp","stock":0}', None)])
    await produce(fleet.settings, "events", rows(events))
    fleet.wait_applied(len(events))
    assert cli.here("state", "dump", str(file))[0] == 0
    code, _, err = cli.here("state", "load", str(file))
    assert (code, "has members: stop its workers" in err) == (2, True)
    # Nor does a worker that starts in the middle of a load lose its offsets to it.
    before = await committed(fleet.settings, "events")
    with pytest.raises(StateError, match="has members"):
        await commit(fleet.settings, {TP(fleet.settings.topic("events"), 0): 0}, 1)
    assert await committed(fleet.settings, "events") == before
    fleet.stop()
    code, _, err = cli.here("state", "load", str(file))
    assert (code, "has state of its own" in err) == (2, True)
    code, _, err = Cli(make_fleet("odd").settings.model_copy(update={"partitions": 3})).here(
        "state", "load", str(file)
    )
    assert (code, f"set STREAM_PARTITIONS={PARTITIONS}" in err) == (2, True)
    cut = tmp_path / "cut.backup"
    cut.write_bytes(file.read_bytes()[:-1])
    code, _, err = Cli(make_fleet("odd").settings).here("state", "load", str(cut))
    assert (code, "SHA-256" in err) == (2, True)

    new = make_fleet("new")
    assert Cli(new.settings).here("topics", "create")[0] == 0
    await produce(new.settings, "items", [(b"lamp", b'{"item_id":"lamp"}', None)])
    fresh = shop_log()[100:130]
    await produce(new.settings, "events", rows(fresh))
    code, _, err = Cli(new.settings).here("state", "load", str(file))
    assert (code, "holds 30 records" in err and "--from-beginning" in err) == (2, True)
    assert await committed(new.settings, "events") == {}
    assert Cli(new.settings).here("state", "load", str(file), "--from-beginning")[0] == 0
    told_twice = [record.value for record in await read_all(new.settings, "items")]
    assert told_twice == [b'{"item_id":"lamp"}'], "what the shop has told since stays"
    engine, expected = Engine(CONFIG), in_process([*events, *fresh])
    await catch_up(new.settings, engine, await restore(new.settings, engine))
    assert_same_counts(counts(expected), counts(engine))
    assert shoppers(expected) == shoppers(engine)


async def test_one_shopper_or_item_is_shown_and_redis_filled_again(make_fleet: MakeFleet):
    events = shop_log()[:300]
    fleet = make_fleet("shop")
    settings, reads, cli = fleet.settings, fleet.reads, Cli(fleet.settings)
    fleet.start(1)
    # One of them where Kafka's partitioner would not put it: that is the producer's choice.
    *others, stray = rows(events)
    assert stray[2] is not None
    elsewhere = (stray[2] + 1) % PARTITIONS
    name = b"stray-shopper"
    value = (stray[1] or b"").replace(stray[0] or b"", name)
    await produce(settings, "events", [*others, (name, value, elsewhere)])
    fleet.wait_quiet(len(events))

    engine = in_process(events[:-1])
    told = cli("state", "inspect", events[0].user_id)[1]
    assert told.pop("next_offset") > 0
    assert told == msgspec.to_builtins(shoppers(engine)[events[0].user_id])
    assert cli.here("state", "inspect", name.decode())[1]["partition"] in {
        elsewhere,
        partition_of(name.decode()),
    }
    code, told, err = cli.here("state", "inspect", "nobody")
    assert (code, told) == (1, {})
    assert err.startswith("The state holds nothing of shopper nobody")
    item = next(event.item_id for event in events if event.item_id)
    told = cli.here("state", "inspect", "--item", item)[1]
    assert told["views"] == counts(engine)[item.encode()][0][0]
    assert told["neighbours"]["viewed"]
    assert cli.here("state", "inspect", "--item", "nothing")[0] == 1
    code, told, _ = cli.here("explain", events[0].user_id, item)
    assert (code, told["user_id"], told["item_id"]) == (0, events[0].user_id, item)
    assert (told["place"] is None) == bool(told["why"])
    listed = cli.here("explain", events[0].user_id, told["items"][0])[1]
    assert (listed["place"], listed["why"]) == (1, None)
    assert cli.here("explain", "nobody", item)[0] == cli.here("explain", events[0].user_id, "nothing")[0] == 1
    assert cli.here("state", "inspect")[0] == 2

    # Redis loses everything.
    def keys(kind: str) -> dict[bytes, bytes]:
        pattern = key_of(settings.prefix, kind, "*")
        found: list[bytes] = list(reads.scan_iter(pattern, count=1000))
        values: list[Any] = reads.mget(found)
        return dict(zip(found, values, strict=True))

    kinds = ("recs", "similar", "together", "trending")
    before = {kind: keys(kind) for kind in kinds}
    assert all(before.values())
    for found in before.values():
        reads.delete(*found)
    # A worker has written a newer list before ours comes, and one that was frozen an older price.
    newest = max(unit.lineage_ms for unit in (await state_of(settings)).shopper_units.values())
    live = b'{"version":"%s"}' % version(newest, 1 << 40)
    sink = RedisSink(settings.redis_url, settings.prefix, settings.ttl_s)
    await sink.start()
    await sink.write([Values.of("recs", [events[0].user_id.encode()], [live])])
    await sink.stop()
    priced = [
        b'{"version":"%s","price":%d}' % (version(newest, position), position) for position in (5, 9, 7)
    ]
    await produce(settings, "prices", [(b"lamp", price, None) for price in priced])
    code, told, err = cli("rebuild", "--per-s", "100000", "--days", "1000")
    assert (code, err) == (0, "")
    assert told["newer_there"] == 1
    assert reads.get(key_of(settings.prefix, "price", "lamp")) == priced[1]
    assert reads.get(key_of(settings.prefix, "recs", events[0].user_id)) == live
    for kind in kinds:
        assert keys(kind).keys() >= before[kind].keys(), kind
    for key, value in before["similar"].items():
        assert as_list(keys("similar")[key]) == pytest.approx(as_list(value), abs=2e-5)
    # Only lists of those who were seen of late are asked for, and slowly.
    held = shoppers(await state_of(settings)).values()
    clock_ms = max(state.last_ts_ms for state in held)
    half_ms = clock_ms - sorted(state.last_ts_ms for state in held)[len(held) // 2]
    told = cli.here("rebuild", "--days", str(half_ms / 86_400_000), "--per-s", "400")[1]
    assert told["recs"] == sum(state.last_ts_ms >= clock_ms - half_ms for state in held) < len(held)
    assert told["written"] / told["seconds"] <= 400 * 1.01
    # What the worker makes from now on is newer than what was filled in.
    asked = pings(events)
    filled = keys("recs")
    await produce(settings, "events", rows(asked))
    fleet.wait_quiet(len(events) + len(asked))
    after = keys("recs")
    for event in asked:
        key = key_of(settings.prefix, "recs", event.user_id).encode()
        if event.user_id != events[0].user_id:
            assert json.loads(after[key])["version"] > json.loads(filled[key])["version"]
    fleet.stop()
