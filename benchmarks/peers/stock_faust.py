"""Faust as its documentation writes an agent: a stream in, one `send` for every event.

Made faster than the documentation's example wherever a setting or a plainer type allows: values stay
bytes and are decoded by msgspec (a `faust.Record` costs about twenty times as much), no table, no web
server, no leader topic, no acknowledgement awaited before the next event.
"""

from __future__ import annotations

import sys

import faust
import msgspec

from benchmarks.peers.clock import Clock, orders
from benchmarks.peers.job import Click, PairCounts

given = orders()
clock = Clock(given)
counts = PairCounts()
decode = msgspec.json.Decoder(Click).decode

app = faust.App(
    given.group,
    broker=f"kafka://{given.bootstrap}",
    datadir=given.folder,
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
    producer_linger=0.02,
    producer_max_batch_size=256 * 1024,
    stream_buffer_maxsize=16_384,
)
source = app.topic(given.source, key_type=bytes, value_type=bytes, value_serializer="raw")
sink = app.topic(given.sink, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


@app.agent(source)
async def recommend(events: faust.StreamT[bytes]) -> None:
    """The reference job, one event at a time."""
    async for event in events:
        clock.begin()
        click = decode(event)
        await sink.send(key=click.user_id.encode(), value=counts.top(click.user_id, click.item_id))
        clock.handled()


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "--without-web", "--loglevel", "info"]
    app.main()
