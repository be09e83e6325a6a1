"""State moved into another number of partitions: every row into the unit that its id has there.

A row's bucket hangs on the hash of its id and not on the partition, so bucket b of all new units together
holds what bucket b of all old ones held: one bucket number at a time is put together and taken apart. Where
the new number is a multiple of the old one, every new unit comes out of a single old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import StateError
from stream.items import saved as items
from stream.shoppers import saved as shoppers
from stream.state import bucket as saved
from stream.state.bucket import Bucket, Parts
from stream.state.hashing import partition_ids
from stream.state.interner import Interner
from stream.state.texts import Texts


class Moved(NamedTuple):
    """One bucket of a new unit, as bytes; what it says of offsets is of no log yet.

    `forgotten`: ids of seen events for which there was no room.
    """

    partition: int
    value: bytes
    forgotten: int = 0


def move_shoppers(old: Sequence[Bucket], partitions: int) -> Iterator[Moved]:
    """One bucket number of all units, in the order of their partitions, as that of `partitions` new ones.

    Ids of seen events go to every unit that their shopper may have gone to. Raises `StateError` for a shopper
    who does not lie where Kafka's default partitioner puts the id: the next event would be put elsewhere.
    """
    for partition, bucket in enumerate(old):
        _refuse_strays(bucket, partition, len(old))
    together = _Together(old, shoppers.DTYPES, shoppers.REFERENCES)
    rows = together.parts["shoppers"]
    before = np.cumsum([0, *(bucket.rows["histories"] for bucket in old[:-1])], dtype=np.int32)
    rows["history"] += np.repeat(before, [bucket.rows["shoppers"] for bucket in old]) * (rows["history"] > 0)
    # Row 0 stands for none.
    histories = np.concatenate([np.zeros(1, together.parts["histories"].dtype), together.parts["histories"]])
    for partition, sources, members in together.split(partitions):
        seen, forgotten = shoppers.merged_seen(sources)
        parts = shoppers.parts_of(rows[members], histories)
        yield Moved(partition, together.save(partition, sources, members, parts, seen), forgotten)


def move_items(old: Sequence[Bucket], partitions: int) -> Iterator[Moved]:
    """As `move_shoppers`, for the item stage. The buckets must have been saved at one moment."""
    together = _Together(old, items.DTYPES, items.REFERENCES)
    landmarks_ms = {tuple(bucket.landmarks_ms) for bucket in old if bucket.rows["items"]}
    if len(landmarks_ms) > 1:
        raise ValueError("saved buckets of items are of different moments: their sums do not add up")
    for partition, sources, members in together.split(partitions):
        parts = {"items": together.parts["items"][members]}
        value = together.save(partition, sources, members, parts, {}, *landmarks_ms)
        yield Moved(partition, value)


class _Together:
    """The rows of some buckets one after the other; their references are numbers + 1 of `_names`."""

    def __init__(
        self, old: Sequence[Bucket], dtypes: Mapping[str, np.dtype[np.void]], references: Sequence[str]
    ) -> None:
        self._old = old
        self._references = references
        self._names = Interner(max(1, sum(bucket.n_names for bucket in old)))
        self._ids = [name for bucket in old if bucket.ids for name in bucket.ids.split(b"\0")]
        found = [
            saved.unpack(bucket, dtypes, references, self._names.intern(bucket.names, bucket.n_names))
            for bucket in old
        ]
        self.parts: Parts = {part: np.concatenate([parts[part] for parts in found]) for part in dtypes}

    def split(self, partitions: int) -> Iterator[tuple[int, Sequence[Bucket], NDArray[np.int64]]]:
        """(partition, the old buckets whose rows may be there, the numbers of the rows that are)."""
        homes = _homes(self._ids, partitions)
        # Both numbers have this divisor, so an id leaves the same remainder in both.
        step = gcd(len(self._old), partitions)
        for partition in range(partitions):
            yield partition, self._old[partition % step :: step], np.flatnonzero(homes == partition)

    def save(
        self,
        partition: int,
        sources: Sequence[Bucket],
        members: NDArray[np.int64],
        parts: Parts,
        more: Mapping[str, bytes],
        landmarks_ms: Sequence[float] = (),
    ) -> bytes:
        """The bucket of a new unit."""
        unit = _Unit(sources[0].stage, partition, max(bucket.clock_ms for bucket in sources))
        ids = b"\0".join([self._ids[k] for k in members.tolist()])
        number = sources[0].bucket
        return saved.save(unit, number, ids, parts, self._references, self._names, {}, more, landmarks_ms)


@dataclass
class _Unit:
    """What the buckets of a new unit say of it: of its log, nothing yet."""

    stage: str
    partition: int
    clock_ms: int
    lineage_ms: int = 0
    position: int = -1


def _homes(ids: Sequence[bytes], partitions: int) -> NDArray[np.int64]:
    return partition_ids(Texts.of(ids), partitions)


def _refuse_strays(bucket: Bucket, partition: int, partitions: int) -> None:
    ids = bucket.ids.split(b"\0") if bucket.ids else []
    for k in np.flatnonzero(_homes(ids, partitions) != partition).tolist():
        raise StateError(
            f"The shopper {ids[k].decode()} lies in partition {partition} of events, where Kafka's default "
            "partitioner (murmur2) does not put that id: where producers choose partitions otherwise, state "
            "cannot be moved; let them use that partitioner, and count the events anew in new topics "
            "(`stream bootstrap`)."
        )
