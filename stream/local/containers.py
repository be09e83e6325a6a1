"""The same two servers as containers, where a Docker engine answers (through testcontainers)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stream.local.child import log_tail
from stream.local.kafka import BROKER_SETTINGS, kafka_healthy
from stream.local.leftovers import HOME_LABEL, volume_name
from stream.local.pins import KAFKA_VERSION
from stream.local.ports import LOOPBACK, answers
from stream.local.redis_server import redis_healthy
from stream.local.service import PortTakenError

KAFKA_IMAGE = f"apache/kafka:{KAFKA_VERSION}"
REDIS_IMAGE = "redis:7.2.5-alpine"
_ENGINE_TIMEOUT_S = 2
_SOCKET = Path("/var/run/docker.sock")
_KAFKA_PORT, _CONTROLLER_PORT, _REDIS_PORT = 9092, 9093, 6379
# What the engine says when a program of this machine, or another container, has the port.
_PORT_TAKEN = ("address already in use", "port is already allocated")


def docker_answers() -> bool:
    """Whether containers can be started, with their ports on this machine's loopback interface.

    Costs nothing where there is no sign of Docker, half a second where its engine does not run (imports), and
    2 s where it hangs.
    """
    signs = (_SOCKET, Path.home() / ".docker" / "contexts", Path.home() / ".testcontainers.properties")
    if not os.environ.get("DOCKER_HOST") and not any(sign.exists() for sign in signs):
        return False
    try:
        from testcontainers.core.docker_client import DockerClient, get_docker_host

        if not _accepts(get_docker_host() or f"unix://{_SOCKET}"):
            return False
        with contextlib.closing(DockerClient(timeout=_ENGINE_TIMEOUT_S).client) as engine:
            return bool(engine.ping())
    except Exception:  # whatever it is, the processes of the other way need no engine
        return False


def _accepts(url: str) -> bool:
    """Whether an engine of this machine listens: the loopback of another one would be out of reach."""
    address = urlsplit(url)
    if address.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ENGINE_TIMEOUT_S)
            return connection.connect_ex(address.path) == 0
    local = address.hostname in ("localhost", LOOPBACK) and address.port is not None
    return local and answers(address.port or 0, _ENGINE_TIMEOUT_S)


class _Container:
    """One container with one port published on loopback, its output copied to a log file."""

    name: str
    image: str
    inner_port: int
    data: str

    def __init__(self, home: Path, port: int, keep_data: bool, env: dict[str, str], command: str) -> None:
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer

        # Its reaper would be one more image to pull, and would listen on every interface of this machine with
        # the engine's socket in hand. Here the supervisor cleans up, and `leftovers` behind it.
        testcontainers_config.ryuk_disabled = True
        self.port = port
        self.log = home / f"{self.name}.log"
        container: Any = DockerContainer(self.image)
        container.with_kwargs(labels={HOME_LABEL: str(home)})
        container.env.update(env)
        if command:
            container.with_command(command)
        # Fixed, because a port that Docker chose would change when the container is stopped and started.
        container.ports[f"{self.inner_port}/tcp"] = (LOOPBACK, port)
        if keep_data:
            container.with_volume_mapping(volume_name(home, self.name), self.data, "rw")
        self._container = container
        self._wrapped: Any = None
        self._log_start = 0

    def start(self) -> None:
        """Create the container (the image is pulled the first time), or start the stopped one again.

        Raises PortTakenError when another program was faster.
        """
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        since_s = int(time.time())  # an engine keeps the output of earlier starts
        try:
            if self._wrapped is None:
                self._container.start()
                self._wrapped = self._container.get_wrapped_container()
            else:
                self._wrapped.start()
        except Exception as error:
            if any(sign in str(error) for sign in _PORT_TAKEN):
                raise PortTakenError from error
            raise
        # A daemon: the stream ends with the container, or with this process.
        threading.Thread(target=_copy_output, args=(self._wrapped, self.log, since_s), daemon=True).start()

    def stop(self) -> None:
        """Stop the container; its data stays where it is."""
        self._wrapped.stop(timeout=30)

    def end(self, keep_data: bool) -> None:
        """Remove the container; data that is to be kept lies in a volume."""
        if keep_data and self._wrapped is not None:
            self.stop()
        self._container.stop()

    def exited(self) -> bool:
        """Whether the container does not run."""
        if self._wrapped is None:
            return True
        self._wrapped.reload()
        return self._wrapped.status not in ("created", "running", "restarting")

    def said(self) -> str:
        """The last lines it has logged since its start."""
        return log_tail(self.log, self._log_start)

    def pid(self) -> int | None:
        """None: its process belongs to the engine."""
        return None


def _copy_output(wrapped: Any, log: Path, since_s: int) -> None:
    with contextlib.suppress(Exception), log.open("ab", buffering=0) as file:
        for chunk in wrapped.logs(stream=True, follow=True, since=since_s):
            file.write(chunk)


class KafkaContainer(_Container):
    """The broker of Apache Kafka's own image, configured as `kafka.KafkaProcess` is."""

    name = "kafka"
    image = KAFKA_IMAGE
    inner_port = _KAFKA_PORT
    data = "/var/lib/kafka/data"

    def __init__(self, home: Path, port: int, keep_data: bool, heap_mb: int) -> None:
        settings = BROKER_SETTINGS | {
            "listeners": f"PLAINTEXT://:{_KAFKA_PORT},CONTROLLER://:{_CONTROLLER_PORT}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "controller.quorum.voters": f"1@localhost:{_CONTROLLER_PORT}",
            "log.dirs": self.data,
        }
        env = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in settings.items()}
        env["KAFKA_HEAP_OPTS"] = f"-Xmx{heap_mb}m"
        super().__init__(home, port, keep_data, env, "")

    def healthy(self) -> bool:
        """Whether it answers, its group coordinator included."""
        return kafka_healthy(self.port)


class RedisContainer(_Container):
    """A server that keeps its data in memory, and on disk only while it is stopped."""

    name = "redis"
    image = REDIS_IMAGE
    inner_port = _REDIS_PORT
    data = "/data"

    def __init__(self, home: Path, port: int, keep_data: bool) -> None:
        # `--shutdown-on-sigterm save`: the stop of a container is a SIGTERM.
        command = "redis-server --save '' --appendonly no --shutdown-on-sigterm save"
        super().__init__(home, port, keep_data, {}, command)

    def healthy(self) -> bool:
        """Whether it answers and has loaded its data."""
        return redis_healthy(self.port)
