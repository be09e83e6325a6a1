"""Log lines: one JSON object each for machines, or one readable line each for people."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from stream.errors import StreamError

LIBRARIES = ("faust", "mode", "aiokafka", "asyncio")
"""Their `info` tells about every service started; it is shown at our `debug` only."""

REPEAT_S = 30.0
"""While a broker is away, its client complains 160 times a second: a line of a kind in this time does."""

_STANDARD = frozenset(vars(logging.makeLogRecord({})))


def _trace(record: logging.LogRecord, formatter: logging.Formatter) -> str | None:
    """The traceback, unless the error is one of ours, whose message says it all."""
    if not record.exc_info or record.exc_info[0] is None or issubclass(record.exc_info[0], StreamError):
        return None
    return formatter.formatException(record.exc_info)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", …}``; fields given as ``extra=`` become keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD and k not in line}
        trace = _trace(record, self)
        if trace:
            line["traceback"] = trace
        return json.dumps(line, default=str, ensure_ascii=False)


class ConsoleFormatter(logging.Formatter):
    """``12:00:00.123 INFO    message  key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f"  {k}={v}" for k, v in vars(record).items() if k not in _STANDARD)
        line = f"{_time(record)[11:23]} {record.levelname:<7} {record.getMessage()}{fields}"
        trace = _trace(record, self)
        return f"{line}\n{trace}" if trace else line


class SeldomFilter(logging.Filter):
    """Lets a library's warning or error of one kind through at most every `REPEAT_S`; ours always."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        kind = record.name, str(record.msg)
        if record.created - self._last.get(kind, 0.0) < REPEAT_S:
            return False
        self._last[kind] = record.created
        return True


def configure(level: str, form: str) -> None:
    """Send all logging to standard error in the chosen form. Called once, by the process that owns it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    if level != "debug":
        handler.addFilter(SeldomFilter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    ours = logging.getLevelName(level.upper())
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(
            logging.INFO if ours <= logging.DEBUG else max(ours, logging.WARNING)
        )
