"""The exchange message as Python writes it: what the kernels of `stream.shoppers.pack` are held to."""

from __future__ import annotations

import struct

from stream.exchange import LAYOUT, MAGIC, Exchange


def encode(message: Exchange) -> bytes:
    """Bytes of a message: header, then every column as it lies in memory (little-endian)."""
    touches, pairs = message.touches, message.pairs
    head = struct.pack(
        "<4sHHqqIIIIII", MAGIC, LAYOUT, message.source, message.since, message.upto, len(message.offset),
        len(touches.event), len(pairs.event), message.n_names, len(message.names), len(message.mark),
    )  # fmt: skip
    columns = (
        message.offset, message.ts_ms, touches.price_minor,
        touches.event, touches.item, touches.quantity, pairs.event, pairs.item, pairs.other,
        touches.code, pairs.code,
    )  # fmt: skip
    return b"".join([head, *[column.tobytes() for column in columns], message.names, message.mark.tobytes()])
