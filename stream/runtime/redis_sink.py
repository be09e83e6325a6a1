"""Values into Redis: packed writes, guarded by version, patient when Redis is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.effects import Values, merged
from stream.errors import BrokerError
from stream.runtime.connection import backoff
from stream.runtime.newest import newest
from stream.runtime.redis_cluster import Route, find_route
from stream.runtime.redis_connection import Address, RedisConnection
from stream.runtime.redis_script import KEYS_PER_CALL, SCRIPT, pack_calls
from stream.runtime.resp import Reply, ReplyError, pack_bytes
from stream.state.texts import Texts
from stream.values import key_of

log = logging.getLogger(__name__)

_WAIT = frozenset(("LOADING", "BUSY", "OOM", "READONLY", "MISCONF", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"))
_ELSEWHERE = frozenset(("MOVED", "ASK"))
_WAY_OUT = {
    "OOM": "give it more memory or set maxmemory-policy allkeys-lru",
    "READONLY": "point STREAM_REDIS_URL at the primary",
    "MISCONF": "its disk is full or not writable",
}


@dataclass
class RedisCounts:
    """What the sink has done since the start."""

    written: int = 0
    refused: int = 0
    """Values that were older than what Redis held."""
    retries: int = 0


@dataclass(frozen=True, slots=True)
class _Entries:
    """Values of one kind, the ids in their keys, and what stands around these. Those at `places` are written.
    Its keys are made only for whoever goes through them."""

    ids: Texts
    values: Texts
    places: NDArray[np.int64]
    before: bytes
    after: bytes

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[bytes]:
        return (self.before + self.ids[at] + self.after for at in self.places.tolist())


class RedisSink:
    """Writes values and small extras. One write at a time; the others wait for their turn."""

    def __init__(self, url: str, prefix: str, ttl_s: int) -> None:
        self.address = Address.parse(url)
        self.counts = RedisCounts()
        self._prefix = prefix
        self._ttl_s = ttl_s
        self._route: Route | None = None
        self._lock = asyncio.Lock()
        self._told = False

    @property
    def away(self) -> bool:
        """Whether a write waits because Redis is away or unwilling."""
        return self._told

    async def start(self) -> None:
        """Wait until Redis answers; one log line says what is waited for."""
        async with self._lock:
            await self._patiently(self._connect)

    async def stop(self) -> None:
        if self._route is not None:
            await self._route.close()
            self._route = None

    async def write(self, many: Iterable[Values]) -> None:
        """Write all values that are meant for Redis and return when Redis has answered every one.

        Of several values for a key only the newest is: nobody could read the others for longer than a call.
        Waits while Redis is away (nothing is lost: writing again is harmless) and raises `BrokerError` when
        it refuses for good.
        """
        entries = [
            _Entries(of.ids, of.values, newest(of.ids, of.values), *self._around(of.kind))
            for of in merged(each for each in many if each.redis and each.ids)
        ]
        if entries:
            async with self._lock:
                await self._patiently(lambda: self._write(entries))

    async def read(self, kind: str, ids: Sequence[bytes]) -> list[bytes | None]:
        """Values of one kind as they are; fails with OSError when Redis is away."""
        before, after = self._around(kind)
        async with self._lock:
            route = await self._connect()
            places: dict[RedisConnection, list[int]] = {}
            for at, entity in enumerate(ids):
                places.setdefault(route.connection(before + entity + after), []).append(at)
            found: list[bytes | None] = [None] * len(ids)
            for connection, mine in places.items():
                packed = b"".join(pack_bytes([b"GET", before + ids[at] + after]) for at in mine)
                for at, reply in zip(mine, await connection.execute([packed], len(mine)), strict=True):
                    found[at] = reply if isinstance(reply, bytes) else None
            return found

    async def put(self, key: str, value: bytes, ttl_s: int) -> None:
        """Set one key without a guard; fails with OSError when Redis is away."""
        async with self._lock:
            route = await self._connect()
            await route.connection(key.encode()).call("SET", key, value, "EX", ttl_s)

    def _around(self, kind: str) -> list[bytes]:
        """What stands before and after the entity in the keys of a kind."""
        return key_of(self._prefix, kind, "\0").encode().split(b"\0")

    async def _write(self, many: Iterable[_Entries]) -> None:
        route = await self._connect()
        refused = written = 0
        for entries in many:
            for connection, found in route.split(entries, KEYS_PER_CALL).items():
                calls = [entries.places[some] for some in found]
                packed = pack_calls(
                    entries.ids, entries.values, entries.before, entries.after, calls, self._ttl_s
                )
                for reply in await connection.execute(packed, len(calls)):
                    if not isinstance(reply, int):
                        raise _error(reply)
                    refused += reply
            written += len(entries)
        self.counts.refused += refused
        self.counts.written += written - refused

    async def _connect(self) -> Route:
        if self._route is None or not self._route.is_open:
            if self._route is not None:
                await self._route.close()
            self._route = await find_route(self.address)
            await self._load(self._route)
        return self._route

    async def _load(self, route: Route) -> None:
        for connection in route.connections():
            await connection.call("SCRIPT", "LOAD", SCRIPT)

    async def _patiently(self, act: Callable[[], Awaitable[object]]) -> None:
        """Call `act` until it succeeds, waiting longer each time Redis is away or unwilling for now."""
        for wait_s in backoff():
            try:
                await act()
            except (OSError, TimeoutError) as error:
                reason, way_out = str(error) or type(error).__name__, "start it or correct STREAM_REDIS_URL"
            except ReplyError as error:
                if error.code == "NOSCRIPT" and self._route is not None:
                    await self._load(self._route)
                    continue
                if error.code in _ELSEWHERE and self._route is not None:
                    await self._route.close()
                    continue
                if error.code not in _WAIT:
                    raise BrokerError(f"Redis at {self.address} refuses to write ({error}).") from None
                reason, way_out = str(error), _WAY_OUT.get(error.code, "it may pass by itself")
            else:
                if self._told:
                    log.info("Redis at %s answers again.", self.address)
                self._told = False
                return
            self.counts.retries += 1
            if not self._told:
                log.error(
                    "Redis at %s does not serve (%s): %s (trying again until it does).",
                    self.address,
                    reason,
                    way_out,
                )
                self._told = True
            await asyncio.sleep(wait_s)


def _error(reply: Reply) -> Exception:
    return (
        reply if isinstance(reply, ReplyError) else BrokerError(f"Redis answered {reply!r} to a script call.")
    )
