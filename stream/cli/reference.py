"""The page docs/cli.md, made of what `--help` says: ``python -m stream.cli.reference > docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from stream.cli.app import app

WIDTH = 100

HEAD = """# The command line

`stream` is also `python -m stream`. This page is what `--help` says, written by
`python -m stream.cli.reference > docs/cli.md`.

What a program may read goes to standard output, with `--json` exactly one object; everything else goes to
standard error. Exit codes: 0 done; 1 the answer is no (nothing published for that id, a failed check);
2 it cannot be done as asked, with one sentence that says why; 130 interrupted with Ctrl-C.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups before what is in them."""
    yield from _walk("stream", typer.main.get_command(app))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for part, inner in getattr(command, "commands", {}).items():
        yield from _walk(f"{name} {part}", inner)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, command in commands():
        context = command.context_class(command, info_name=name, terminal_width=WIDTH)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context).strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
