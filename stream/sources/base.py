"""What all sources have in common: saving, loading, forgetting, and nothing to say by default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.errors import LayoutError
from stream.events.codes import HIDE, REMOVE, RETURN
from stream.events.types import Item
from stream.sources.source import Room
from stream.state.jit import kernel

_LEVEL = 1
"""zstd's fastest: most of a table is zeros."""


class Saved(msgspec.Struct, frozen=True):
    """A saved source. `arrays` are as they lie in memory (little-endian), without the zeros at their ends;
    `more` is what a source holds beside them."""

    name: str
    layout: int
    items: int
    shoppers: int
    arrays: dict[str, bytes]
    more: dict[str, Any] = {}


class State(Protocol):
    """A named tuple of arrays."""

    def __iter__(self) -> Iterator[NDArray[Any]]: ...
    def _asdict(self) -> Mapping[str, NDArray[Any]]: ...


S = TypeVar("S", bound=State)


class Base(Generic[S]):
    """A source whose whole memory is `state`, and what `_more` adds to it."""

    name: ClassVar[str]
    layout: ClassVar[int] = 1
    """Version of the saved form. A reader refuses a newer one."""

    def __init__(self, room: Room, state: S, work: Sequence[State] = ()) -> None:
        self.room = room
        self.state = state
        self._work = work

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, those to work with among them."""
        states: list[State] = [self.state, *self._work]
        return sum(array.nbytes for state in states for array in state)

    def describe_items(self, numbers: NDArray[np.int32], facts: Sequence[Item]) -> None:
        """Facts are nothing to this source."""

    def hear(self, shopper: int, code: int, words: str) -> None:
        """Words are nothing to this source."""

    def save(self) -> bytes:
        """See `Source.save`. About 1 ms a megabyte held."""
        arrays = {name: array.tobytes().rstrip(b"\0") for name, array in self.state._asdict().items()}
        saved = Saved(self.name, self.layout, self.room.items, self.room.shoppers, arrays, self._more())
        return bytes(cramjam.zstd.compress(msgspec.msgpack.encode(saved), level=_LEVEL))

    def load(self, data: bytes) -> None:
        """See `Source.load`."""
        saved = self._checked(data)
        # It may refuse what it is given; nothing has changed then.
        self._take(saved.more)
        for name, array in self.state._asdict().items():
            held = saved.arrays[name]
            flat = array.reshape(-1).view(np.uint8)
            flat[: len(held)] = np.frombuffer(held, np.uint8)
            flat[len(held) :] = 0

    def _more(self) -> dict[str, Any]:
        return {}

    def _take(self, more: dict[str, Any]) -> None:
        """Become what `_more` gave."""

    def _checked(self, data: bytes) -> Saved:
        try:
            saved = msgspec.msgpack.decode(bytes(cramjam.zstd.decompress(data)), type=Saved)
        except (msgspec.MsgspecError, cramjam.DecompressionError) as error:
            raise LayoutError(f"this is no saved source {self.name}: {error}") from error
        if saved.name != self.name:
            raise LayoutError(f"this was saved by the source {saved.name}: load it there, not in {self.name}")
        if saved.layout > self.layout:
            raise LayoutError(
                f"the source {self.name} was saved with layout {saved.layout} and this version reads up to "
                f"{self.layout}: load it with the version that saved it, or a newer one"
            )
        if (saved.items, saved.shoppers) != self.room[:2]:
            raise LayoutError(
                f"the source {self.name} was saved with room for {saved.items} items and {saved.shoppers} "
                f"shoppers: give it the same room, not {self.room.items} and {self.room.shoppers}"
            )
        return saved


def mask_of(numbers: NDArray[np.int32], size: int) -> NDArray[np.bool_]:
    """By number + 1 whether it is among `numbers`; one more entry in front, for none."""
    mask = np.zeros(size + 1, np.bool_)
    mask[within(numbers, size) + 1] = True
    return mask


def within(numbers: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Those that there is room for."""
    return numbers[(numbers >= 0) & (numbers < size)]


@kernel
def unwanted(code: int) -> bool:
    """Whether an event of this type says that its shopper does not want its item."""
    return code == REMOVE or code == RETURN or code == HIDE


@kernel
def strike(numbers: NDArray[np.int32], gone: NDArray[np.bool_]) -> None:
    """Set to 0 (none) each entry, a number + 1, that is gone."""
    for k in range(len(numbers)):
        if gone[numbers[k]]:
            numbers[k] = 0
