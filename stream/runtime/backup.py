"""A backup: everything that cannot be made again from anywhere else, as of one moment, in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from faust.types import TP

from stream.engine import Engine
from stream.errors import StateError
from stream.items.row import BUCKETS
from stream.items.unit import ItemUnit
from stream.runtime.archive import LAYOUT, ArchiveWriter, Head, Place, Rows, Saved
from stream.runtime.bystander import catch_up, restore
from stream.runtime.clock import now_ms
from stream.runtime.compacted import latest
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.stages import state_stages
from stream.runtime.topics import EVENTS, KEPT
from stream.saving import whole
from stream.shoppers.unit import ShopperUnit

Told = Callable[[int, int], None]
"""Hears how much is done, of how much."""
Unit = ItemUnit | ShopperUnit


async def dump(settings: Settings, engine: Engine, path: Path, told: Told) -> dict[str, Any]:
    """Write the state of all events that are in the log now to `path`; a summary.

    `engine` is new, and holds everything at once. Workers may go on meanwhile. Raises `StateError` when there
    is no state, or the file cannot be written.
    """
    with ArchiveWriter(path) as archive:
        offsets = await catch_up(settings, engine, await restore(settings, engine))
        async with LogReader(settings) as reader:
            topics = await latest(settings, reader, KEPT)
        units: list[Unit] = [*engine.item_units.values(), *engine.shopper_units.values()]
        _refuse_holes(engine)
        archive.write(_head(settings, engine, offsets))
        for topic, rows in topics.items():
            for frame in Rows.frames(topic, rows.items()):
                archive.write(frame)
        for saved in saved_of(units, told):
            archive.write(saved)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": archive.sha256,
        "partitions": settings.partitions,
        "shoppers": sum(len(unit) for unit in engine.shopper_units.values()),
        "items": sum(int(unit.bucket_size.sum()) for unit in engine.item_units.values()),
        "topics": {topic: len(rows) for topic, rows in topics.items()},
        "offsets": {
            str(tp.partition): at for tp, at in offsets.items() if tp.topic == settings.topic(EVENTS)
        },
    }


def saved_of(units: Sequence[Unit], told: Told) -> Iterator[Saved]:
    """Every bucket of these units, as they are now."""
    for done, unit in enumerate(units):
        for bucket, message in enumerate(whole(unit)):
            yield Saved(unit.stage, unit.partition, bucket, message.value)
            told(done * BUCKETS + bucket + 1, len(units) * BUCKETS)


def _head(settings: Settings, engine: Engine, offsets: Mapping[TP, int]) -> Head:
    places = []
    for stage in state_stages(engine):
        units: Mapping[int, Unit] = engine.item_units if stage.name == "items" else engine.shopper_units
        for partition, unit in units.items():
            offset = offsets[TP(settings.topic(stage.topic), partition)]
            places.append(Place(stage.name, partition, unit.lineage_ms, offset))
    return Head(LAYOUT, now_ms(), settings.namespace, settings.group, settings.partitions, places)


def _refuse_holes(engine: Engine) -> None:
    """What the items hold must come of events that the shoppers hold."""
    for unit in engine.item_units.values():
        for source, upto in unit.watermark.items():
            if upto > engine.shopper_units[source].position:
                raise StateError(
                    f"The items hold events-{source} up to {upto} and that log ends before: it was cut or "
                    "made anew, so there is no whole state to save."
                )
