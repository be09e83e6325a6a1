"""Bytewax as its documentation writes it: a dataflow from `KafkaSource` to `KafkaSink`, one worker.

`op.map` over process memory instead of `op.stateful_map` over keys: without the keying step every
event costs less. Values stay bytes and are decoded and encoded by msgspec.
"""

from __future__ import annotations

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaError, KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from benchmarks.peers.clock import Clock, Orders, orders
from benchmarks.peers.job import Click, PairCounts

Incoming = KafkaSourceMessage[bytes | None, bytes | None] | KafkaError[bytes | None, bytes | None]
Outgoing = KafkaSinkMessage[bytes | None, bytes | None]


def dataflow(given: Orders) -> Dataflow:
    """Kafka, the reference job, Kafka."""
    clock = Clock(given)
    counts = PairCounts()
    decode = msgspec.json.Decoder(Click).decode

    def recommend(message: Incoming) -> Outgoing:
        clock.begin()
        # The source raises on errors by itself (its default).
        assert isinstance(message, KafkaSourceMessage)
        click = decode(message.value or b"")
        answer = KafkaSinkMessage(message.key, counts.top(click.user_id, click.item_id))
        clock.handled()
        return answer

    brokers = [given.bootstrap]
    flow = Dataflow("benchmark")
    events = op.input("events", flow, KafkaSource(brokers, [given.source]))
    lists = op.map("recommend", events, recommend)
    op.output("lists", lists, KafkaSink(brokers, given.sink))
    return flow


if __name__ == "__main__":
    cli_main(dataflow(orders()))  # type: ignore[no-untyped-call]
