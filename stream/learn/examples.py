"""Messages of the topic `examples`: what became of lists that were published, in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.recommend.features import FEATURES, N_FEATURES

if TYPE_CHECKING:
    from stream.recommend.exposures import Examples


class Labelled(msgspec.Struct, frozen=True):
    """Rows to learn from, and places for the live quality.

    `features`: float32 (rows, len(names)); `label`: uint8 (rows,), 1 = taken; `places`: int16 (lists, 4),
    see `stream.recommend.exposures`; all in C order, little-endian.
    """

    names: tuple[str, ...]
    features: bytes
    label: bytes
    places: bytes

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int16]]:
        """The three arrays, as views on the message."""
        return (
            np.frombuffer(self.features, np.float32).reshape(-1, len(self.names)),
            np.frombuffer(self.label, np.uint8),
            np.frombuffer(self.places, np.int16).reshape(-1, 4),
        )


def pack_examples(examples: Examples) -> bytes:
    """One message for all that a batch labelled (MessagePack)."""
    rows, lists = int(examples.filled[0]), int(examples.filled[1])
    return msgspec.msgpack.encode(
        Labelled(
            FEATURES,
            examples.features[:rows, :N_FEATURES].tobytes(),
            examples.label[:rows].tobytes(),
            examples.places[:lists].tobytes(),
        )
    )


def unpack_examples(value: bytes) -> Labelled:
    """The message in `value`; raises `msgspec.MsgspecError` for anything else."""
    return msgspec.msgpack.decode(value, type=Labelled)
