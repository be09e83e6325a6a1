"""What a web app imports: reads what the workers publish to Redis.

::

    from stream.client import Client

    client = Client("redis://127.0.0.1:6379/0")
    found = client.recommendations("shopper-17", limit=8)
    if found is not None:
        for item in found:
            show(item.id, because=item.sentence())

Needs msgspec and redis only. Every value is one JSON string under `key_of`, so that programs in other
languages read the same in one GET.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
import redis

from stream.cohorts import cohorts
from stream.errors import BrokerError, LayoutError
from stream.values import Price, Profile, Ranked, in_words, key_of, kind_of

V = TypeVar("V")

__all__ = ["Client", "Price", "Profile", "Recommendations", "Recommended", "decode_list", "key_of"]

TIMEOUT_S = 2.0
"""A page had better show something else than wait longer for its recommendations."""

_TIMEOUTS = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}


class Recommended(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One place of a list. `score` only orders its own list; `reason` is viewed, bought, led_to (bought
    by others after what this shopper looked at), category, trending, popular (in the shop), related (by two
    steps), again (seen or bought before), pinned (by a rule of the shop), alike (new, and like the last item
    looked at), interest (of what the shopper stated or searched for), cohort (taken by others who come the
    same way) or new (put there to find out what it is worth).

    `because`: the item that the shopper looked at and that is the reason, if one is. `shoppers`: how many
    distinct shoppers are behind it, at least; 0 where that is fewer than five, or nothing that is counted.
    """

    id: str
    score: float
    reason: str
    because: str | None = None
    shoppers: int = 0

    def sentence(self) -> str | None:
        """The reason in words; None where it rests on shoppers, and they are fewer than five.

        >>> Recommended("desk", 0.9, "viewed", "lamp", 28).sentence()
        'you viewed lamp; at least 28 shoppers viewed both'
        """
        return in_words(self.reason, self.because, self.shoppers)


class Recommendations(msgspec.Struct, frozen=True):
    """A list as it was published, the best first.

    `version` grows with every publication for the same id; give it back as `request_id` of events that
    the list led to, and of the impression that says what of it was shown. `generated_at` is in epoch
    milliseconds, `model` names what ranked it.
    """

    items: tuple[Recommended, ...]
    version: str
    generated_at: int
    model: str

    def __iter__(self) -> Iterator[Recommended]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def decode_list(value: bytes, limit: int | None = None) -> Recommendations:
    """A published list as objects; raises `msgspec.MsgspecError` or ValueError for anything else. Values of
    older workers have nothing behind their places.

    >>> wire = b'''{"version":"0000000000000-0000000000000007","generated_at":1738574040123,
    ... "model":"share","items":["lamp","desk"],"scores":[0.91,0.2],"reasons":["viewed","trending"]}'''
    >>> decode_list(wire).items[0]
    Recommended(id='lamp', score=0.91, reason='viewed')
    >>> [item.id for item in decode_list(wire, limit=1)]
    ['lamp']
    """
    found = msgspec.json.decode(value, type=Ranked)
    size = len(found.items)
    if max(found.because, default=-1) >= len(found.anchors):
        raise ValueError("a place has an anchor that is not told")
    because = [found.anchors[k] if k >= 0 else None for k in found.because] or [None] * size
    shoppers = found.shoppers or [0] * size
    rows = zip(found.items, found.scores, found.reasons, because, shoppers, strict=True)
    items = tuple(Recommended(*row) for row in rows)
    return Recommendations(items[:limit], found.version, found.generated_at, found.model)


class Client:
    """Reads from one Redis or a cluster of them. Thread-safe, keeps its connections.

    None stands for "nothing published".

    Every method costs one round trip and raises `BrokerError` when Redis is away or refuses, `LayoutError`
    when a value was written by something else.
    """

    def __init__(self, redis_url: str, prefix: str = "stream") -> None:
        self._prefix = prefix
        self._url = redis_url
        try:
            self._redis: Any = redis.Redis.from_url(redis_url, **_TIMEOUTS)
        except ValueError as error:
            raise BrokerError(f"The Redis URL is not usable ({error}): correct it.") from None

    def recommendations(
        self, user_id: str, limit: int = 20, scenario: str = "home"
    ) -> Recommendations | None:
        """What to show to a shopper now, at most `limit` items (20 are published): at home, or in another
        scenario that the workers make lists of for shoppers, such as `cart`, `email` and `buy-again`."""
        return self._list(kind_of(scenario), user_id, limit)

    def product(self, item_id: str, limit: int = 20) -> Recommendations | None:
        """What to show on an item's page: as `similar`, but ranked, filled up and under the rules of the
        shop."""
        return self._list(kind_of("product"), item_id, limit)

    def similar(self, item_id: str) -> Recommendations | None:
        """Items looked at together with this one."""
        return self._list("similar", item_id)

    def together(self, item_id: str) -> Recommendations | None:
        """Items bought together with this one."""
        return self._list("together", item_id)

    def trending(self, category: str | None = None) -> Recommendations | None:
        """Items that many look at right now, in one category or in all of the shop."""
        return self._list("trending", category if category is not None else "all")

    def first(self, context: Mapping[str, Any], limit: int = 20) -> Recommendations | None:
        """What to show to somebody of whom nothing is known but the `context` of the visit, as an event's
        (`stream.cohorts`): what those take who come the same way, by the first cohort of which enough is
        known, else what is trending. A round trip for each cohort that there is no list of."""
        for name in cohorts(context).values():
            found = self._list("cohort", name, limit)
            if found:
                return found
        return self._list("trending", "all", limit)

    def price(self, item_id: str) -> Price | None:
        """The price in force of an item, and why."""
        return self._value("price", item_id, partial(msgspec.json.decode, type=Price))

    def profile(self, user_id: str) -> Profile | None:
        """The interests that a shopper stated, and the items hidden: to be shown to him, and corrected."""
        return self._value("profile", user_id, partial(msgspec.json.decode, type=Profile))

    def workers(self) -> list[dict[str, Any]]:
        """What every live worker tells about itself, by name. Scans all keys: not for a page."""
        found = []
        try:
            for key in self._redis.scan_iter(key_of(self._prefix, "worker", "*"), count=1000):
                value = self._redis.get(key)
                if value is not None:
                    found.append(msgspec.json.decode(value, type=dict[str, Any]))
        except redis.RedisError as error:
            raise self._away(error) from None
        return sorted(found, key=lambda status: str(status.get("worker")))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _list(self, kind: str, entity: str, limit: int | None = None) -> Recommendations | None:
        return self._value(kind, entity, partial(decode_list, limit=limit))

    def _value(self, kind: str, entity: str, decode: Callable[[bytes], V]) -> V | None:
        value, key = self._get(kind, entity)
        if value is None:
            return None
        try:
            return decode(value)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _unreadable(key, error) from None

    def _get(self, kind: str, entity: str) -> tuple[bytes | None, str]:
        key = key_of(self._prefix, kind, entity)
        try:
            try:
                return self._redis.get(key), key
            except redis.exceptions.MovedError:
                # One node of a cluster, which asks to be read as one.
                self._redis.close()
                self._redis = redis.cluster.RedisCluster.from_url(self._url, **_TIMEOUTS)
                return self._redis.get(key), key
        except redis.RedisError as error:
            raise self._away(error) from None

    def _away(self, error: redis.RedisError) -> BrokerError:
        parts = urlsplit(self._url)
        place = f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379}"
        return BrokerError(f"Redis at {place} does not serve ({error}): start it or correct its URL.")


def _unreadable(key: str, error: Exception) -> LayoutError:
    return LayoutError(f"The value of {key} is not one of this version's ({error}): upgrade the older side.")
