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
from stream.local.pins import KAFKA_VERSION
from stream.local.ports import LOOPBACK, answers
from stream.local.redis_server import redis_healthy

KAFKA_IMAGE = f"apache/kafka:{KAFKA_VERSION}"
REDIS_IMAGE = "redis:7.2.5-alpine"
_ENGINE_TIMEOUT_S = 2
_SOCKET = Path("/var/run/docker.sock")
_KAFKA_PORT, _CONTROLLER_PORT, _REDIS_PORT = 9092, 9093, 6379


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

    def __init__(
        self, image: str, home: Path, port: int, inner_port: int, env: dict[str, str], command: str
    ) -> None:
        from testcontainers.core.container import DockerContainer

        self.port = port
        self.log = home / f"{self.name}.log"
        container: Any = DockerContainer(image, env=env, command=command or None)
        # Fixed, because a port that Docker chose would change when the container is stopped and started.
        container.ports[f"{inner_port}/tcp"] = (LOOPBACK, port)
        self._container = container
        self._log_start = 0

    def start(self) -> None:
        """Create the container (the image is pulled the first time), or start the stopped one again."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        since_s = int(time.time())  # an engine keeps the output of earlier starts
        wrapped = self._container.get_wrapped_container()
        if wrapped is None:
            self._container.start()
            wrapped = self._container.get_wrapped_container()
        else:
            wrapped.start()
        # A daemon: the stream ends with the container, or with this process.
        threading.Thread(target=_copy_output, args=(wrapped, self.log, since_s), daemon=True).start()

    def stop(self) -> None:
        """Stop the container; its data stays inside it."""
        self._container.get_wrapped_container().stop(timeout=30)

    def end(self, keep_data: bool) -> None:
        """Remove the container, and with it its data, which lies nowhere else."""
        self._container.stop()

    def exited(self) -> bool:
        """Whether the container does not run."""
        wrapped = self._container.get_wrapped_container()
        if wrapped is None:
            return True
        wrapped.reload()
        return wrapped.status not in ("created", "running", "restarting")

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

    def __init__(self, home: Path, port: int, heap_mb: int) -> None:
        settings = BROKER_SETTINGS | {
            "listeners": f"PLAINTEXT://:{_KAFKA_PORT},CONTROLLER://:{_CONTROLLER_PORT}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "controller.quorum.voters": f"1@localhost:{_CONTROLLER_PORT}",
        }
        env = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in settings.items()}
        env["KAFKA_HEAP_OPTS"] = f"-Xmx{heap_mb}m"
        super().__init__(KAFKA_IMAGE, home, port, _KAFKA_PORT, env, "")

    def healthy(self) -> bool:
        """Whether it answers, its group coordinator included."""
        return kafka_healthy(self.port)


class RedisContainer(_Container):
    """A server that keeps its data in memory, and in its container only while it is stopped."""

    name = "redis"

    def __init__(self, home: Path, port: int) -> None:
        # `--shutdown-on-sigterm save`: the stop of a container is a SIGTERM.
        command = "redis-server --save '' --appendonly no --shutdown-on-sigterm save"
        super().__init__(REDIS_IMAGE, home, port, _REDIS_PORT, {}, command)

    def healthy(self) -> bool:
        """Whether it answers and has loaded its data."""
        return redis_healthy(self.port)
