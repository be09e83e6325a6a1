"""Compacted topics read whole: what they say last of every key."""

from __future__ import annotations

from collections.abc import Iterable

from stream.effects import VERSION_CHARS, VERSION_PREFIX
from stream.runtime.log_reader import LogReader
from stream.runtime.settings import Settings

MAX_RECORDS = 2000
_GUARDED = len(VERSION_PREFIX) + VERSION_CHARS

Latest = dict[bytes, bytes | None]
"""The last value by key; None: it was deleted."""


async def latest(settings: Settings, reader: LogReader, topics: Iterable[str]) -> dict[str, Latest]:
    """What these topics hold, by name without namespace. The reader must not be open yet.

    Of values with a version (`stream.effects`) the highest counts, wherever it stands: a frozen worker may
    have written an older one later.
    """
    places = {name: await reader.places(settings.topic(name)) for name in topics}
    every = [place for of in places.values() for place in of]
    ends = await reader.ends(every)
    reader.open(await reader.beginnings(every))
    found: dict[str, Latest] = {}
    for name, of in places.items():
        known: Latest = {}
        for place in of:
            async for records in reader.read(place, ends[place], MAX_RECORDS):
                for record in records:
                    if record.key is not None and not is_older(record.value, known.get(record.key)):
                        known[record.key] = record.value
        found[name] = known
    return found


def is_older(value: bytes | None, known: bytes | None) -> bool:
    """Whether `value` has a version, and an older one than what is known."""
    if not value or not known or not (value.startswith(VERSION_PREFIX) and known.startswith(VERSION_PREFIX)):
        return False
    return value[:_GUARDED] < known[:_GUARDED]
