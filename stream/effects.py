"""What the core wants to be written: values, never acts. The shell carries them out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.records import Record, Refused
from stream.state.texts import Texts


class ListsFor(Enum):
    """For what a batch of events gives lists."""

    EVENTS = 1
    """One for every event, as it comes."""
    SHOPPERS = 2
    """One for every shopper, as after the whole batch, and no labels: for a backlog."""
    NOBODY = 3


class Values(NamedTuple):
    """Absolute, versioned JSON values of one kind, for Redis and for the output topic of that kind.

    `ids[k]` is the entity's id (UTF-8) and `values[k]` its JSON object, which always begins with
    ``{"version":"<VERSION_CHARS characters>"`` so that a guard can compare versions as text.
    `topic` and `redis` say where they go.
    """

    kind: str
    ids: Texts
    values: Texts
    topic: bool = True
    redis: bool = True

    @classmethod
    def of(cls, kind: str, ids: Iterable[bytes], values: Iterable[bytes]) -> Values:
        """Those of Python."""
        return cls(kind, Texts.of(ids), Texts.of(values))


def merged(many: Iterable[Values]) -> list[Values]:
    """All values of a kind as one, each kind where it first comes."""
    kinds: dict[str, list[Values]] = {}
    for values in many:
        kinds.setdefault(values.kind, []).append(values)
    return [
        Values(kind, Texts.chained([each.ids for each in of]), Texts.chained([each.values for each in of]))
        for kind, of in kinds.items()
    ]


class Message(NamedTuple):
    """One message for a topic of our own (`item-updates`, `aggregates`, `shopper-state`, ...), or `events`:
    without a partition, that of its key."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None


@dataclass(slots=True)
class Effects:
    """All that one batch wants to be written. Nothing of the batch is acknowledged before it is."""

    values: list[Values] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    rekeyed: list[tuple[bytes, Record]] = field(default_factory=list)
    """Records whose key was missing or not the shopper: (right key, record), written again."""
    saved: list[Message] = field(default_factory=list)
    """Buckets of state, to be written only when all the rest is delivered: a restart goes on from them, and
    nothing that they hold is sent again."""
    event_ts_ms: list[NDArray[np.int64]] = field(default_factory=list, compare=False)
    """Times of the events that were accepted, epoch ms: how old they are when all this can be read tells how
    fresh it is."""

    def extend(self, later: Effects) -> None:
        """Take in the effects of the next part of the same batch."""
        self.values += later.values
        self.messages += later.messages
        self.refused += later.refused
        self.rekeyed += later.rekeyed
        self.saved += later.saved
        self.event_ts_ms += later.event_ts_ms


VERSION_PREFIX = b'{"version":"'
VERSION_CHARS = 13 + 1 + 16
OFFSET_MAX = 10**16 - 1

BESIDE = 10**15
"""Added to the offset in the versions of lists of other scenarios than `home`: a `request_id` that names one
of them does not name the list of `home` that was made with the same event."""


def place(lineage_ms: int, position: int) -> tuple[int, int]:
    """Lineage and offset in the version of what is made from state at `position`.

    State from a backup has rows before its log's first record (-1): a version then lies above those of all
    earlier lineages and below that of the first record.
    """
    if position >= 0 or not lineage_ms:
        return lineage_ms, max(position, 0)
    return lineage_ms - 1, OFFSET_MAX


def version(lineage_ms: int, position: int) -> bytes:
    """Fixed-width version `lineage-offset` (30 characters): compares as text as it does as numbers."""
    return b"%013d-%016d" % place(lineage_ms, position)
