"""Readers of event logs in files: the menu.

The one place under `stream/events` that opens files. A reader turns rows into events of the wire
contract, in time order where a data set has one; `docs/formats.md` states each format's rules.

Example::

    for result in read(Path("2019-Oct.csv.gz"), "rees46"):
        if isinstance(result, Bad): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from stream.errors import InputError
from stream.events.readers.base import REASONS, Bad, Reader, ReadResult
from stream.events.readers.jsonl import JSONL
from stream.events.readers.lines import Log, size_bytes
from stream.events.readers.mapping import MAPPING, mapping_reader
from stream.events.readers.movielens import MOVIELENS
from stream.events.readers.online_retail import ONLINE_RETAIL
from stream.events.readers.rees46 import REES46
from stream.events.readers.retailrocket import RETAILROCKET
from stream.events.readers.sessions import SESSIONS
from stream.events.readers.yoochoose import YOOCHOOSE

__all__ = ["FORMATS", "MAPPING", "REASONS", "Bad", "ReadResult", "Reader", "read", "size_bytes"]

FORMATS: Mapping[str, Reader] = MappingProxyType(
    {
        "jsonl": JSONL,
        "rees46": REES46,
        "online-retail": ONLINE_RETAIL,
        "retailrocket": RETAILROCKET,
        "yoochoose": YOOCHOOSE,
        "movielens": MOVIELENS,
        "sessions": SESSIONS,
    }
)
"""Every format that needs no mapping file. `MAPPING` is the name of the one that does."""


def read(
    path: Path, format: str, mapping: Path | None = None, on_bytes: Callable[[int], None] | None = None
) -> Iterator[ReadResult]:
    """Events, item facts and bad rows of the file `path` (plain or gzip).

    Reading the same file again gives the same results with the same event ids. `on_bytes` is called
    with the bytes on disk consumed so far (`size_bytes(path)` at the end).

    Raises InputError, before anything is yielded, where the file, the format's name, the header or
    the mapping file cannot be used; and while reading, where gzip data turn out to be damaged.
    """
    if (format == MAPPING) != (mapping is not None):
        if mapping is None:
            raise InputError(
                f"The format {MAPPING} needs a mapping file that says which column is what: "
                "see docs/formats.md for one to start from."
            )
        raise InputError(
            f"A mapping file goes with the format {MAPPING}, not with {format}: give one of the two."
        )
    if mapping is not None:
        reader = mapping_reader(mapping)
    elif format in FORMATS:
        reader = FORMATS[format]
    else:
        raise InputError(f"There is no format {format!r}: choose one of {', '.join((*FORMATS, MAPPING))}.")
    return reader.read(Log(path, on_bytes))
