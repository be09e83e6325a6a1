"""How commands speak: answers on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

EXIT_NOTHING = 1
"""Nothing is known, or published, of what was asked for; not one row of a file could be used."""


def complain(sentence: str) -> None:
    """One error line."""
    print(f"error: {sentence}", file=sys.stderr)


def note(sentence: str) -> None:
    """One line that is not an answer."""
    print(sentence, file=sys.stderr)


def answer_json(answer: Mapping[str, Any]) -> None:
    """The one JSON object of `--json`."""
    print(json.dumps(answer, ensure_ascii=False))


def console() -> Console:
    """Standard output for tables: colours on a terminal only."""
    from rich.console import Console

    # rich assumes 80 columns in a pipe and would cut cells that nobody looks at.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table on standard output; numbers to the right. Without column names no head is drawn."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    head = any(columns)
    drawn = Table(box=box.SIMPLE_HEAD if head else None, show_header=head, pad_edge=False)
    for k, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[k], (int, float)) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Text, not markup: ids and titles may hold square brackets.
        drawn.add_row(*(Text(_cell(cell)) for cell in row))
    out = console()
    if title:
        out.print(Text(title, style="bold"))
    out.print(drawn)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1000 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def facts(pairs: Mapping[str, object]) -> None:
    """Names and values, one pair a line; a mapping among them is written as ``name value, name value``."""
    table(("", ""), [(name.replace("_", " "), _fact(value)) for name, value in pairs.items()])


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(part)}" for name, part in value.items())
    return _cell(value)


def moment(ms: int) -> str:
    """Epoch milliseconds for people, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


@contextlib.contextmanager
def progress(what: str, total: int, of_bytes: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; call what it yields with how much is done so far (bytes, or events).

    Without a terminal nothing is drawn.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()]
    columns += [DownloadColumn() if of_bytes else MofNCompleteColumn(), TimeRemainingColumn()]
    drawn = sys.stderr.isatty()
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not drawn)
    with bar:
        task = bar.add_task(what, total=max(total, 1))
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def percentage(what: str) -> Iterator[Callable[[int, int], None]]:
    """As `progress`, where the total is known only later: call it with how much is done, of how much."""
    with progress(what, 100, of_bytes=False) as bar:
        yield lambda done, total: bar(100 * done // max(total, 1))
