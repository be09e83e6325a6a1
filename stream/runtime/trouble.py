"""What is known of a partition whose records end the worker: which are suspected, which are left out.

Kept in the metadata of the group's commits, so that whoever opens the unit next goes on from it. Nothing
here does I/O; `stream.runtime.trial` acts on it.

A worker that finds that work on a partition began several times and never got anywhere applies what lies
before it in short stretches, and commits which one before it begins. A stretch that was begun and not
finished is cut finer by the next start, down to one record; a record that was alone and ended the worker
`TRIES` times is left out for good. An error that the engine raises names its batch, so that the first start
after it knows where to look.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

STARTS = 2
"""Starts that got nowhere before the next goes carefully: one may be a rebalance, or an ill-timed kill."""
TRIES = 2
"""Times that a record ends the worker alone before it is left out: once may be a coincidence."""
STRETCHES = 1000
"""Into which suspects are cut. Each costs a commit, so that all of them take some seconds; a backlog of a
million records is down to single ones in three starts."""
LEFT_OUT_MAX = 100
"""More do not fit into a commit's metadata, of which brokers take 4,096 bytes. And where so many crash,
the records are not what is broken: nothing more is left out then."""
SAID_BYTES = 2000
"""Of a traceback the end, which names the line and the error; the rest of the metadata is for offsets."""


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one partition. The empty one is that of a partition without trouble."""

    starts: int = 0
    """How often work on it began since it last got on or was given away in order, this time included."""
    suspects: tuple[int, int] = (0, 0)
    """First offset of the stretch that was begun and not finished, and the one after its last."""
    tries: int = 0
    """How often exactly this stretch was begun."""
    left_out: tuple[int, ...] = ()
    """Offsets of records that no worker applies any more. They stay after they were passed, because a replay
    may come by them: state is a function of the log without them."""
    owed: tuple[int, ...] = ()
    """Those of them that may not be in dead-letters yet."""
    said: tuple[int, str] = (-1, "")
    """Offset of a suspect that raised an error alone, or of one that is owed and had, and the traceback."""

    @property
    def condemned(self) -> bool:
        """Whether the suspect is to be left out."""
        first, upto = self.suspects
        return upto - first == 1 and self.tries >= TRIES and len(self.left_out) < LEFT_OUT_MAX

    def opened(self) -> Trouble:
        """Work begins: without the suspect, if it is condemned."""
        if not self.condemned:
            return self._with(starts=self.starts + 1)
        first = self.suspects[0]
        known = self._with(left_out=(*self.left_out, first), owed=(*self.owed, first))
        return known._with(starts=1, suspects=(0, 0), tries=0)

    def given_away(self) -> Trouble:
        """The partition is given away in order, so that nothing of it has ended this worker."""
        return self._with(starts=0)

    def pruned(self, start: int) -> Trouble:
        """Without those below `start`, from which the unit is replayed, if there is no room for more.

        Not before: a worker that was frozen may still put an older bucket on top of a newer one, from which a
        later replay begins.
        """
        if len(self.left_out) < LEFT_OUT_MAX:
            return self
        return self._with(left_out=tuple(at for at in self.left_out if at >= start))

    def marked(self, first: int, upto: int) -> Trouble:
        """The records from `first` to `upto` (excluded) are about to be applied."""
        again = self.suspects == (first, upto)
        return self._with(suspects=(first, upto), tries=self.tries + 1 if again else 1)

    def raised(self, first: int, upto: int, said: str) -> Trouble:
        """Applying the records from `first` to `upto` (excluded), marked or not, raised an error."""
        known = self if self.suspects == (first, upto) else self.marked(first, upto)
        return known._with(said=(first, said)) if upto - first == 1 else known

    def told(self, offset: int) -> Trouble:
        """All below `offset` that were owed to dead-letters are in it."""
        return self._with(owed=tuple(at for at in self.owed if at >= offset))

    def cleared(self) -> Trouble:
        """What was begun is done."""
        return self._with(starts=0, suspects=(0, 0), tries=0)

    def moved_on(self, offset: int) -> Trouble:
        """All records below `offset` are done for good; suspects above it stay."""
        known = self.told(offset)
        return known.given_away() if self.suspects[1] > offset else known.cleared()

    def plan(self, start: int, end: int) -> Plan:
        """How to go on, for a unit that has `start` to `end` (excluded) of its log before it."""
        first, upto = self.suspects
        if first == upto and self.starts > STARTS:
            upto = end
        first = max(first, start)
        stride = max(1, -(-(upto - first) // STRETCHES))
        left_out = frozenset(at for at in self.left_out if at >= start)
        return Plan(left_out, frozenset(self.owed), self.said, first, upto, stride)

    def without_words(self) -> Trouble:
        """Offsets and counts alone."""
        return msgspec.structs.replace(self, said=(-1, ""))

    def _with(self, **changes: Any) -> Trouble:
        """With these changes, and without an error that nobody will ask for any more."""
        changed = msgspec.structs.replace(self, **changes)
        at = changed.said[0]
        if at < 0 or at in changed.owed or changed.suspects == (at, at + 1):
            return changed
        return msgspec.structs.replace(changed, said=(-1, ""))


CALM = Trouble()


class Piece(NamedTuple):
    """Part of a batch: `left_out` is one record that is passed over, `watched` is marked before it."""

    records: Sequence[Any]
    left_out: bool
    watched: bool


class Plan(NamedTuple):
    """How a unit's batches are applied: whole, but for what is left out and what is watched.

    Watched are the offsets from `first` to `upto` (excluded), in stretches of `stride` records.
    """

    left_out: frozenset[int] = frozenset()
    owed: frozenset[int] = frozenset()
    """Those left out that may not be in dead-letters yet."""
    said: tuple[int, str] = (-1, "")
    """Offset of one of them, and the traceback of the error that it raised."""
    first: int = 0
    upto: int = 0
    stride: int = 1

    @property
    def is_plain(self) -> bool:
        """Whether all batches are applied whole."""
        return not self.left_out and self.first >= self.upto

    def after(self, offset: int) -> Plan:
        """The plan for what comes from `offset` on, which is plain as soon as it can be."""
        left_out = frozenset(at for at in self.left_out if at >= offset)
        first, upto = (self.first, self.upto) if offset < self.upto else (0, 0)
        return self._replace(left_out=left_out, first=first, upto=upto)

    def pieces(self, records: Sequence[Any]) -> Iterator[Piece]:
        """A batch in pieces, in its order."""

        def kind(record: Any) -> tuple[bool, bool]:
            left_out = record.offset in self.left_out
            return left_out, not left_out and self.first <= record.offset < self.upto

        for (left_out, watched), group in groupby(records, kind):
            some = list(group)
            step = 1 if left_out else self.stride if watched else len(some)
            for at in range(0, len(some), step):
                yield Piece(some[at : at + step], left_out, watched)

    def sentence(self, offset: int) -> str:
        """Why this record is left out, for its dead letter."""
        times = f"the record ended the worker {TRIES} times when it was applied alone"
        if offset == self.said[0]:
            return f"{times}\n{self.said[1]}"
        return f"{times}; no error is known: killed, out of memory, or a fault in native code"


def said_of(error: BaseException) -> str:
    """The traceback, or as much of its end as `SAID_BYTES` hold when it is written as JSON."""
    said = "".join(traceback.format_exception(error)).rstrip()
    while len(msgspec.json.encode(said)) > SAID_BYTES:
        said = "…" + said[1 + max(1, len(said) // 16) :]
    return said
