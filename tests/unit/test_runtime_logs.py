from __future__ import annotations

import json
import logging
import sys

from stream.errors import TopicError
from stream.runtime.logs import ConsoleFormatter, JsonFormatter


def made(error: Exception | None = None, **fields: object) -> logging.LogRecord:
    info = None
    if error is not None:
        try:
            raise error
        except Exception:
            info = sys.exc_info()
    record = logging.LogRecord("stream.x", logging.WARNING, __file__, 1, "Moved %d.", (3,), info)
    vars(record).update(fields)
    return record


def test_a_json_line_holds_the_fields_given():
    line = json.loads(JsonFormatter().format(made(partitions={"items": [0]}, ms=5)))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "stream.x",
        "message": "Moved 3.",
        "partitions": {"items": [0]},
        "ms": 5,
    }


def test_a_console_line_reads_well():
    assert ConsoleFormatter().format(made(ms=5)).endswith("WARNING Moved 3.  ms=5")


def test_our_own_errors_come_without_a_traceback_others_with():
    for formatter in (JsonFormatter(), ConsoleFormatter()):
        assert "Traceback" not in formatter.format(made(TopicError("One sentence.")))
        assert "Traceback" in formatter.format(made(ValueError("bug")))
