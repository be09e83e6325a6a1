"""Lines into rows: delimited cells, headers and time order."""

from __future__ import annotations

import csv
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

from stream.errors import InputError
from stream.events.readers.lines import Log

Row = tuple[int, str, list[str]]
"""Line number from 1 (the first one of a row that spans several), the text, and its cells."""

QUOTED_LINES_MAX = 64
"""Most lines that one quoted cell may span: a stray quote must not swallow the file."""

MS_PER_S = 1000

UNTIMED = -(1 << 63)
"""Time of what has none: it comes before everything that has one."""

ORDER_CHUNK = 1 << 16
"""Positions of a sorted order turned into Python numbers at a time."""

T = TypeVar("T")


def header(log: Log, delimiter: str) -> list[str]:
    """The cells of the first line; none if it is empty."""
    return cells_of(log.first, delimiter) if log.first else []


def columns(log: Log, delimiter: str, names: Sequence[str], what: str) -> list[int]:
    """Where the header has each of `names`. InputError, with what was found, if one is missing."""
    found = header(log, delimiter)
    try:
        return [found.index(name) for name in names]
    except ValueError:
        shown = log.first[:120] or "nothing"
        raise InputError(
            f"{log.path} is not {what}: its first line must name the columns {', '.join(names)} "
            f"and is {shown!r}; choose another --format, or describe the file in a mapping file."
        ) from None


def rows(lines: Iterator[str], delimiter: str) -> Iterator[Row]:
    """Rows of delimited text with CSV quoting, header included; blank lines are no rows.

    The cells are empty where quotes do not close within QUOTED_LINES_MAX lines or do not span whole
    cells; only that line is given up, the ones after it are read as rows again.
    """
    number = 0
    waiting: deque[str] = deque()
    while True:
        source = _drain(waiting) if waiting else lines
        for line in source:
            number += 1
            if '"' not in line:
                if line:
                    yield number, line, line.split(delimiter)
                continue
            taken: list[str] = []
            cells = _quoted(_keep(chain([line], _drain(waiting), lines), taken), delimiter)
            if cells is not None:
                yield number, "\n".join(taken), cells
                number += len(taken) - 1
                continue
            yield number, line, []
            if len(taken) > 1:
                waiting.extendleft(reversed(taken[1:]))
                break
        else:
            if source is lines:
                return


def _drain(waiting: deque[str]) -> Iterator[str]:
    while waiting:
        yield waiting.popleft()


def _keep(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line + "\n"
        if len(taken) == QUOTED_LINES_MAX:
            return


def cells_of(row: str, delimiter: str) -> list[str]:
    """The cells of one row's text as `rows` gives it; none where its quotes do not close."""
    if '"' not in row:
        return row.split(delimiter)
    return _quoted(iter([row + "\n"]), delimiter) or []


def _quoted(lines: Iterator[str], delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None


def in_time_order(timed: Iterable[tuple[int, T]]) -> Iterator[tuple[int, T]]:
    """Pairs (time, item) by time, those of one time in the order they came (stable). Holds all items.

    Cost: 16 bytes an item besides the items, and nothing is yielded before the last one is read.
    """
    kept: list[T] = []
    times = array("q")
    for ts_ms, item in timed:
        kept.append(item)
        times.append(ts_ms)
    order = np.argsort(np.frombuffer(times, dtype=np.int64), kind="stable") if kept else np.empty(0, np.int64)
    for start in range(0, len(kept), ORDER_CHUNK):
        for position in order[start : start + ORDER_CHUNK].tolist():
            yield times[position], kept[position]
