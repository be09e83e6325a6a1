"""Headers of a record: CloudEvents in binary mode, and our own mark on re-keyed records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

REKEYED_HEADER = "stream-rekeyed-from"
"""Names the partition and offset of the record that was written again under its right key."""

_FIELDS = {"ce_id": "event_id", "ce_time": "ts", "ce_type": "type", "ce_subject": "user_id"}
"""CloudEvents attribute to our field; the Kafka binding spells attributes with a `ce_` prefix."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def header(headers: Sequence[tuple[str, bytes]], name: str) -> bytes | None:
    """First value of a header, or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def unwrap(value: bytes, headers: Sequence[tuple[str, bytes]]) -> bytes:
    """The event's JSON, with what it lacks filled in from CloudEvents headers (spec 1.0, binary mode).

    The last dotted part of `ce_type` is the event's type (``com.shop.view`` is a ``view``). What the
    body says itself wins. Records without `ce_specversion` are returned as they are.
    """
    if header(headers, "ce_specversion") is None:
        return value
    body = _decode(value)
    for key, raw in headers:
        field = _FIELDS.get(key)
        # Kafka allows a header without a value.
        if field is not None and raw is not None and field not in body:
            text = raw.decode()
            body[field] = text.rpartition(".")[2] if field == "type" else text
    return msgspec.json.encode(body)
