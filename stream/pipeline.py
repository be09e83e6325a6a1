"""The whole system in one process, without Kafka: what replays, evaluations and tests run.

It does what the shell does and nothing else: hands each batch to the engine and carries the messages
among the stages. What differs is only when: here every message arrives at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream.config import EngineConfig
from stream.effects import Effects, Message
from stream.engine import Engine
from stream.events.records import LogRecord, Record
from stream.items.facts import freeze
from stream.items.sweep import sweep
from stream.learn.learner import Learner
from stream.pricing import Mode, PricingConfig
from stream.rules.request import RequestContext

TICK_EVERY = 500
"""Records between two ticks; early on, after each doubling, so that a first popularity is there soon."""


class Pipeline:
    """An engine that owns all partitions, a learner, and the topics between them as function calls."""

    def __init__(self, config: EngineConfig, partitions: int = 1, at_once: bool = False) -> None:
        """`at_once`, with one partition of each: items know of each event before the next one of its batch,
        which makes large batches as exact as single events, and several times as fast."""
        self.engine = Engine(config)
        self.learner = Learner(told=self.engine.challengers)
        self.messages = 0
        self._offsets: dict[int, int] = dict.fromkeys(range(config.item_partitions), 0)
        self._records = 0
        self._next_tick = 1
        self._frozen = False
        for partition in range(partitions):
            self.engine.open_shoppers(partition, 0)
        for partition in range(config.item_partitions):
            self.engine.open_items(partition, 0)
        if at_once:
            self.engine.tell_items_at_once()

    def push(self, records: Sequence[Record], now_ms: int, partition: int = 0) -> Effects:
        """One batch of `events` through both stages; afterwards all its consequences have happened.

        The effects returned are those that leave the system: values, refused and re-keyed records. With
        several partitions also what follows in `events` from a visitor's being identified: the caller knows
        which key belongs where.
        """
        out = self.engine.shoppers(partition, records, now_ms)
        self._route(out, now_ms)
        if len(self.engine.shopper_units) == 1:
            written, out.messages = out.messages, []
            for message in written:
                last = records[-1]
                record = LogRecord(last.offset, last.timestamp, message.key, message.value)
                out.extend(self.push([record], now_ms, partition))
        self._records += len(records)
        if self._records >= self._next_tick and not self._frozen:
            self._next_tick = self._records + min(self._records, TICK_EVERY)
            ticked = self.tick(now_ms)
            out.values += ticked.values
        return out

    def freeze(self, now_ms: int) -> None:
        """Learn no more: from here on an event changes its own shopper's row, and neither items, popularity
        nor the model. Until then everything counts; afterwards do not `tick`."""
        self.tick(now_ms)
        self._frozen = True
        freeze(self.engine.table.facts)
        for unit in self.engine.shopper_units.values():
            unit.items_at_once = None

    def tick(self, now_ms: int, limit: int = 0) -> Effects:
        """Popularity, and up to `limit` item lists and prices."""
        effects = self.engine.tick(now_ms, limit)
        self._route(effects, now_ms)
        return effects

    def drain(self, now_ms: int) -> Effects:
        """Tick until nothing is due any more."""
        out = Effects()
        while True:
            now_ms += 1_000
            messages = self.messages
            effects = self.tick(now_ms, 1_000)
            out.values += effects.values
            if not effects.values and self.messages == messages:
                return out

    def _route(self, effects: Effects, now_ms: int) -> None:
        routed, effects.messages = effects.messages, []
        for message in routed:
            self.messages += 1
            if message.topic == "events":
                effects.messages.append(message)
            elif self._frozen:
                continue
            elif message.topic == "item-updates":
                assert message.partition is not None
                offset = self._offsets[message.partition]
                self._offsets[message.partition] += 1
                record = LogRecord(offset, now_ms, message.key, message.value)
                self.engine.items(message.partition, [record], now_ms)
            elif message.topic == "examples":
                record = LogRecord(0, now_ms, message.key, message.value)
                for learned in self.learner.learn([record], now_ms).messages:
                    self._control(learned)
            else:
                self._control(message)

    def _control(self, message: Message) -> None:
        self.engine.control(message.topic, message.key, message.value)


def warm_up() -> None:
    """Have every kernel compiled, or read from its cache, before the first event waits for it."""
    pipeline = Pipeline(EngineConfig(max_items=1, max_shoppers=1, pricing=PricingConfig(mode=Mode.AUTO)))
    told = {"event_id": "", "user_id": "u", "ts": 0, "price": 1.0, "items": [{"item_id": "a", "position": 0}]}
    kinds = ("view", "cart", "purchase", "hide", "return", "impression", "identify")
    events = [
        told
        | {
            "event_id": f"{kind}-{item}-{n}",
            "type": kind,
            "item_id": item,
            "request_id": "0-0",
            "session_id": "s",
        }
        for n in range(3)
        for kind in kinds
        for item in "abc"
    ]
    # As many attributes as an item may have, so that the memory for them grows.
    texts = {f"a{n}": [f"{n}-{k}" for k in range(64)] for n in range(64)}
    facts = {"item_id": "a", "category": "c", "list_price": 1.0, "cost": 0.5, "attributes": texts}
    pipeline.engine.control("items", b"a", msgspec.json.encode(facts))
    rule = {"kind": "boost", "where": {"attribute": "category", "is": "c"}, "factor": 2.0}
    pipeline.engine.control("rules", b"r", msgspec.json.encode(rule))
    for offset, event in enumerate(events):
        value = msgspec.json.encode(event)
        pipeline.push([LogRecord(offset, 0, b"u", value)], offset * 1_000)
    pipeline.drain(0)
    pipeline.engine.recommend(RequestContext(anchors=["a"], category="c"), "u", 0)
    sweep(
        pipeline.engine.table,
        pipeline.engine.shopper_units.values(),
        pipeline.engine.popular,
        pipeline.engine.catalogue,
    )
    pipeline.engine.close_items(0)
