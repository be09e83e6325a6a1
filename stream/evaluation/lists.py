"""Lists as feeds tell them: values of the kind `recs`, each with the offset of the event it follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from stream.effects import VERSION_CHARS, VERSION_PREFIX, Effects, Values, version

_VERSION = slice(len(VERSION_PREFIX), len(VERSION_PREFIX) + VERSION_CHARS)


def lists_of(effects: Effects) -> Iterator[tuple[tuple[str, int], bytes]]:
    """Of every list its shopper and the offset of the event after which it was made, and its JSON."""
    for values in effects.values:
        if values.kind == "recs":
            for shopper, value in zip(values.ids, values.values, strict=True):
                yield (shopper.decode(), int(value[_VERSION].rpartition(b"-")[2])), value


class Told:
    """What a feed that ranks by itself has made since it was last asked."""

    def __init__(self) -> None:
        self._ids: list[bytes] = []
        self._lists: list[bytes] = []

    def add(self, shopper: str, offset: int, items: Sequence[str], scores: Sequence[float] = ()) -> None:
        """A list, made after the event at `offset`."""
        told = version(0, offset), msgspec.json.encode(items), msgspec.json.encode(scores)
        self._ids.append(shopper.encode())
        self._lists.append(b'{"version":"%s","items":%s,"scores":%s}' % told)

    def flush(self) -> Effects:
        """All of them, as `lists_of` reads them."""
        effects = Effects([Values.of("recs", self._ids, self._lists)])
        self._ids, self._lists = [], []
        return effects
