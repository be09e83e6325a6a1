"""The Redis protocol (RESP2) in bytes: packing commands, parsing replies. No I/O.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from collections.abc import Iterable

CRLF = b"\r\n"


class ReplyError(Exception):
    """An error that Redis replied with; `code` is its first word (``ERR``, ``NOSCRIPT``, ``OOM``, …)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.split(" ", 1)[0]


Reply = int | bytes | str | None | ReplyError | list["Reply"]
"""Integer, bulk string, status, nil, error, array."""


def pack(*args: bytes | str | int) -> bytes:
    """One command. Strings are sent as UTF-8."""
    return pack_bytes([a if isinstance(a, bytes) else str(a).encode() for a in args])


def pack_bytes(args: Iterable[bytes]) -> bytes:
    """One command of bytes. About 0.3 µs an argument and one copy."""
    parts = [b""]
    for arg in args:
        parts.append(b"$%d\r\n" % len(arg))
        parts.append(arg)
        parts.append(CRLF)
    parts[0] = b"*%d\r\n" % (len(parts) // 3)
    return b"".join(parts)


class Parser:
    """Bytes in, whole replies out."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes, errors among them as values."""
        self._buffer = buffer = self._buffer + data if self._buffer else data
        replies: list[Reply] = []
        at = 0
        while at < len(buffer):
            parsed = _parse(buffer, at)
            if parsed is None:
                break
            reply, at = parsed
            replies.append(reply)
        self._buffer = buffer[at:]
        return replies


def _parse(buffer: bytes, at: int) -> tuple[Reply, int] | None:
    """The reply that begins at `at` and where it ends, None when it is not all there yet."""
    end = buffer.find(CRLF, at)
    if end < 0:
        return None
    kind, text, after = buffer[at : at + 1], buffer[at + 1 : end], end + 2
    if kind == b":":
        return int(text), after
    if kind == b"+":
        return text.decode(), after
    if kind == b"-":
        return ReplyError(text.decode(errors="replace")), after
    size = int(text)
    if size < 0:
        return None, after
    if kind == b"$":
        stop = after + size
        return (buffer[after:stop], stop + 2) if len(buffer) >= stop + 2 else None
    items: list[Reply] = []
    for _ in range(size):
        parsed = _parse(buffer, after)
        if parsed is None:
            return None
        item, after = parsed
        items.append(item)
    return items, after
