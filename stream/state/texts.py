"""Many byte strings as one, so that kernels can write them where they are to go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stream.state.jit import kernel


class Texts:
    """Byte strings that lie one after another: text k is ``data[ends[k - 1]:ends[k]]``.

    A sequence of `bytes` to whoever does not care; `array` and `ends` (int64) are for kernels.
    """

    __slots__ = ("data", "ends")

    def __init__(self, data: bytes, ends: NDArray[np.int64]) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> Texts:
        """Those of Python."""
        every = list(texts)
        return cls(b"".join(every), np.cumsum([len(text) for text in every], dtype=np.int64))

    @classmethod
    def chained(cls, many: Sequence[Texts]) -> Texts:
        """The texts of all, in order."""
        if len(many) == 1:
            return many[0]
        starts = np.cumsum([0, *(len(texts.data) for texts in many)])
        ends = [texts.ends + start for texts, start in zip(many, starts, strict=False)]
        return cls(b"".join(texts.data for texts in many), np.concatenate([np.zeros(0, np.int64), *ends]))

    @property
    def array(self) -> NDArray[np.uint8]:
        """The bytes of all, read-only."""
        return np.frombuffer(self.data, np.uint8)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, at: int) -> bytes:
        start = int(self.ends[at - 1]) if at else 0
        return self.data[start : int(self.ends[at])]

    def __iter__(self) -> Iterator[bytes]:
        start = 0
        for end in self.ends.tolist():
            yield self.data[start:end]
            start = end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Texts) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Texts.of({list(self)!r})"


@kernel
def put(out: NDArray[np.uint8], at: int, data: NDArray[np.uint8], start: int, stop: int) -> int:
    """Write ``data[start:stop]`` to `out` at `at`; the place after it."""
    for k in range(stop - start):
        out[at + k] = data[start + k]
    return at + stop - start


@kernel
def gather(
    data: NDArray[np.uint8], more: NDArray[np.uint8], spans: NDArray[np.int64], out: NDArray[np.uint8]
) -> None:
    """Write what lies at `spans` (n, 2) in `data`, or in `more` behind it, each followed by a NUL."""
    at = 0
    for n in range(len(spans)):
        start, stop = spans[n]
        if start < len(data):
            at = put(out, at, data, start, stop)
        else:
            at = put(out, at, more, start - len(data), stop - len(data))
        out[at] = 0
        at += 1
