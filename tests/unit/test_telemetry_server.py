from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from stream.errors import SettingsError
from stream.runtime.telemetry.server import Answer, Server


def told(accept: str) -> Answer:
    return Answer(HTTPStatus.OK, "text/plain", f"accept={accept}".encode())


def broken(accept: str) -> Answer:
    raise ValueError("told to")


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server("127.0.0.1", 0, {"/told": told, "/broken": broken})
    yield found
    found.stop()


def ask(server: Server, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, path, headers={"Accept": "x/y"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_a_path_is_answered_and_others_name_those_there_are(server):
    assert ask(server, "/told") == (200, "accept=x/y")
    assert ask(server, "/told?a=b") == (200, "accept=x/y")
    assert ask(server, "/told", "HEAD") == (200, "")
    assert ask(server, "/") == (404, "Here are /told, /broken.\n")
    assert ask(server, "/told", "POST")[0] == 501


def test_a_client_that_says_nothing_keeps_nobody_waiting(server):
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname or "", place.port or 0)):
        assert ask(server, "/told")[0] == 200


def test_an_answer_that_fails_is_logged_and_the_next_one_given(server, caplog):
    with pytest.raises(http.client.HTTPException):
        ask(server, "/broken")
    assert "told to" in caplog.text
    assert ask(server, "/told")[0] == 200


def test_a_port_that_is_taken_is_said_in_one_sentence(server):
    port = urlsplit(server.url).port or 0
    with pytest.raises(
        SettingsError, match=rf"on 127.0.0.1:{port} \(Address already in use\): .*METRICS_PORT"
    ):
        Server("127.0.0.1", port, {})
    with pytest.raises(SettingsError, match="METRICS_HOST"):
        Server("no host of that name.invalid", 0, {})


def test_a_worker_on_all_addresses_is_found_by_its_name():
    server = Server("0.0.0.0", 0, {"/told": told})
    try:
        assert urlsplit(server.url).hostname == socket.gethostname().lower()
    finally:
        server.stop()


def test_a_stopped_server_frees_its_port(server):
    other = Server("127.0.0.1", 0, {})
    port = urlsplit(other.url).port or 0
    other.stop()
    Server("127.0.0.1", port, {}).stop()
