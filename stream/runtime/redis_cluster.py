"""Which connection a key's value goes to: the only one, or the owner of its slot in a cluster."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream.runtime.redis_connection import Address, RedisConnection

SLOTS = 16384

Calls = list[NDArray[np.int64]]
"""Of each call, the places of its keys."""


class Keys(Protocol):
    """Some keys, of which a single Redis needs to know no more than how many."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


def key_slot(key: bytes) -> int:
    """The cluster slot of a key: CRC16 of the part in the first braces, or of the whole key.

    https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    """
    start = key.find(b"{")
    end = key.find(b"}", start + 1) if start >= 0 else -1
    return crc_hqx(key[start + 1 : end] if end > start + 1 else key, 0) % SLOTS


class Route(Protocol):
    """Keys to connections."""

    @property
    def is_open(self) -> bool: ...
    def connections(self) -> list[RedisConnection]: ...
    def connection(self, key: bytes) -> RedisConnection: ...
    def split(self, keys: Keys, most: int) -> dict[RedisConnection, Calls]:
        """Keys by connection, in calls of at most `most` that one script call may touch together."""

    async def close(self) -> None: ...


class Single:
    """One Redis for all keys."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    def connections(self) -> list[RedisConnection]:
        return [self._connection]

    def connection(self, key: bytes) -> RedisConnection:
        return self._connection

    def split(self, keys: Keys, most: int) -> dict[RedisConnection, Calls]:
        return {self._connection: _calls(np.arange(len(keys)), most)}

    async def close(self) -> None:
        await self._connection.close()


class Cluster:
    """One connection a primary; a script call touches keys of one slot only."""

    def __init__(self, owners: list[tuple[int, int, RedisConnection]]) -> None:
        self._owners = owners

    @property
    def is_open(self) -> bool:
        return all(connection.is_open for connection in self.connections())

    def connections(self) -> list[RedisConnection]:
        return list(dict.fromkeys(connection for _, _, connection in self._owners))

    def connection(self, key: bytes) -> RedisConnection:
        return self._owner(key_slot(key))

    def split(self, keys: Keys, most: int) -> dict[RedisConnection, Calls]:
        slots: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            slots.setdefault(key_slot(key), []).append(place)
        calls: dict[RedisConnection, Calls] = {}
        for slot, places in slots.items():
            calls.setdefault(self._owner(slot), []).extend(_calls(np.array(places), most))
        return calls

    async def close(self) -> None:
        for connection in self.connections():
            await connection.close()

    def _owner(self, slot: int) -> RedisConnection:
        for first, last, connection in self._owners:
            if first <= slot <= last:
                return connection
        raise ConnectionError(f"no node of the Redis cluster serves slot {slot}")


def _calls(places: NDArray[np.int64], most: int) -> Calls:
    return [places[k : k + most] for k in range(0, len(places), most)]


async def find_route(address: Address) -> Route:
    """Connect to `address`, and to every primary when it is a node of a cluster."""
    first = RedisConnection(address)
    await first.open()
    info: bytes = await first.call("INFO", "cluster")
    if b"cluster_enabled:1" not in info:
        return Single(first)
    nodes: dict[tuple[str, int], RedisConnection] = {}
    owners = []
    for start, end, primary, *_ in await first.call("CLUSTER", "SLOTS"):
        where = (primary[0].decode() or address.host, int(primary[1]))
        if where not in nodes:
            nodes[where] = RedisConnection(address._replace(host=where[0], port=where[1], db=0))
            await nodes[where].open()
        owners.append((int(start), int(end), nodes[where]))
    await first.close()
    return Cluster(owners)
