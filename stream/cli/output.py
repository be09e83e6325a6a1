"""How commands speak: answers on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


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


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """A table on standard output; numbers to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for k, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[k], (int, float)) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # Text, not markup: ids and titles may hold square brackets.
        drawn.add_row(*(Text(_cell(cell)) for cell in row))
    console().print(drawn)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.5g}" if abs(value) < 1000 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def facts(pairs: Mapping[str, object], title: str | None = None) -> None:
    """Names and values, one pair a line."""
    table(("", ""), [(name.replace("_", " "), _cell(value)) for name, value in pairs.items()], title)


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

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        DownloadColumn() if of_bytes else MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=max(total, 1))
        yield lambda done: bar.update(task, completed=done)
