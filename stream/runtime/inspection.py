"""One shopper or one item in the durable state: only the partitions that matter are restored, and of a list
all that it is made from."""

from __future__ import annotations

from faust.types import TP

from stream.engine import Engine
from stream.explanation import Explained, explain
from stream.items.describe import ItemState
from stream.items.describe import describe as describe_item
from stream.runtime.bystander import inform, restore
from stream.runtime.clock import now_ms
from stream.runtime.kafka_sink import partition_of
from stream.runtime.settings import Settings
from stream.runtime.topics import EVENTS, ITEM_UPDATES
from stream.shoppers.describe import ShopperState
from stream.shoppers.describe import describe as describe_shopper


async def shopper_state(settings: Settings, engine: Engine, user_id: str) -> tuple[ShopperState, int] | None:
    """What is held of a shopper, and the offset up to which events of the partition are in it.

    None if nobody holds any event of theirs. Raises `StateError` as `restore`.
    """
    found = await _find(settings, engine, user_id.encode())
    if found is None:
        return None
    partition, number, offset = found
    return describe_shopper(engine.shopper_units[partition], number), offset


async def explanation(
    settings: Settings, engine: Engine, user_id: str, item_id: str
) -> tuple[Explained, int] | None:
    """As `shopper_state`, why the item is in the shopper's list, or not.

    All items are restored, whose neighbours may all matter. What a worker hears of popularity between two
    seconds is not in the state, so scores may differ a little from those of a worker that runs.
    """
    await inform(settings, engine)
    found = await _find(settings, engine, user_id.encode())
    if found is None:
        return None
    partition, _, offset = found
    every = [TP(settings.topic(ITEM_UPDATES), p) for p in range(settings.partitions)]
    await restore(settings, engine, every)
    told = explain(engine, partition, user_id, item_id, now_ms())
    return (told, offset) if told is not None else None


async def _find(settings: Settings, engine: Engine, name: bytes) -> tuple[int, int, int] | None:
    """Partition and number of a shopper, and the next offset there; their unit is restored.

    Looks where Kafka's default partitioner puts the id, then everywhere else: which partition a shopper is
    in is the producer's choice.
    """
    usual = partition_of(name, settings.partitions)
    for partitions in ([usual], [p for p in range(settings.partitions) if p != usual]):
        tps = [TP(settings.topic(EVENTS), p) for p in partitions]
        offsets = await restore(settings, engine, tps) if tps else {}
        for tp, offset in offsets.items():
            unit = engine.shopper_units[tp.partition]
            number = unit.interner.find(name)
            if number >= 0 and unit.state.rows["events"][number]:
                return tp.partition, number, offset
    return None


async def item_state(settings: Settings, engine: Engine, item_id: str) -> tuple[ItemState, int] | None:
    """As `shopper_state`, of an item and its partition of `item-updates`, which is always the same."""
    name = item_id.encode()
    tp = TP(settings.topic(ITEM_UPDATES), partition_of(name, settings.partitions))
    offsets = await restore(settings, engine, [tp])
    number = engine.table.interner.find(name)
    if number < 0 or not engine.table.rows["owned"][number]:
        return None
    return describe_item(engine.item_units[tp.partition], number), offsets[tp]
