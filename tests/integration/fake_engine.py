"""An engine that only counts, so that what the shell does with records can be counted too."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from stream.effects import Effects, Message, Values, version
from stream.events.records import Record, Refused


class FakeMetrics:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + count

    def as_dict(self) -> dict[str, Any]:
        return dict(self.counts)


class FakeEngine:
    """Each unit's state is the number of its records.

    Every record of `events` gives a `recs` value under its key that tells where it came from (`source`) and
    how many its unit had seen (`seen`); each batch gives one message for `item-updates` and one for
    `examples`. A value of ``bad`` is refused, ``crash`` raises, a missing key is replaced by the value.
    """

    def __init__(self, wait_s: float = 0.0) -> None:
        self.metrics = FakeMetrics()
        self.seen: dict[tuple[str, int], int] = {}
        self.lineages: dict[tuple[str, int], int] = {}
        self.known: list[tuple[str, bytes | None, bytes | None]] = []
        self._wait_s = wait_s

    def open_shoppers(self, partition: int, lineage_ms: int) -> None:
        self.seen["shoppers", partition], self.lineages["shoppers", partition] = 0, lineage_ms

    def open_items(self, partition: int, lineage_ms: int) -> None:
        self.seen["items", partition], self.lineages["items", partition] = 0, lineage_ms

    def restore_shoppers(self, partition: int, saved: Sequence[bytes]) -> int:
        return 0

    def restore_items(self, partition: int, saved: Sequence[bytes]) -> int:
        return 0

    def in_backlog(self, behind: bool) -> None:
        pass

    def leave_out_items(self, partition: int, record: Record) -> None:
        raise AssertionError("nothing was to be left out")

    def save_shoppers(self, partition: int) -> list[Message]:
        return []

    def save_items(self, partition: int) -> list[Message]:
        return []

    def unsaved(self, most: int) -> Effects:
        return Effects()

    def wanted(self, limit: int) -> list[bytes]:
        return []

    def adopt(self, item_id: bytes, similar: bytes | None, together: bytes | None) -> str | None:
        raise AssertionError("nothing was wanted")

    def close_shoppers(self, partition: int) -> None:
        del self.seen["shoppers", partition]

    def close_items(self, partition: int) -> None:
        del self.seen["items", partition]

    def shoppers(
        self, partition: int, records: Sequence[Record], now_ms: int, silent: bool = False
    ) -> Effects:
        effects = Effects()
        ids, values = [], []
        for record in records:
            self.seen["shoppers", partition] += 1
            if silent:
                continue
            if record.value == b"crash":
                raise ValueError("told to crash")
            if record.value == b"bad":
                effects.refused.append(Refused(record, "malformed", "Not an event: bad."))
            elif record.key is None:
                effects.rekeyed.append((record.value or b"", record))
            else:
                ids.append(record.key)
                values.append(self._value(partition, record.offset))
        self.metrics.add("replayed" if silent else "events", len(records))
        if self._wait_s:
            time.sleep(self._wait_s * len(records))
        if silent:
            return effects
        if ids:
            effects.values.append(Values.of("recs", ids, values))
            rows = json.dumps([partition, len(ids)]).encode()
            effects.messages.append(Message("item-updates", b"0", rows, partition=0))
            effects.messages.append(Message("examples", b"e", rows))
        return effects

    def items(self, partition: int, records: Sequence[Record], now_ms: int, silent: bool = False) -> Effects:
        self.seen["items", partition] += len(records)
        if not silent:
            self.metrics.add("updates", sum(json.loads(record.value or b"[0, 0]")[1] for record in records))
        return Effects()

    def tick(self, now_ms: int, limit: int) -> Effects:
        self.metrics.add("ticks")
        return Effects()

    def control(self, topic: str, key: bytes | None, value: bytes | None) -> str | None:
        self.known.append((topic, key, value))
        self.metrics.add(f"control_{topic}")
        return "told to refuse" if value == b"bad" else None

    def _value(self, partition: int, offset: int) -> bytes:
        lineage_ms, seen = self.lineages["shoppers", partition], self.seen["shoppers", partition]
        head = b'{"version":"%s"' % version(lineage_ms, offset)
        return head + b',"source":[%d,%d],"seen":%d}' % (partition, offset, seen)


class FakeLearner:
    """Publishes a model for every batch of examples."""

    def learn(self, records: Sequence[Record], now_ms: int) -> Effects:
        return Effects(messages=[Message("models", b"model", b"%d" % len(records))])
