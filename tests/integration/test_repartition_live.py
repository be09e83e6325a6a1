"""A shop that moves to another number of partitions: the whole procedure, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from stream.engine import Engine
from stream.events.types import AnyEvent
from stream.runtime.bystander import catch_up, restore
from stream.runtime.settings import Settings
from tests.integration.kit import produce
from tests.integration.test_cli_live import Cli
from tests.integration.test_golden import CONFIG, PARTITIONS, assert_same_counts, counts, rows, shop_log
from tests.integration.test_state_live import MakeFleet, in_process, make_fleet, shoppers

pytestmark = pytest.mark.long

__all__ = ["make_fleet"]


def by_key(events: list[AnyEvent]) -> list[tuple[bytes | None, bytes | None, int | None]]:
    """Where the default partitioner puts them."""
    return [(event.user_id.encode(), msgspec.json.encode(event), None) for event in events]


async def state_of(settings: Settings) -> Engine:
    engine = Engine(replace(CONFIG, item_partitions=settings.partitions))
    await catch_up(settings, engine, await restore(settings, engine))
    return engine


def states(engine: Engine) -> dict[str, dict]:
    """Of all shoppers, wherever they lie."""
    found = {name: msgspec.to_builtins(state) for name, state in shoppers(engine).items()}
    return {name: state | {"partition": 0} for name, state in found.items()}


@pytest.mark.parametrize("to", [8, 3])
async def test_a_shop_that_moves_to_other_partitions_counts_what_one_that_stays_counts(
    make_fleet: MakeFleet, tmp_path: Path, to: int
):
    events = shop_log()
    read, left, rest = events[:350], events[350:400], events[400:]
    old = make_fleet("old")
    old.start(1)
    await produce(old.settings, "events", rows(read))
    old.wait_applied(len(read))
    old.stop()
    # What no worker has read any more goes along.
    await produce(old.settings, "events", rows(left))
    before, after = tmp_path / "before.backup", tmp_path / "after.backup"
    cli = Cli(old.settings)
    assert cli("state", "dump", str(before))[0] == 0
    code, told, err = cli.here("state", "repartition", str(before), str(after), "--to", str(to))
    assert (code, err) == (0, "")
    assert told["shoppers"] == len({event.user_id for event in events[:400]})
    assert (told["partitions"], told["seen_ids_forgotten"]) == ({"before": PARTITIONS, "after": to}, 0)

    settings = make_fleet("new").settings.model_copy(update={"partitions": to})
    new = Cli(settings)
    code, _, err = new.here("state", "load", str(before))
    assert (code, f"repartition {before} --to {to}" in err) == (2, True)
    # Producers have moved on already.
    assert new.here("topics", "create")[0] == 0
    await produce(settings, "events", by_key(rest[:100]))
    code, told, err = new.here("state", "load", str(after), "--from-beginning")
    assert (code, told["partitions"]) == (0, to), err
    await produce(settings, "events", by_key([*rest[100:], *events[:20]]))
    expected, engine = in_process(events), await state_of(settings)
    assert_same_counts(counts(expected), counts(engine))
    assert states(expected) == states(engine)
    assert engine.metrics.duplicates == 20


async def test_a_move_that_would_leave_events_behind_is_refused(make_fleet: MakeFleet, tmp_path: Path):
    events = shop_log()[:100]
    old = make_fleet("old")
    old.start(1)
    await produce(old.settings, "events", rows(events[:80]))
    old.wait_applied(80)
    before, after = tmp_path / "before.backup", tmp_path / "after.backup"
    cli = Cli(old.settings)
    assert cli.here("state", "dump", str(before))[0] == 0
    assert cli.here("state", "repartition", str(before), str(after), "--to", "6")[0] == 0
    settings = make_fleet("new").settings.model_copy(update={"partitions": 6})
    new = Cli(settings)
    code, _, err = new.here("state", "load", str(after))
    assert (code, f"{old.settings.group} still has members" in err) == (2, True)
    old.stop()
    await produce(old.settings, "events", rows(events[80:]))
    code, _, err = new.here("state", "load", str(after))
    assert (code, "20 records reached" in err, err.count("\n")) == (2, True, 1)
    for args, said in (
        ((before, after, "--to", "4"), "is of 4 partitions already"),
        ((before, before, "--to", "6"), "is the backup that is read"),
        ((tmp_path / "none", after, "--to", "6"), "cannot be read"),
    ):
        code, _, err = cli.here("state", "repartition", *map(str, args))
        assert (code, said in err) == (2, True), err
    assert cli.here("state", "dump", str(before))[0] == 0
    assert cli.here("state", "repartition", str(before), str(after), "--to", "6")[0] == 0
    assert new.here("state", "load", str(after))[0] == 0
    assert_same_counts(counts(in_process(events)), counts(await state_of(settings)))
