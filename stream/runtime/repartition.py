"""A backup of one number of partitions written again as one of another: nothing but files."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from stream.errors import StateError
from stream.repartition import move_items, move_shoppers
from stream.runtime.archive import MAGIC, ArchiveWriter, Rows, Saved, check, read, read_at
from stream.runtime.backup import Told
from stream.state.bucket import decode

_MOVES = {"shoppers": move_shoppers, "items": move_items}


def repartition(old: Path, new: Path, partitions: int, told: Told) -> dict[str, Any]:
    """Write the backup `old` to `new` as one of `partitions` partitions; a summary.

    The head of `new` goes on naming the logs that the state came from. It holds one bucket of all units in
    memory at a time. Raises `StateError` for a file that is not whole or has as many partitions already, for
    shoppers who lie elsewhere than Kafka's default partitioner puts them, and where `new` cannot be written.
    """
    head = check(old)
    if head.partitions == partitions:
        raise StateError(f"{old} is of {partitions} partitions already: load it as it is.")
    rows, forgotten = dict.fromkeys(_MOVES, 0), 0
    with ArchiveWriter(new) as archive:
        archive.write(msgspec.structs.replace(head, partitions=partitions))
        buckets: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
        at = len(MAGIC)
        for frame, end in read(old):
            if isinstance(frame, Rows):
                archive.write(frame)
            elif isinstance(frame, Saved):
                buckets[frame.stage, frame.bucket][frame.partition] = at
            at = end
        for done, ((stage, bucket), places) in enumerate(sorted(buckets.items()), 1):
            frames = read_at(old, [places[partition] for partition in range(head.partitions)])
            together = [decode(frame.value) for frame in frames if isinstance(frame, Saved)]
            rows[stage] += sum(found.rows[stage] for found in together)
            for moved in _MOVES[stage](together, partitions):
                archive.write(Saved(stage, moved.partition, bucket, moved.value))
                forgotten += moved.forgotten
            told(done, len(buckets))
    return {
        "file": str(new),
        "bytes": new.stat().st_size,
        "sha256": archive.sha256,
        "partitions": {"before": head.partitions, "after": partitions},
        **rows,
        "seen_ids_forgotten": forgotten,
    }
