"""A shop's history from a file, live events from Kafka, and an overlap that counts once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from stream.engine import Engine
from stream.events.decode import to_ms
from stream.events.types import AnyEvent
from stream.runtime.bystander import catch_up, restore
from stream.runtime.settings import Settings
from stream.values import key_of
from tests.integration.kit import committed, produce, read_all
from tests.integration.test_cli_live import Cli
from tests.integration.test_golden import CONFIG, Fleet, assert_same_counts, counts, fleet, rows, shop_log
from tests.integration.test_state_live import in_process, shoppers

pytestmark = pytest.mark.long

__all__ = ["fleet"]


def written(path: Path, events: list[AnyEvent], *more: bytes) -> Path:
    path.write_bytes(b"\n".join([*map(msgspec.json.encode, events), *more]))
    return path


async def state_of(settings: Settings) -> Engine:
    """What a worker would have counted when it had read all that is there."""
    engine = Engine(CONFIG)
    await catch_up(settings, engine, await restore(settings, engine))
    return engine


def renamed(events: list[AnyEvent]) -> list[AnyEvent]:
    """The same events as another export names them."""
    return [msgspec.structs.replace(event, event_id=f"row-{n}") for n, event in enumerate(events)]


async def test_history_and_live_events_overlap_and_count_once(fleet: Fleet, tmp_path: Path):
    events = shop_log()
    past, live, rest = events[:400], events[300:450], events[450:]
    settings, cli = fleet.settings, Cli(fleet.settings)
    assert cli("topics", "create")[0] == 0
    # One of the overlap under no key, which a worker writes again where it belongs.
    unkeyed = past[-1]
    live.remove(unkeyed)
    ((_, value, partition),) = rows([unkeyed])
    await produce(settings, "events", [(None, value, partition), *rows(live)])
    await produce(settings, "events", [(b"u", b"no event", 0)])
    await produce(settings, "items", [(b"lamp", b'{"item_id":"lamp","stock":7}', None)])
    bad = b'{"type":"view","user_id":"u"}'
    facts = [b'{"type":"item","item_id":"%s","stock":1}' % name for name in (b"lamp", b"desk")]
    file = written(tmp_path / "past.jsonl", past, bad, *facts)
    code, told, err = cli.here("bootstrap", str(file), "--format", "jsonl")
    assert (code, err.count("\n")) == (0, 1), err
    assert told["events"] == 300
    assert told["left_to_log"] == {"same_id": 100, "after_until": 0}
    assert (told["log_events"], told["items"], told["refused"]) == (150, 2, {"missing-field": 1})
    (dead,) = await read_all(settings, "dead-letters")
    assert (dead.value, dict(dead.headers)["stream-topic"]) == (bad, b"past.jsonl")
    # What the shop has told live stays.
    told_items = {record.key: record.value for record in await read_all(settings, "items")}
    assert told_items == {b"lamp": b'{"item_id":"lamp","stock":7}', b"desk": b'{"item_id":"desk","stock":1}'}

    # Everybody in the history can be given a list before a worker has ever run.
    code, filled, err = cli.here("rebuild", "--days", "1000", "--per-s", "100000")
    assert (code, filled["recs"]) == (0, len({event.user_id for event in events[:300]})), err
    assert all(fleet.reads.get(key_of(settings.prefix, "recs", event.user_id)) for event in past[:300])

    fleet.start(1)
    fleet.wait_applied(150)
    await produce(settings, "events", rows(rest))
    fleet.wait_applied(len(events) - 300)
    # A retry of what only the file held.
    await produce(settings, "events", rows(events[290:300]))
    fleet.wait_quiet(len(events) - 300)
    assert sum(status["engine"]["duplicates"] for status in fleet.statuses()) == 10
    assert sum(status["engine"]["holes"] for status in fleet.statuses()) == 0
    fleet.stop()
    expected = in_process([*past[:300], *live, unkeyed, *rest])
    engine = await state_of(settings)
    assert_same_counts(counts(expected), counts(engine))
    assert shoppers(expected) == shoppers(engine)


async def test_a_file_with_ids_of_its_own_is_cut_at_a_time(fleet: Fleet, tmp_path: Path):
    events = shop_log()
    settings, cli = fleet.settings, Cli(fleet.settings)
    cut_ms = to_ms(events[300].ts)
    before = [event for event in events if to_ms(event.ts) < cut_ms]
    assert cli.here("topics", "create")[0] == 0
    # The log's own times are those of today: let the shop be of tomorrow.
    ahead_ms = int(datetime.now(UTC).timestamp() * 1000) - cut_ms + 60_000
    events = [msgspec.structs.replace(event, ts=to_ms(event.ts) + ahead_ms) for event in events]
    live = [event for event in events if to_ms(event.ts) >= cut_ms + ahead_ms][:50]
    first = [msgspec.structs.replace(event, event_id=f"live-{n}") for n, event in enumerate(live)]
    await produce(settings, "events", rows(first))
    file = written(tmp_path / "export.jsonl", renamed(events[:360]))
    settings_ahead = {"STREAM_MAX_AHEAD_S": "1e8"}
    cli.environment |= settings_ahead
    code, told, err = cli.here("bootstrap", str(file), "--format", "jsonl")
    assert (code, told) == (2, {})
    assert "60 events of export.jsonl are no older than the first record" in err
    assert "--until 20" in err
    assert await committed(settings, "events") == {}
    assert await read_all(settings, "shopper-state") == []
    assert cli.here("bootstrap", str(file), "--format", "jsonl", "--until", "soon")[0] == 2
    code, told, err = cli.here("bootstrap", str(file), "--format", "jsonl", "--until", str(cut_ms + ahead_ms))
    assert code == 0, err
    assert told["events"] == len(before) == 300
    assert told["left_to_log"] == {"same_id": 0, "after_until": 60}


async def test_where_there_is_state_or_a_worker_nothing_is_changed(fleet: Fleet, tmp_path: Path):
    events = shop_log()[:100]
    settings, cli = fleet.settings, Cli(fleet.settings)
    file = written(tmp_path / "past.jsonl", events[:50])
    code, _, err = cli.here("bootstrap", str(tmp_path / "none.jsonl"), "--format", "jsonl")
    assert (code, "There is no file" in err) == (2, True)
    fleet.start(1)
    code, _, err = cli.here("bootstrap", str(file), "--format", "jsonl")
    assert (code, "has members: stop its workers" in err) == (2, True)
    await produce(settings, "events", rows(events[50:]))
    fleet.wait_applied(50)
    fleet.stop()
    before = await committed(settings, "events"), len(await read_all(settings, "shopper-state"))
    code, _, err = cli.here("bootstrap", str(file), "--format", "jsonl")
    assert (code, "has state of its own" in err, err.count("\n")) == (2, True, 1)
    assert (await committed(settings, "events"), len(await read_all(settings, "shopper-state"))) == before
    # The way out: a group of its own reads the log from its beginning, on top of the file.
    other = settings.model_copy(update={"group": f"{settings.group}2"})
    code, told, err = Cli(other)("bootstrap", str(file), "--format", "jsonl")
    assert (code, told["events"], told["log_events"]) == (0, 50, 50), err
    assert_same_counts(counts(in_process(events)), counts(await state_of(other)))
    other_partitions = Cli(settings.model_copy(update={"group": "third", "partitions": 5}))
    code, _, err = other_partitions("bootstrap", str(file), "--format", "jsonl")
    assert (code, "STREAM_PARTITIONS=4" in err) == (2, True)


async def test_a_file_of_which_nothing_can_be_used_leaves_no_state(fleet: Fleet, tmp_path: Path):
    file = written(tmp_path / "wrong.jsonl", [], b"{}", b"[]")
    code, told, err = Cli(fleet.settings)("bootstrap", str(file), "--format", "jsonl")
    assert (code, told["dead_letters"]) == (1, 2)
    assert "Not one row of" in err
    assert await committed(fleet.settings, "events") == {}
    assert len(await read_all(fleet.settings, "dead-letters")) == 2
