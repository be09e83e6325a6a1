"""The command line `stream`: one module a command, which imports what it needs when it is called.

`app.py` lists the commands. What a program may read goes to standard output (with `--json` exactly one
object), everything else to standard error. Exit codes: 0 done; 1 the answer is no (nothing published
for that id, a check failed); 2 it cannot be done as asked; 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """Run the command that `sys.argv` names, and exit."""
    from stream.cli.app import app

    app(prog_name="stream")
