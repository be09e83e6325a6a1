"""`stream local`: Kafka and Redis on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, note

if TYPE_CHECKING:
    from stream.local import Stack

app = typer.Typer(
    help="Real Apache Kafka and Redis on this machine.",
    epilog="Example: stream local up",
    no_args_is_help=True,
)

EXIT_DOWN = 1
"""`status` found no running stack."""


@app.command("up", epilog="Example: stream local up && stream worker")
def up(as_json: options.AsJson = False) -> None:
    """Start Kafka and Redis in the background, or find those that run.

    Other commands find their addresses by themselves, unless settings name others.
    """
    from stream import local

    _show(local.up(), as_json)


@app.command("down", epilog="Example: stream local down")
def down(as_json: options.AsJson = False) -> None:
    """Stop both; their data stays for the next `up`."""
    from stream import local

    stopped = local.down()
    if as_json:
        answer_json({"stopped": stopped})
    else:
        note("Stopped." if stopped else "No local stack is running.")


@app.command("status", epilog="Example: stream local status --json")
def status(as_json: options.AsJson = False) -> None:
    """Show where they are, or exit with 1 if they do not run."""
    from stream import local

    stack = local.status()
    if stack is not None:
        _show(stack, as_json)
        return
    if as_json:
        answer_json({"running": False})
    else:
        note("No local stack is running: start one with `stream local up`.")
    raise typer.Exit(EXIT_DOWN)


def describe(stack: Stack) -> dict[str, Any]:
    """What a user wants to know of a running stack."""
    return {
        "running": True,
        "bootstrap": stack.bootstrap,
        "redis_url": stack.redis_url,
        "mode": stack.mode,
        "home": str(stack.home),
        "logs": {name: str(log) for name, log in stack.logs.items()},
        "pids": stack.pids,
        "downloaded": stack.downloaded,
    }


def _show(stack: Stack, as_json: bool) -> None:
    told = describe(stack)
    if as_json:
        answer_json(told)
        return
    logs = {f"log of {name}": log for name, log in told.pop("logs").items()}
    pids = {f"process of {name}": str(pid) for name, pid in told.pop("pids").items()}
    facts({name: value for name, value in (told | logs | pids).items() if name != "running"})
    note(f"For other programs: export STREAM_BOOTSTRAP={stack.bootstrap} STREAM_REDIS_URL={stack.redis_url}")
