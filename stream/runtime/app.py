"""The Faust application: its settings, its transport, one agent a stage."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faust
from yarl import URL

from stream.runtime.connection import faust_credentials
from stream.runtime.lane import Lane
from stream.runtime.settings import Settings
from stream.runtime.transport import BatchSchema, Transport

COMMIT_INTERVAL_S = 1.0
"""How much is read again after a kill, at most."""
BUFFERED_FETCHES = 2
"""Fetches ahead of an agent. Faust's default of 4096 is meant for single records."""
POLL_INTERVAL_S = 3600.0
"""A restore reads nothing through the group; only heartbeats tell that this worker lives."""


class App(faust.App):
    """A Faust app whose consumer delivers whole fetches."""

    # Else Faust's own lines would come under the name of this module.
    logger = logging.getLogger("faust.app")

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)


def build_app(settings: Settings, datadir: Path, lanes: Iterable[Lane]) -> App:
    """The application with its agents, not started. Must be called in the event loop that will run it."""
    app = App(
        settings.group,
        broker=[URL(f"kafka://{server.strip()}") for server in settings.bootstrap.split(",")],
        broker_credentials=faust_credentials(settings),
        broker_client_id=f"stream-{settings.worker_id}",
        broker_session_timeout=settings.session_timeout_s,
        # Three heartbeats may be lost before the session is.
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_request_timeout=max(40.0, settings.session_timeout_s + 5.0),
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_max_poll_records=settings.max_poll_records,
        broker_max_poll_interval=POLL_INTERVAL_S,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=BUFFERED_FETCHES,
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_replication_factor=settings.replication_factor,
        web_enabled=False,
        web_tables_enabled=False,
        autodiscover=False,
        datadir=str(datadir),
        # No tables are used; at 0 Faust would switch to the round-robin assignor.
        table_standby_replicas=1,
    )
    for lane in lanes:
        _add_agent(app, settings, lane)
    return app


def _add_agent(app: App, settings: Settings, lane: Lane) -> None:
    topic = app.topic(settings.topic(lane.stage.topic), schema=BatchSchema())

    # One at a time: with more, a commit could pass a batch that is not done.
    @app.agent(topic, name=f"stream.{lane.stage.name}", concurrency=1)
    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            await lane.take(event)
