"""Records that were refused or written again, as messages: key and bytes untouched, the rest in headers."""

from __future__ import annotations

from collections.abc import Iterable

from stream.events.cloudevents import REKEYED_HEADER
from stream.events.records import Record, Refused
from stream.runtime.kafka_sink import Outgoing
from stream.runtime.topics import DEAD_LETTERS, EVENTS


def dead_letters(refused: Iterable[Refused], topic: str, partition: int) -> list[Outgoing]:
    """Messages for `dead-letters`. The original's own headers come first, ours after them:

    ``stream-topic``, ``stream-partition``, ``stream-offset``, ``stream-timestamp`` (epoch ms),
    ``stream-error`` (the reason, a short fixed word), ``stream-message`` (one sentence; where the engine
    raised an error, its traceback in the lines below), ``stream-attempt`` (how often it was tried).
    """
    return [
        Outgoing(
            DEAD_LETTERS,
            record.key,
            record.value,
            headers=_headers(record, reason, message, attempts, topic, partition),
        )
        for record, reason, message, attempts in refused
    ]


def rekeyed(records: Iterable[tuple[bytes, Record]], partition: int) -> list[Outgoing]:
    """Messages for `events` under the right key; a header tells which record each of them replaces."""
    return [
        Outgoing(
            EVENTS,
            key,
            record.value,
            headers=[*record.headers, (REKEYED_HEADER, f"{partition}:{record.offset}".encode())],
        )
        for key, record in records
    ]


def _headers(
    record: Record, reason: str, message: str, attempts: int, topic: str, partition: int
) -> list[tuple[str, bytes]]:
    return [
        *record.headers,
        ("stream-topic", topic.encode()),
        ("stream-partition", b"%d" % partition),
        ("stream-offset", b"%d" % record.offset),
        ("stream-timestamp", b"%d" % record.timestamp),
        ("stream-error", reason.encode()),
        ("stream-message", message.encode()),
        ("stream-attempt", b"%d" % attempts),
    ]
