"""The little HTTP server of a worker: a few paths, answered in threads of its own.

Not in the event loop, so that it can also say that the loop is stuck, and so that rendering some hundred
lines of metrics holds up no delivery.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple

from stream.errors import SettingsError

log = logging.getLogger(__name__)

CLIENT_TIMEOUT_S = 5.0
"""Who sends no whole request for so long is let go."""
POLL_S = 0.1
"""How long stopping takes at most."""
WILDCARDS = frozenset(("0.0.0.0", "::"))


class Answer(NamedTuple):
    """What is sent back."""

    status: HTTPStatus
    content_type: str
    body: bytes


Answers = Mapping[str, Callable[[str], Answer]]
"""By path, what answers there, given the request's Accept header. Called in a thread of the server."""


class Server:
    """Listens from the moment it is made. `SettingsError` when it cannot."""

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        try:
            self._http = _Http(host, port, answers)
        except OSError as error:
            raise SettingsError(
                f"Metrics cannot be served on {_place(host, port)} ({error.strerror or error}): correct "
                "STREAM_METRICS_HOST, or set STREAM_METRICS_PORT to a free port or to 0 for any."
            ) from None
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(POLL_S,), name="metrics", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where others find it, without a path."""
        host, port = self._http.server_address[:2]
        return f"http://{_place(socket.gethostname() if host in WILDCARDS else str(host), int(port))}"

    def stop(self) -> None:
        """Listen no more. Waits for `POLL_S` at most."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Http(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        self.answers = answers
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("A request to the metrics port failed.", exc_info=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    server_version = "stream"
    sys_version = ""
    timeout = CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def _answer(self, with_body: bool) -> None:
        found = self.server.answers.get(self.path.partition("?")[0])
        if found is None:
            known = ", ".join(self.server.answers)
            said = Answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", f"Here are {known}.\n".encode())
        else:
            said = found(self.headers.get("Accept") or "")
        self.send_response(said.status)
        self.send_header("Content-Type", said.content_type)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(said.body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
