"""The two servers of one stack: as containers or as processes, started together on free ports."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stream.errors import StackError
from stream.local.containers import KAFKA_IMAGE, REDIS_IMAGE, KafkaContainer, RedisContainer, docker_answers
from stream.local.jars import kafka_jars
from stream.local.kafka import KafkaProcess
from stream.local.leftovers import end_leftovers, remove_volumes
from stream.local.places import cache_dir
from stream.local.ports import LOOPBACK, free_ports
from stream.local.redis_server import RedisProcess, redis_binary
from stream.local.service import CancelledError, PortTakenError, Service, wait_healthy

_PORTS = "ports.json"  # a shared stack comes back on the ports it had
_BIND_TRIES = 5  # losing the race for a port once is rare, five times means something else
_BIND_PAUSE_S = 0.5


class Servers:
    """A broker and a Redis server in `home`. `cancelled` says when nobody waits for a start any more.

    `keep_data`: their data outlives them. `mode` is `pip` or `docker`; `downloaded` says what and where to.
    """

    def __init__(self, home: Path, heap_mb: int, keep_data: bool, cancelled: Callable[[], bool]) -> None:
        self.mode = ""
        self.downloaded = ""
        self._home = home
        self._heap_mb = heap_mb
        self._keep_data = keep_data
        self._cancelled = cancelled
        self._services: list[Service] = []

    def __iter__(self) -> Iterator[Service]:
        return iter(self._services)

    def start(self) -> None:
        """Start both and wait until they are healthy. Raises StackError, and CancelledError."""
        if not (docker_answers() and self._start_containers()):
            self._start_processes()

    def start_again(self, name: str) -> None:
        """Start one that was stopped or has died, on its port with its data, and wait until it is healthy."""
        service = self.named(name)
        if not service.exited():
            return
        for _ in range(_BIND_TRIES):
            try:
                service.start()
                wait_healthy(service, self._cancelled)
            except PortTakenError:
                time.sleep(_BIND_PAUSE_S)  # the same port or none: clients know it by now
            else:
                return
        raise StackError(f"port {service.port} of {name} was taken by another program: end that one.")

    def named(self, name: str) -> Service:
        """The one called `kafka` or `redis`."""
        return next(service for service in self._services if service.name == name)

    def end(self) -> None:
        """End both, whatever happens to one of them."""
        services, self._services = self._services, []
        for service in services:
            try:
                service.end(self._keep_data)
            except Exception:  # an engine that has gone must not keep the other one running
                traceback.print_exc()

    def _start_containers(self) -> bool:
        def make(ports: Sequence[int]) -> list[Service]:
            kafka, _, redis = ports
            return [
                RedisContainer(self._home, redis, self._keep_data),
                KafkaContainer(self._home, kafka, self._keep_data, self._heap_mb),
            ]

        try:
            end_leftovers(self._home)
            if not (self._home / _PORTS).exists():  # a new home begins empty, also where one was deleted
                remove_volumes(self._home)
            self._bring_up(make)
        except CancelledError:
            raise
        except Exception as error:  # an engine can fail in many ways; the other way needs none of it
            print(f"containers failed, processes instead: {type(error).__name__}: {error}", file=sys.stderr)
            return False
        self.mode = "docker"
        self.downloaded = f"the images {KAFKA_IMAGE} and {REDIS_IMAGE}, unless Docker had them"
        return True

    def _start_processes(self) -> None:
        jars, self.downloaded = kafka_jars(cache_dir())
        binary = redis_binary()

        def make(ports: Sequence[int]) -> list[Service]:
            kafka, controller, redis = ports
            return [
                RedisProcess(self._home, redis, binary),
                KafkaProcess(self._home, kafka, controller, jars, self._heap_mb),
            ]

        self._bring_up(make)
        self.mode = "pip"

    def _bring_up(self, make: Callable[[Sequence[int]], list[Service]]) -> None:
        memory = self._home / _PORTS
        preferred: list[int] = json.loads(memory.read_text()) if memory.exists() else []
        for _ in range(_BIND_TRIES):
            ports = free_ports(3, preferred)
            try:
                self._services = make(ports)
                for service in self._services:
                    service.start()
                for service in self._services:
                    wait_healthy(service, self._cancelled)
            except PortTakenError:
                self.end()
                preferred = []
            except BaseException:
                self.end()
                raise
            else:
                memory.write_text(json.dumps(ports))
                return
        raise StackError(f"other programs took {_BIND_TRIES} sets of free ports of {LOOPBACK}: try again.")
