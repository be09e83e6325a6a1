"""Jars are fetched once, checked always."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stream.errors import StackError
from stream.local.jars import PINNED, Jar, kafka_jars


def jar(name: str) -> Jar:
    return Jar("org.example", name, "1.0", hashlib.sha256(name.encode()).hexdigest())


THREE = [jar("a"), jar("b"), jar("c")]


class Repository:
    """Serves jars whose content is their name."""

    def __init__(self) -> None:
        self.served: list[str] = []

    def __call__(self, wanted: Jar, place: Path) -> Path:
        place.mkdir()
        path = place / wanted.file_name
        path.write_text(wanted.artifact)
        self.served.append(wanted.artifact)
        return path


def test_the_second_time_nothing_is_fetched(tmp_path: Path) -> None:
    first, second = Repository(), Repository()
    paths, said = kafka_jars(tmp_path, first, THREE)
    assert sorted(first.served) == ["a", "b", "c"]
    assert [path.read_text() for path in paths] == ["a", "b", "c"]
    assert "3 jars" in said
    again, said = kafka_jars(tmp_path, second, THREE)
    assert (again, second.served) == (paths, [])
    assert said.startswith("nothing")


def test_only_the_damaged_jar_is_fetched_again(tmp_path: Path) -> None:
    paths, _ = kafka_jars(tmp_path, Repository(), THREE)
    paths[1].write_text("half of")
    repository = Repository()
    kafka_jars(tmp_path, repository, THREE)
    assert repository.served == ["b"]
    assert paths[1].read_text() == "b"


def test_a_forged_jar_is_refused(tmp_path: Path) -> None:
    def forge(wanted: Jar, place: Path) -> Path:
        place.mkdir()
        (place / "x").write_text("something else")
        return place / "x"

    with pytest.raises(StackError, match=r"org\.example:a:1\.0 .*SHA-256"):
        kafka_jars(tmp_path, forge, THREE[:1])
    assert list(tmp_path.rglob("*.jar")) == []


def test_without_network_the_sentence_names_the_way_out(tmp_path: Path) -> None:
    tries = []

    def refuse(wanted: Jar, place: Path) -> Path:
        tries.append(wanted)
        raise ConnectionError

    with pytest.raises(StackError, match=r"ConnectionError.*internet.*HTTPS_PROXY"):
        kafka_jars(tmp_path, refuse, THREE[:1])
    assert len(tries) == 3


def test_the_pins_hold_a_broker_and_no_duplicates() -> None:
    names = [pinned.file_name for pinned in PINNED]
    assert len(set(names)) == len(names)
    assert {"kafka_2.13-4.1.0.jar", "kafka-tools-4.1.0.jar", "slf4j-simple-1.7.36.jar"} <= set(names)
    assert all(len(pinned.sha256) == 64 for pinned in PINNED)
