"""A worker of a pretended next version: it adds something to everything that it writes for others to read.

Nothing of it needs a new layout, so a worker of this version has to get along with all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cramjam
import msgspec
from aiokafka.structs import OffsetAndMetadata

from stream.cli import main
from stream.learn import learner, model
from stream.recommend.encode import Writer
from stream.runtime import commits
from stream.shoppers.pack import Packer
from stream.state import bucket
from stream.state.texts import Texts

MOOD = b',"mood":"good"}'
MOODS = b"a column of moods"


def sent(pack: Callable[..., list[tuple[int, bytes]]]) -> Callable[..., list[tuple[int, bytes]]]:
    return lambda *args: [(place, value + MOODS) for place, value in pack(*args)]


def saved(whole: bucket.Bucket) -> bytes:
    fields = {name: getattr(whole, name) for name in whole.__struct_fields__}
    stage = "items" if whole.stage == "items" else "shoppers"
    more = {"columns": whole.columns | {f"{stage}.mood": b"\1" * whole.rows[stage]}, "mood": "good"}
    return bytes(cramjam.zstd.compress(msgspec.msgpack.encode(fields | more), 1))


def taught(snapshot: model.Snapshot) -> bytes:
    return model.pack_snapshot(snapshot)[:-1] + MOOD


def committed(offset: int, metadata: str) -> Any:
    return OffsetAndMetadata(offset, f"{metadata} good mood")


def published(write: Callable[..., Texts]) -> Callable[..., Texts]:
    return lambda *args: Texts.of(value[:-1] + MOOD for value in write(*args))


if __name__ == "__main__":
    for place, name, replacement in (
        (Packer, "pack", sent(Packer.pack)),
        (bucket, "encode", saved),
        (learner, "pack_snapshot", taught),
        (commits, "OffsetAndMetadata", committed),
        (Writer, "write", published(Writer.write)),
    ):
        assert hasattr(place, name)
        setattr(place, name, replacement)
    main()
