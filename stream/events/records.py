"""What the core sees of Kafka: records in, refused records out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """One message of an input log. aiokafka's `ConsumerRecord` is one; so is `LogRecord`."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Kafka's own timestamp, epoch milliseconds."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class LogRecord(NamedTuple):
    """A record made by ourselves (file replay, simulator, tests)."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Refused(NamedTuple):
    """A record that was not applied, and why. `reason` is a short fixed word, used as a metric label.

    `attempts`: how often it was tried. Once, where it is refused for what it holds.
    """

    record: Record
    reason: str
    message: str
    attempts: int = 1
