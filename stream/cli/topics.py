"""`stream topics`: the topics of a namespace, listed, checked and created."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import answer_json, note, table
from stream.cli.settings import Bootstrap, ConfigFile, Namespace, load

app = typer.Typer(
    help="List, check or create the topics.",
    epilog="Example: stream topics create",
    no_args_is_help=True,
)

Partitions = Annotated[int | None, typer.Option(help="Partitions of events and item-updates (default 8).")]


@app.command("list", epilog="Example: stream topics list --json")
def list_topics(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    as_json: options.AsJson = False,
) -> None:
    """List the topics that workers use, and what Kafka says of them."""
    settings = load(config, bootstrap=bootstrap, namespace=namespace)
    rows = asyncio.run(_list(settings))
    if as_json:
        answer_json({"topics": rows})
    else:
        columns = ("topic", "partitions", "replicas", "messages", "cleanup", "timestamps")
        table(columns, [tuple(row.get(column, "missing") for column in columns) for row in rows])


@app.command("check", epilog="Example: stream topics check --namespace shop1.")
def check(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    partitions: Partitions = None,
    as_json: options.AsJson = False,
) -> None:
    """Check that every topic is there with the partitions and settings that the state needs."""
    _ensure(config, bootstrap, namespace, partitions, create=False, as_json=as_json)


@app.command("create", epilog="Example: stream topics create --partitions 16")
def create(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    namespace: Namespace = None,
    partitions: Partitions = None,
    as_json: options.AsJson = False,
) -> None:
    """Create the topics that are missing, and check the others."""
    _ensure(config, bootstrap, namespace, partitions, create=True, as_json=as_json)


def _ensure(
    config: Path | None,
    bootstrap: str | None,
    namespace: str | None,
    partitions: int | None,
    *,
    create: bool,
    as_json: bool,
) -> None:
    settings = load(config, bootstrap=bootstrap, namespace=namespace, partitions=partitions)

    async def act() -> list[str]:
        from stream.cli.brokers import admin_of
        from stream.runtime.topics import ensure

        async with admin_of(settings) as admin:
            return await ensure(admin, settings, create)

    created = asyncio.run(act())
    if as_json:
        answer_json({"ok": True, "created": created})
    elif created:
        note(f"Created {', '.join(created)}.")
    else:
        note("All topics are as they have to be.")


async def _list(settings: Any) -> list[dict[str, Any]]:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.structs import TopicPartition

    from stream.cli.brokers import admin_of
    from stream.runtime.connection import kafka_arguments
    from stream.runtime.topics import TOPICS, read_configs

    names = [settings.topic(topic.name) for topic in TOPICS]
    async with admin_of(settings) as admin:
        found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        present = [name for name in names if name in found]
        configs = await read_configs(admin, present) if present else {}
    places = [TopicPartition(name, p["partition"]) for name in present for p in found[name]]
    begins: dict[TopicPartition, int] = {}
    ends: dict[TopicPartition, int] = {}
    if places:
        consumer = AIOKafkaConsumer(**kafka_arguments(settings), enable_auto_commit=False)
        await consumer.start()
        try:
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        finally:
            await consumer.stop()
    rows: list[dict[str, Any]] = []
    for name in names:
        row: dict[str, Any] = {"topic": name, "exists": name in present}
        if name in present:
            here = [place for place in places if place.topic == name]
            row |= {
                "partitions": len(here),
                "replicas": min(len(p["replicas"]) for p in found[name]),
                "messages": sum(ends[place] - begins[place] for place in here),
                "cleanup": configs[name].get("cleanup.policy"),
                "timestamps": configs[name].get("message.timestamp.type"),
            }
        rows.append(row)
    return rows
