"""Saved state: when a unit's buckets are written, and how a unit comes back from them.

The log is the truth, a saved bucket a shortcut: a unit is restored by loading its buckets and replaying its
log from the least of their positions, each bucket taking what lies above its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stream.effects import Message
from stream.errors import LayoutError
from stream.items import saved as saved_items
from stream.items.row import BUCKETS
from stream.items.unit import ItemUnit
from stream.shoppers import saved as saved_shoppers
from stream.shoppers.unit import ShopperUnit
from stream.state.bucket import Bucket, Unit, decode
from stream.state.rotation import Rotation

ITEM_ROWS = 10
"""Rows of the shopper stage that one of the item stage costs: some bytes more, and ten times the names."""

MESSAGE_EVENTS = 25
"""Events that a message of the item stage costs beyond its own: with little traffic messages are small, and
what counts is how long their replay would take."""


class Saving:
    """The rotation of every open unit. `rows_per_event` sets their pace (`stream.state.rotation`)."""

    def __init__(self, rows_per_event: float) -> None:
        self._rows_per_event = rows_per_event
        self._rotations: dict[tuple[str, int], Rotation] = {}
        self._events: dict[tuple[str, int], int] = {}

    def open(self, unit: Unit) -> None:
        """A unit begins empty."""
        self._rotations[unit.stage, unit.partition] = Rotation(BUCKETS, self._rows_per_event)
        self._events[unit.stage, unit.partition] = 0

    def count(self, unit: Unit, events: int) -> None:
        """What was applied since, in events whose replay would take as long."""
        self._events[unit.stage, unit.partition] += events

    def shoppers_due(self, unit: ShopperUnit) -> list[Message]:
        """Buckets to be saved after the events counted since it was last asked."""
        due = self._rotation(unit).due(self._counted(unit), unit.state.room.size, unit.position)
        return [_shoppers(unit, bucket) for bucket in due]

    def items_due(self, unit: ItemUnit) -> list[Message]:
        """Buckets to be saved after the events counted since it was last asked."""
        due = self._rotation(unit).due(self._counted(unit), unit.bucket_size * ITEM_ROWS, unit.position)
        return [_items(unit, bucket) for bucket in due]

    def shoppers_left(self, unit: ShopperUnit, most: int) -> list[Message]:
        """Up to `most` buckets that are not saved as they are now."""
        return [_shoppers(unit, bucket) for bucket in self._rotation(unit).rest(most, unit.position)]

    def items_left(self, unit: ItemUnit, most: int) -> list[Message]:
        """Up to `most` buckets that are not saved as they are now."""
        return [_items(unit, bucket) for bucket in self._rotation(unit).rest(most, unit.position)]

    def restore_shoppers(self, unit: ShopperUnit, values: Iterable[bytes]) -> int:
        """Put saved buckets into a new unit; the offset from which its log is to be replayed.

        Those of another life of the unit are left out. Raises `LayoutError` for a newer layout or another
        number of item partitions, `ValueError` for damaged bytes.
        """
        buckets = _of(unit, values)
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
        oldest = self._begin(unit, buckets)
        if oldest is not None:
            # The clock of the replay's beginning: what is forgotten on its way is what was forgotten then.
            unit.state.clock_ms[0] = oldest.clock_ms
        return unit.position + 1

    def restore_items(self, unit: ItemUnit, values: Iterable[bytes]) -> int:
        """As `restore_shoppers`, for a unit of the item stage."""
        buckets = _of(unit, values)
        for bucket in buckets:
            saved_items.load(unit, bucket)
        oldest = self._begin(unit, buckets)
        if oldest is not None:
            unit.watermark, unit.clock_ms = dict(oldest.ends), oldest.clock_ms
        return unit.position + 1

    def _counted(self, unit: Unit) -> int:
        events, self._events[unit.stage, unit.partition] = self._events[unit.stage, unit.partition], 0
        return events

    def _rotation(self, unit: Unit) -> Rotation:
        return self._rotations[unit.stage, unit.partition]

    def _begin(self, unit: Unit, buckets: Sequence[Bucket]) -> Bucket | None:
        """Put the unit where its replay begins: at the oldest of all its buckets, which is returned; before
        the first record, and None, where one was never saved."""
        positions = [-1] * BUCKETS
        for bucket in buckets:
            positions[bucket.bucket] = bucket.position
        self._rotation(unit).begin(positions)
        unit.position = min(positions)
        return min(buckets, key=lambda bucket: bucket.position) if len(buckets) == BUCKETS else None


def whole(unit: ShopperUnit | ItemUnit) -> Iterator[Message]:
    """Every bucket of a unit as it is now, whatever its rotation."""
    for bucket in range(BUCKETS):
        yield _shoppers(unit, bucket) if isinstance(unit, ShopperUnit) else _items(unit, bucket)


def _shoppers(unit: ShopperUnit, bucket: int) -> Message:
    return Message("shopper-state", b"%d" % bucket, saved_shoppers.save(unit, bucket), unit.partition)


def _items(unit: ItemUnit, bucket: int) -> Message:
    return Message("item-state", b"%d" % bucket, saved_items.save(unit, bucket), unit.partition)


def _of(unit: Unit, values: Iterable[bytes]) -> list[Bucket]:
    """Those of the unit's present life."""
    found = (decode(value) for value in values)
    mine = (unit.stage, unit.partition, unit.lineage_ms)
    return [bucket for bucket in found if (bucket.stage, bucket.partition, bucket.lineage_ms) == mine]
