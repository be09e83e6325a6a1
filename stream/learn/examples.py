"""Messages of the topic `examples`: what became of lists that were published, in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.recommend.exposures import NOT_SHOWN
from stream.recommend.features import FEATURES, HELD, N_CONTEXTS, N_FEATURES
from stream.recommend.rank import KEPT

if TYPE_CHECKING:
    from stream.recommend.exposures import Examples

LISTS_PER_MESSAGE = 256
"""At most half a megabyte: brokers refuse messages of more than one."""


class Columns(msgspec.Struct, frozen=True):
    """Lists to learn from, and places for the live quality, as bytes in C order, little-endian.

    `names` are those of the features, `contexts` how many contexts there are. By list: `value` int16 (lists,
    `KEPT`, features) in steps of 1/2048, `context` uint8 (lists, `HELD`), `size` uint8, `taken` uint8,
    `weight` uint8, `shown` uint8 (lists, `KEPT`), `again` uint8. `places`: int16 (lists labelled for the
    first time, 4), see `stream.recommend.exposures`. Who wrote neither `shown` nor `again` knew of no
    positions, and labelled lists once.
    """

    names: tuple[str, ...]
    contexts: int
    value: bytes
    context: bytes
    size: bytes
    taken: bytes
    weight: bytes
    places: bytes
    shown: bytes = b""
    again: bytes = b""


class Labelled:
    """One message as arrays, views on its bytes."""

    def __init__(self, columns: Columns) -> None:
        self.taken = np.frombuffer(columns.taken, np.uint8)
        self.size = np.frombuffer(columns.size, np.uint8)
        self.weight = np.frombuffer(columns.weight, np.uint8)
        n = len(self.taken)
        self.value = np.frombuffer(columns.value, np.int16).reshape(n, KEPT, N_FEATURES)
        self.context = np.frombuffer(columns.context, np.uint8).reshape(n, HELD)
        shown = columns.shown or bytes([NOT_SHOWN]) * (n * KEPT)
        self.shown = np.frombuffer(shown, np.uint8).reshape(n, KEPT)
        self.again = np.frombuffer(columns.again or bytes(n), np.uint8)
        if not (
            len(self.size) == len(self.weight) == len(self.again) == n and (self.taken < self.size).all()
        ):
            raise ValueError("columns differ in length, or a list does not hold what was taken of it")
        if (self.size > KEPT).any() or (self.context >= N_CONTEXTS).any():
            raise ValueError("a list is too long, or speaks of a context that does not exist")


def places_of(columns: Columns) -> NDArray[np.int16]:
    """The places of a message, (lists labelled for the first time, 4)."""
    return np.frombuffer(columns.places, np.int16).reshape(-1, 4)


def is_ours(columns: Columns) -> bool:
    """Whether the features and contexts are those of this version."""
    return columns.names == FEATURES and columns.contexts == N_CONTEXTS


def pack_examples(examples: Examples) -> list[bytes]:
    """Messages for all that a batch labelled (MessagePack)."""
    lists, labelled = int(examples.filled[0]), int(examples.filled[1])
    messages = []
    for at in range(0, max(labelled, lists), LISTS_PER_MESSAGE):
        some = slice(min(at, lists), min(at + LISTS_PER_MESSAGE, lists))
        columns = Columns(
            FEATURES,
            N_CONTEXTS,
            value=examples.value[some].tobytes(),
            context=examples.context[some].tobytes(),
            size=examples.size[some].tobytes(),
            taken=examples.taken[some].tobytes(),
            weight=examples.weight[some].tobytes(),
            places=examples.places[min(at, labelled) : min(at + LISTS_PER_MESSAGE, labelled)].tobytes(),
            shown=examples.shown[some].tobytes(),
            again=examples.again[some].tobytes(),
        )
        messages.append(msgspec.msgpack.encode(columns))
    return messages


def unpack_examples(value: bytes) -> Columns:
    """The message in `value`; raises `msgspec.MsgspecError` for anything else."""
    return msgspec.msgpack.decode(value, type=Columns)
