"""`stream train`: models that are fitted to a whole log at once, apart from the live path."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, moment, note, progress
from stream.errors import InputError

SEED = 1

app = typer.Typer(
    help="Train models on a log of events, offline.",
    epilog="Example: stream train sessions --help",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keeps `sessions` a subcommand while it is the only one."""


@app.command(
    "sessions", epilog="Example: stream train sessions events.jsonl.gz --format jsonl --out model.npz"
)
def sessions(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of events.")],
    format: options.Format,
    out: Annotated[Path, typer.Option(metavar="MODEL.npz", help="Write the model to this file.")],
    mapping: options.Mapping = None,
    leave_last: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.99,
            metavar="SHARE",
            help="Leave out the last share of events, to be scored by evaluate with the same --score-last.",
        ),
    ] = 0.0,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Passes over all examples.")] = 3,
    dimensions: Annotated[
        int, typer.Option(min=8, max=512, metavar="N", help="Numbers that stand for an item.")
    ] = 64,
    as_json: options.AsJson = False,
) -> None:
    """Train a session model, which the source `deep` serves (docs/deep.md).

    Every item that a session goes on to is an example; events that repeat their session's last item are
    dropped. The same files give the same model. A model already there is replaced once the new one is whole.
    """  # fmt: skip
    if find_spec("jax") is None:
        raise InputError(
            "Training needs JAX, which is not installed: install the extra `deep` (stream-engine[deep])."
        )
    from stream.cli.feed import read_all, total_bytes
    from stream.deep.examples import examples
    from stream.deep.files import write
    from stream.deep.train import train
    from stream.evaluation import log as logs

    if not out.parent.is_dir():
        raise InputError(f"{out} cannot be written (there is no such folder): choose another --out.")
    began = time.perf_counter()
    with progress("reading", total_bytes(files)) as bar:
        steps = logs.without_repeats(logs.in_order(read_all(files, format, mapping, bar)).steps)
    found = examples(steps[: int(len(steps) * (1 - leave_last))])
    losses: list[float] = []

    def told(epoch: int, loss: float) -> None:
        losses.append(round(loss, 4))
        note(f"epoch {epoch} of {epochs}: loss {loss:.4f}, {time.perf_counter() - began:,.0f} s")

    with progress("training", epochs * len(found.target), of_bytes=False) as bar:
        write(out, train(found, epochs, dimensions, SEED, told, bar))
    answer = {
        "model": str(out),
        "items": len(found.items),
        "examples": len(found.target),
        "trained_from": moment(found.first_ms),
        "trained_until": moment(found.last_ms),
        "loss": losses[-1],
        "seconds": round(time.perf_counter() - began, 1),
    }
    if as_json:
        answer_json(answer | {"losses": losses})
    else:
        facts(answer)
