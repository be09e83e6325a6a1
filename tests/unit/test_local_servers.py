"""Lost races for ports, starts that nobody waits for, containers with a fake engine."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from stream.errors import StackError
from stream.local import containers, kafka, leftovers, servers
from stream.local.containers import KafkaContainer, RedisContainer, docker_answers
from stream.local.leftovers import HOME_LABEL, end_leftovers, volume_name
from stream.local.places import locked
from stream.local.ports import free_ports
from stream.local.servers import Servers
from stream.local.service import CancelledError, wait_healthy


class FakeService:
    """Healthy unless its port is taken."""

    taken: ClassVar[set[int]] = set()

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port, self.log = name, port, Path("fake.log")
        self.runs = False

    def start(self) -> None:
        self.runs = True

    def stop(self) -> None:
        self.runs = False

    def end(self, keep_data: bool) -> None:
        self.runs = False

    def exited(self) -> bool:
        return not self.healthy()

    def said(self) -> str:
        return "bind: Address already in use" if self.port in self.taken else "a reason"

    def healthy(self) -> bool:
        return self.runs and self.port not in self.taken

    def pid(self) -> int | None:
        return None


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[FakeService]:
    made: list[FakeService] = []

    def make(name: str) -> Callable[..., FakeService]:
        def construct(home: Path, port: int, *_: Any) -> FakeService:
            made.append(FakeService(name, port))
            return made[-1]

        return construct

    monkeypatch.setattr(FakeService, "taken", set())
    monkeypatch.setattr(servers, "docker_answers", lambda: False)
    monkeypatch.setattr(servers, "kafka_jars", lambda cache: ([], "nothing"))
    monkeypatch.setattr(servers, "redis_binary", lambda: Path("redis-server"))
    monkeypatch.setattr(servers, "RedisProcess", make("redis"))
    monkeypatch.setattr(servers, "KafkaProcess", make("kafka"))
    return made


def test_a_lost_race_for_a_port_is_run_again(tmp_path: Path, fakes: list[FakeService]) -> None:
    lost = free_ports(3)
    (tmp_path / "ports.json").write_text(str(lost))
    FakeService.taken = {lost[0]}
    pair = Servers(tmp_path, 512, True, lambda: False)
    pair.start()
    assert pair.mode == "pip"
    assert pair.named("kafka").port not in lost
    assert [fake.runs for fake in fakes] == [False, False, True, True]


def test_a_start_that_nobody_waits_for_ends_what_it_started(tmp_path: Path, fakes: list[FakeService]) -> None:
    class Slow(FakeService):
        def healthy(self) -> bool:
            return False

        def exited(self) -> bool:
            return False

    with pytest.raises(CancelledError):
        wait_healthy(Slow("kafka", 1), lambda: True)
    pair = Servers(tmp_path, 512, False, lambda: False)
    pair.start()
    pair.end()
    assert not any(fake.runs for fake in fakes)


def test_a_server_that_ends_or_hangs_is_one_sentence_with_its_log() -> None:
    service = FakeService("kafka", 1)
    with pytest.raises(StackError, match=r"kafka ended while it was starting; its log fake\.log .*a reason"):
        wait_healthy(service, lambda: False)


def test_a_stopped_one_starts_again_on_its_port(tmp_path: Path, fakes: list[FakeService]) -> None:
    pair = Servers(tmp_path, 512, True, lambda: False)
    pair.start()
    port = pair.named("redis").port
    pair.named("redis").stop()
    pair.start_again("redis")
    assert pair.named("redis").healthy()
    assert pair.named("redis").port == port
    assert len(fakes) == 2


class FakeWrapped:
    """What docker's client gives for a container."""

    def __init__(self, home: str = "") -> None:
        self.status = "running"
        self.labels = {HOME_LABEL: home}
        self.removed = False
        self.calls: list[str] = []

    def remove(self, v: bool, force: bool) -> None:
        self.removed = v and force

    def start(self) -> None:
        self.status = "running"

    def stop(self, timeout: int) -> None:
        self.status = "exited"

    def reload(self) -> None:
        self.calls.append("reload")

    def logs(self, **_: Any) -> list[bytes]:
        return [b"hello from inside\n"]


class FakeContainer:
    """What testcontainers gives for a container."""

    made: ClassVar[list[FakeContainer]] = []
    errors: ClassVar[list[str]] = []

    def __init__(self, image: str) -> None:
        self.image, self.command = image, ""
        self.env: dict[str, str] = {}
        self.ports: dict[str, Any] = {}
        self.volumes: dict[str, str] = {}
        self.kwargs: dict[str, Any] = {}
        self.wrapped: FakeWrapped | None = None
        self.removed = False
        self.made.append(self)

    def start(self) -> None:
        if self.errors:
            raise RuntimeError(self.errors.pop())
        self.wrapped = FakeWrapped()

    def get_wrapped_container(self) -> FakeWrapped:
        assert self.wrapped is not None, "as testcontainers has it"
        return self.wrapped

    def with_command(self, command: str) -> None:
        self.command = command

    def with_kwargs(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def with_volume_mapping(self, volume: str, folder: str, mode: str) -> None:
        self.volumes[volume] = f"{folder}:{mode}"

    def stop(self) -> None:
        self.removed = True


class FakeEngine:
    """The containers and volumes that an engine holds."""

    def __init__(self) -> None:
        self.held: list[FakeWrapped] = []
        self.removed: list[str] = []
        self.containers = self.volumes = self

    def list(self, **_: Any) -> list[FakeWrapped]:
        return self.held

    def get(self, name: str) -> Any:
        return types.SimpleNamespace(remove=lambda: self.removed.append(name))

    def close(self) -> None:
        pass


@pytest.fixture
def leftover(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    held = FakeEngine()
    monkeypatch.setattr(leftovers, "_engine", lambda: held)
    return held


@pytest.fixture
def engine(
    monkeypatch: pytest.MonkeyPatch, fakes: list[FakeService], leftover: FakeEngine
) -> type[FakeContainer]:
    module: Any = types.ModuleType("testcontainers.core.container")
    module.DockerContainer = FakeContainer
    monkeypatch.setitem(sys.modules, "testcontainers.core.container", module)
    monkeypatch.setattr(FakeContainer, "made", [])
    monkeypatch.setattr(FakeContainer, "errors", [])
    monkeypatch.setattr(servers, "docker_answers", lambda: True)
    monkeypatch.setattr(containers, "kafka_healthy", lambda port: True)
    monkeypatch.setattr(containers, "redis_healthy", lambda port: True)
    return FakeContainer


def test_containers_where_an_engine_answers(tmp_path: Path, engine: type[FakeContainer]) -> None:
    pair = Servers(tmp_path, 700, False, lambda: False)
    pair.start()
    assert pair.mode == "docker"
    redis, broker = engine.made
    assert redis.ports == {"6379/tcp": ("127.0.0.1", pair.named("redis").port)}
    assert broker.ports == {"9092/tcp": ("127.0.0.1", pair.named("kafka").port)}
    assert broker.env["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://127.0.0.1:{pair.named('kafka').port}"
    assert broker.env["KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS"] == "0"
    assert broker.env["KAFKA_HEAP_OPTS"] == "-Xmx700m"
    assert broker.kwargs == redis.kwargs == {"labels": {HOME_LABEL: str(tmp_path)}}
    assert "--shutdown-on-sigterm save" in redis.command
    assert ":" in broker.image
    assert ":" in redis.image
    pair.named("kafka").stop()
    assert pair.named("kafka").exited()
    pair.start_again("kafka")
    assert not pair.named("kafka").exited()
    pair.end()
    assert all(container.removed for container in engine.made)
    assert not any(container.volumes for container in engine.made)


def test_data_that_is_kept_outlives_the_containers(
    tmp_path: Path, engine: type[FakeContainer], leftover: FakeEngine
) -> None:
    volumes = [volume_name(tmp_path, service) for service in ("kafka", "redis")]
    for _ in range(2):
        pair = Servers(tmp_path, 512, True, lambda: False)
        pair.start()
        pair.end()
        assert leftover.removed == volumes  # the home was new the first time
    redis, broker = engine.made[-2:]
    assert broker.volumes == {volumes[0]: f"{broker.env['KAFKA_LOG_DIRS']}:rw"}
    assert redis.volumes == {volumes[1]: "/data:rw"}
    assert broker.wrapped is not None
    assert broker.wrapped.status == "exited"  # stopped first: it may write down what it has
    assert broker.removed


def test_containers_whose_supervisor_has_gone_are_removed(tmp_path: Path, leftover: FakeEngine) -> None:
    homes = [tmp_path / name for name in ("this", "killed", "alive", "elsewhere")]
    for home in homes[:3]:
        home.mkdir()
    leftover.held = [FakeWrapped(str(home)) for home in homes]
    with locked(homes[0], "owner"), locked(homes[2], "owner"):
        end_leftovers(homes[0])
    assert [container.removed for container in leftover.held] == [True, True, False, False]


@pytest.mark.parametrize("message", containers._PORT_TAKEN)
def test_a_port_that_the_engine_cannot_have_is_a_lost_race(
    tmp_path: Path, engine: type[FakeContainer], message: str
) -> None:
    engine.errors.append(f"driver failed: {message}")
    pair = Servers(tmp_path, 512, False, lambda: False)
    pair.start()
    assert pair.mode == "docker"
    assert len(engine.made) == 4


def test_an_engine_that_fails_gives_way_to_processes(
    tmp_path: Path, engine: type[FakeContainer], fakes: list[FakeService], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.errors.append("no space left on the engine's disk")
    pair = Servers(tmp_path, 512, False, lambda: False)
    pair.start()
    assert pair.mode == "pip"
    assert len(fakes) == 2
    assert all(container.removed for container in engine.made)
    assert "no space left" in capsys.readouterr().err


@pytest.mark.parametrize(
    "host",
    ["unix:///no/such/engine.sock", "tcp://127.0.0.1:9", "tcp://engine.example:2375", "ssh://engine.example"],
)
def test_no_engine_or_a_remote_one_is_no_error(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert not docker_answers()


def test_container_logs_are_copied(tmp_path: Path, engine: type[FakeContainer]) -> None:
    broker = KafkaContainer(tmp_path, 1, False, 512)
    containers._copy_output(FakeWrapped(), broker.log, 0)
    assert broker.said() == "hello from inside"
    assert RedisContainer(tmp_path, 2, False).pid() is None


def test_health_groups_meet_every_partition_of_the_offsets_topic() -> None:
    def java_hash(text: str) -> int:
        value = 0
        for letter in text:
            value = (31 * value + ord(letter)) & 0xFFFFFFFF
        return value & 0x7FFFFFFF

    met = {java_hash(f"health-{n}") % kafka.OFFSETS_PARTITIONS for n in range(kafka.OFFSETS_PARTITIONS)}
    assert met == set(range(kafka.OFFSETS_PARTITIONS))
