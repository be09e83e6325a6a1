"""One open unit of state, and how far its log is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.events.block import since
from stream.runtime.clock import now_ms
from stream.runtime.stages import Stage
from stream.runtime.trial import Trial


@dataclass
class Unit:
    """One partition of one stage: its state in the core is a function of its log up to `next_offset`."""

    stage: Stage
    partition: int
    lineage_ms: int
    """When the unit was first created; kept as metadata of the group's commits."""
    next_offset: int
    """Offset of the first record that is not in the state."""
    trial: Trial
    reached_ms: int = 0
    """The broker's time of the last record in the state; 0 while none was applied here."""
    opened_ms: int = field(default_factory=now_ms)

    def unseen(self, records: Sequence[Any]) -> Sequence[Any]:
        """`records` without those that the state already holds."""
        if not records or records[0].offset >= self.next_offset:
            return records
        return since(records, self.next_offset)
