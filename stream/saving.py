"""Saved state: when a unit's buckets are written, and how a unit comes back from them.

The log is the truth, a saved bucket a shortcut: a unit is restored by loading its buckets and replaying its
log from the least of their positions, each bucket taking what lies above its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stream.effects import Message
from stream.errors import LayoutError
from stream.items import saved as saved_items
from stream.items.row import BUCKETS
from stream.items.unit import ItemUnit
from stream.shoppers import saved as saved_shoppers
from stream.shoppers.unit import ShopperUnit
from stream.state.bucket import Bucket, decode
from stream.state.rotation import Rotation


class Saving:
    """The rotation of every open unit. `rows_per_event` sets their pace (`stream.state.rotation`)."""

    def __init__(self, rows_per_event: float) -> None:
        self._rows_per_event = rows_per_event
        self._rotations: dict[tuple[str, int], Rotation] = {}

    def open(self, stage: str, partition: int) -> None:
        """A unit begins empty."""
        self._rotations[stage, partition] = Rotation(BUCKETS, self._rows_per_event)

    def shoppers_due(self, unit: ShopperUnit, events: int) -> list[Message]:
        """Buckets to be saved after `events` more records of the unit's log."""
        due = self._rotations[saved_shoppers.STAGE, unit.partition].due(events, unit.state.room.size)
        return [_message("shopper-state", unit.partition, k, saved_shoppers.save(unit, k)) for k in due]

    def items_due(self, unit: ItemUnit, events: int) -> list[Message]:
        """Buckets to be saved after `events` more events touched items of the unit."""
        due = self._rotations[saved_items.STAGE, unit.partition].due(events, unit.bucket_size)
        return [_message("item-state", unit.partition, k, saved_items.save(unit, k)) for k in due]

    def restore_shoppers(self, unit: ShopperUnit, values: Iterable[bytes]) -> int:
        """Put saved buckets into a new unit; the offset from which its log is to be replayed.

        Those of another life of the unit are left out. Raises `LayoutError` for a newer layout or another
        number of item partitions, `ValueError` for damaged bytes.
        """
        buckets = _of(values, saved_shoppers.STAGE, unit.partition, unit.lineage_ms)
        for bucket in buckets:
            if len(bucket.ends) != len(unit.sent_upto):
                raise LayoutError(
                    f"state of events-{unit.partition} was saved with {len(bucket.ends)} item partitions and "
                    f"there are {len(unit.sent_upto)}: give item-updates its number of partitions back"
                )
            saved_shoppers.load(unit, bucket)
        if buckets:
            latest = max(buckets, key=lambda bucket: bucket.position)
            unit.sent_upto = [latest.ends[q] for q in range(len(unit.sent_upto))]
        unit.position = self._begin(saved_shoppers.STAGE, unit.partition, buckets)
        return unit.position + 1

    def restore_items(self, unit: ItemUnit, values: Iterable[bytes]) -> int:
        """As `restore_shoppers`, for a unit of the item stage."""
        buckets = _of(values, saved_items.STAGE, unit.partition, unit.lineage_ms)
        for bucket in buckets:
            saved_items.load(unit, bucket)
        unit.position = self._begin(saved_items.STAGE, unit.partition, buckets)
        if unit.position >= 0:
            unit.watermark = dict(min(buckets, key=lambda bucket: bucket.position).ends)
        return unit.position + 1

    def _begin(self, stage: str, partition: int, buckets: Sequence[Bucket]) -> int:
        """The least position of all buckets (-1: one was never saved)."""
        positions = [-1] * BUCKETS
        for bucket in buckets:
            positions[bucket.bucket] = bucket.position
        self._rotations[stage, partition].begin(positions)
        return min(positions)


def _message(topic: str, partition: int, bucket: int, value: bytes) -> Message:
    return Message(topic, b"%d" % bucket, value, partition)


def _of(values: Iterable[bytes], stage: str, partition: int, lineage_ms: int) -> list[Bucket]:
    buckets = [decode(value) for value in values]
    return [b for b in buckets if (b.stage, b.partition, b.lineage_ms) == (stage, partition, lineage_ms)]
