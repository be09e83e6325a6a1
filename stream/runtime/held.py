"""Which events the log `events` holds already, by shopper and event id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stream.events.decode import Bounds, decode
from stream.events.records import LogRecord, Record
from stream.runtime.backup import Told
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings
from stream.runtime.topics import EVENTS
from stream.shoppers.duplicates import own_ids
from stream.state.hashing import hash_ids
from stream.state.interner import joined


class Held:
    """A set of events. 8 bytes an event; `first_ms` is Kafka's time of the first record, None without one."""

    def __init__(self, ids: Sequence[NDArray[np.uint64]] = (), first_ms: int | None = None) -> None:
        self._ids = np.unique(np.concatenate([np.zeros(0, np.uint64), *ids]))
        self.first_ms = first_ms

    def __len__(self) -> int:
        return len(self._ids)

    def has(self, users: Sequence[str], events: Sequence[str]) -> NDArray[np.bool_]:
        """Of which of these events (their shoppers' ids and their own) the log holds one. Some 300 ns
        each."""
        hashes = np.empty((2, len(events)), np.uint64)
        hash_ids(np.frombuffer(joined(events), np.uint8), hashes[0])
        hash_ids(np.frombuffer(joined(users), np.uint8), hashes[1])
        own_ids(hashes[0], hashes[1])
        if not len(self._ids):
            return np.zeros(len(events), np.bool_)
        at = np.minimum(np.searchsorted(self._ids, hashes[0]), len(self._ids) - 1)
        found: NDArray[np.bool_] = self._ids[at] == hashes[0]
        return found


async def held_by_log(settings: Settings, starts: Mapping[int, int], bounds: Bounds, told: Told) -> Held:
    """Every event that `events` holds now, from the offsets `starts` (by partition) on.

    About 3 µs an event. Records that are no events count nowhere, and are left out.
    """
    found: list[NDArray[np.uint64]] = []
    first_ms: int | None = None
    done = 0
    async with LogReader(settings) as reader:
        ends = await reader.ends([(settings.topic(EVENTS), partition) for partition in starts])
        filled = {place: end for place, end in ends.items() if end > starts[place[1]]}
        total = sum(end - starts[partition] for (_, partition), end in filled.items())
        reader.open({place: starts[place[1]] for place in filled})
        for place, end in filled.items():
            async for records in reader.read(place, end, settings.max_poll_records):
                found.append(ids_of(records, bounds))
                first_ms = min(first_ms or records[0].timestamp, records[0].timestamp)
                done += len(records)
                told(done, total)
    return Held(found, first_ms)


def ids_of(records: Sequence[Record], bounds: Bounds) -> NDArray[np.uint64]:
    """The events among these records."""
    decoded = decode(records, bounds)
    # A worker writes those again under their shopper's key, and then counts them.
    again = [LogRecord(r.offset, r.timestamp, key, r.value, r.headers) for key, r in decoded.rekeyed]
    ids = []
    for batch in (decoded.batch, decode(again, bounds).batch):
        shoppers = np.empty(len(batch.event), np.uint64)
        hash_ids(np.frombuffer(batch.users, np.uint8), shoppers)
        own_ids(batch.event, shoppers)
        ids.append(batch.event)
    return np.concatenate(ids)
