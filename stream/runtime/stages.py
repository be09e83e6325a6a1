"""The stages of the pipeline as the shell sees them: a topic, units to open and close, batches to apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from stream.effects import Effects, Message
from stream.events.records import Record
from stream.runtime.topics import EVENTS, EXAMPLES, ITEM_STATE, ITEM_UPDATES, SHOPPER_STATE


class Metrics(Protocol):
    """Counters of the engine."""

    def as_dict(self) -> dict[str, Any]: ...


class Engine(Protocol):
    """What the shell calls of `stream.engine.Engine`."""

    @property
    def metrics(self) -> Metrics: ...
    def open_shoppers(self, partition: int, lineage_ms: int) -> object: ...
    def open_items(self, partition: int, lineage_ms: int) -> object: ...
    def restore_shoppers(self, partition: int, saved: Sequence[bytes]) -> int: ...
    def restore_items(self, partition: int, saved: Sequence[bytes]) -> int: ...
    def close_shoppers(self, partition: int) -> None: ...
    def close_items(self, partition: int) -> None: ...
    def shoppers(
        self, partition: int, records: Sequence[Record], now_ms: int, silent: bool = False
    ) -> Effects: ...
    def items(
        self, partition: int, records: Sequence[Record], now_ms: int, silent: bool = False
    ) -> Effects: ...
    def leave_out_items(self, partition: int, record: Record) -> None: ...
    def in_backlog(self, behind: bool) -> None: ...
    def save_shoppers(self, partition: int) -> list[Message]: ...
    def save_items(self, partition: int) -> list[Message]: ...
    def tick(self, now_ms: int, limit: int) -> Effects: ...
    def unsaved(self, most: int) -> Effects: ...
    def wanted(self, limit: int) -> list[bytes]: ...
    def adopt(self, item_id: bytes, similar: bytes | None, together: bytes | None) -> str | None:
        """Why the values were refused, None when they were not."""

    def control(self, topic: str, key: bytes | None, value: bytes | None) -> str | None:
        """Why the message was refused, None when it was not."""


class Learner(Protocol):
    """What the shell calls of `stream.learn.Learner`."""

    def learn(self, records: Sequence[Record], now_ms: int) -> Effects: ...


def _nothing(partition: int) -> list[Message]:
    return []


def _pass_over(partition: int, record: Record) -> None:
    """Where records do not build on each other there is nothing to do."""


def _the_same(behind: bool) -> None:
    """A stage to which a backlog makes no difference."""


class Stage(NamedTuple):
    """One stage. `state` is the topic of its saved buckets, if it has any.

    `open(partition, lineage_ms)`; `restore(partition, saved buckets)` gives the offset to replay from;
    `apply(partition, records, now_ms, silent)`; `save(partition)` gives the buckets whose turn it is then;
    `leave_out(partition, record)` passes over a record that cannot be applied.
    """

    name: str
    topic: str
    state: str | None
    open: Callable[[int, int], object]
    restore: Callable[[int, Sequence[bytes]], int]
    close: Callable[[int], None]
    apply: Callable[[int, Sequence[Record], int, bool], Effects]
    save: Callable[[int], list[Message]] = _nothing
    leave_out: Callable[[int, Record], None] = _pass_over
    in_backlog: Callable[[bool], None] = _the_same


def state_stages(engine: Engine) -> tuple[Stage, ...]:
    """The two stages of which state is kept, in the order in which they catch up: neighbours before those
    who look at them."""
    return (
        Stage(
            "items",
            ITEM_UPDATES,
            ITEM_STATE,
            engine.open_items,
            engine.restore_items,
            engine.close_items,
            engine.items,
            engine.save_items,
            engine.leave_out_items,
        ),
        Stage(
            "shoppers",
            EVENTS,
            SHOPPER_STATE,
            engine.open_shoppers,
            engine.restore_shoppers,
            engine.close_shoppers,
            engine.shoppers,
            engine.save_shoppers,
            in_backlog=engine.in_backlog,
        ),
    )


def stages_of(engine: Engine, make_learner: Callable[[], Learner]) -> tuple[Stage, ...]:
    """All stages: those of `state_stages`, and the learner."""
    learners: dict[int, Learner] = {}

    def open_learner(partition: int, lineage_ms: int) -> None:
        learners[partition] = make_learner()

    def close_learner(partition: int) -> None:
        learners.pop(partition, None)

    def learn(partition: int, records: Sequence[Record], now_ms: int, silent: bool) -> Effects:
        return learners[partition].learn(records, now_ms)

    return (
        *state_stages(engine),
        Stage("learner", EXAMPLES, None, open_learner, lambda partition, saved: 0, close_learner, learn),
    )
