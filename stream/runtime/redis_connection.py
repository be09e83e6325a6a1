"""One connection to Redis: many packed commands out, their replies in one go."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from stream.errors import BrokerError
from stream.runtime.resp import Parser, Reply, ReplyError, pack

DEFAULT_PORT = 6379
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 15.0
"""A Redis that is silent for longer counts as away: the connection is dropped and opened again."""
READ_BYTES = 256 << 10

_REFUSING = frozenset(("NOAUTH", "WRONGPASS", "NOPERM"))


class Address(NamedTuple):
    """Where a Redis is and how to get in."""

    host: str
    port: int
    username: str | None
    password: str | None
    db: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """From ``redis[s]://[[user]:password@]host[:port][/db]``."""
        parts = urlsplit(url)
        try:
            return cls(
                parts.hostname or "127.0.0.1",
                parts.port or DEFAULT_PORT,
                unquote(parts.username) if parts.username else None,
                unquote(parts.password) if parts.password else None,
                int(parts.path.strip("/") or 0),
                parts.scheme == "rediss",
            )
        except ValueError:
            raise BrokerError(
                "The Redis URL is not of the form redis://user:password@host:port/db."
            ) from None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class RedisConnection:
    """Opened by `open`. Any failure closes it; opening again is the caller's decision."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        return self._writer is not None

    async def open(self) -> None:
        """Connect, authenticate, select the database. OSError when away, BrokerError when refused."""
        address = self.address
        tls = ssl.create_default_context() if address.tls else None
        self._reader, self._writer = await asyncio.wait_for(
            asyncio.open_connection(address.host, address.port, ssl=tls, limit=READ_BYTES), CONNECT_TIMEOUT_S
        )
        setup = []
        if address.password is not None:
            who = [address.username] if address.username else []
            setup.append(pack("AUTH", *who, address.password))
        if address.db:
            setup.append(pack("SELECT", address.db))
        for reply in await self.execute(setup, len(setup)) if setup else []:
            if isinstance(reply, ReplyError):
                await self.close()
                raise self._refused(reply)

    async def execute(self, packed: Sequence[bytes], replies: int) -> list[Reply]:
        """Send packed commands and read as many replies. OSError (TimeoutError too) when Redis is away."""
        if self._reader is None or self._writer is None:
            raise ConnectionError("not connected")
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                for data in packed:
                    self._writer.write(data)
                    await self._writer.drain()
                found = await self._read(self._reader, replies)
            for reply in found:
                if isinstance(reply, ReplyError) and reply.code in _REFUSING:
                    raise self._refused(reply)
        except BaseException:
            # Replies of an interrupted exchange must never be taken for those of the next.
            await self.close()
            raise
        return found

    async def call(self, *args: bytes | str | int) -> Any:
        """One command, its reply; `ReplyError` is raised."""
        (reply,) = await self.execute([pack(*args)], 1)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    @staticmethod
    async def _read(reader: asyncio.StreamReader, count: int) -> list[Reply]:
        parser, replies = Parser(), list[Reply]()
        while len(replies) < count:
            data = await reader.read(READ_BYTES)
            if not data:
                raise ConnectionResetError("Redis closed the connection")
            replies += parser.feed(data)
        return replies

    def _refused(self, reply: ReplyError) -> BrokerError:
        return BrokerError(f"Redis at {self.address} refuses us ({reply}): correct STREAM_REDIS_URL.")

    async def close(self) -> None:
        """Close, whatever state it is in."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
