"""All commands by name, and what happens to their errors."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from stream.cli import (
    bootstrap,
    config,
    doctor,
    evaluate,
    explain,
    local,
    models,
    produce,
    read,
    rebuild,
    replay,
    rules,
    simulate,
    state,
    topics,
    train,
    worker,
)
from stream.cli.demo import command as demo
from stream.cli.output import complain
from stream.errors import StreamError

EXIT_REFUSED, EXIT_INTERRUPTED = 2, 130
"""It cannot be done as asked; and what shells report for a process that Ctrl-C ended."""


class Commands(TyperGroup):
    """Turns errors that are meant for users into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StreamError as error:
            complain(str(error))
            raise typer.Exit(EXIT_REFUSED) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


app = typer.Typer(
    name="stream",
    cls=Commands,
    help="Shopper events in, recommendations and prices out.",
    epilog="Example: stream demo",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: the same text in a terminal, a pipe and docs/cli.md.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.add_typer(local.app, name="local")
app.command("worker", epilog=worker.EXAMPLE)(worker.worker)
app.add_typer(topics.app, name="topics")
app.command("produce", epilog=produce.EXAMPLE)(produce.produce)
app.add_typer(rules.app, name="rules")
app.add_typer(models.app, name="models")
app.command("bootstrap", epilog=bootstrap.EXAMPLE)(bootstrap.bootstrap)
app.command("simulate", epilog=simulate.EXAMPLE)(simulate.simulate)
app.command("replay", epilog=replay.EXAMPLE)(replay.replay)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(train.app, name="train")
app.command("recs", epilog=read.RECS_EXAMPLE)(read.recs)
app.command("similar", epilog=read.SIMILAR_EXAMPLE)(read.similar)
app.command("trending", epilog=read.TRENDING_EXAMPLE)(read.trending)
app.command("price", epilog=read.PRICE_EXAMPLE)(read.price)
app.command("explain", epilog=explain.EXAMPLE)(explain.explain)
app.add_typer(state.app, name="state")
app.command("rebuild", epilog=rebuild.EXAMPLE)(rebuild.rebuild)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.command("config", epilog=config.EXAMPLE)(config.config)
