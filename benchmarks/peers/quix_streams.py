"""Quix Streams as its documentation writes it: a StreamingDataFrame, `apply`, `to_topic`.

The documentation's `State` (RocksDB) is left out: pair counts are global and would have to be kept a
key at a time; memory is faster. Values stay bytes and are decoded and encoded by msgspec.
"""

from __future__ import annotations

import msgspec
from quixstreams import Application

from benchmarks.peers.clock import Clock, orders
from benchmarks.peers.job import Click, PairCounts


def main() -> None:
    """Run the dataframe until stopped."""
    given = orders()
    clock = Clock(given)
    counts = PairCounts()
    decode = msgspec.json.Decoder(Click).decode

    def recommend(value: bytes) -> bytes:
        clock.begin()
        click = decode(value)
        return counts.top(click.user_id, click.item_id)

    def count(_: bytes) -> None:
        clock.handled()

    app = Application(
        broker_address=given.bootstrap,
        consumer_group=given.group,
        auto_offset_reset="earliest",
        state_dir=given.folder,
        auto_create_topics=False,
        producer_extra_config={"linger.ms": 20},
    )
    source = app.topic(given.source, key_deserializer="bytes", value_deserializer="bytes")
    sink = app.topic(given.sink, key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(source)
    frame.apply(recommend).to_topic(sink).update(count)
    app.run()


if __name__ == "__main__":
    main()
