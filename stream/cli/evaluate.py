"""`stream evaluate`: how good the lists would have been on a log that you have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, note, progress, table

SCORE_LAST = 0.3
"""Share that is scored unless said otherwise: the lists before it had time to settle."""

app = typer.Typer(
    help="Measure quality on a log of events: test, then learn.",
    epilog="Example: stream evaluate recs --help",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keeps `recs` a subcommand while it is the only one."""


@app.command(
    "recs",
    epilog="Example: stream evaluate recs 2019-Oct.csv.gz --format rees46 --score-last 0.3 --drop-repeats",
)
def recs(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of events.")],
    format: options.Format,
    mapping: options.Mapping = None,
    score_last: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Score the last share of events (default 0.3)."),
    ] = None,
    drop_repeats: Annotated[
        bool, typer.Option("--drop-repeats", help="Drop events that repeat their session's last item.")
    ] = False,
    learn_first: Annotated[
        Path | None,
        typer.Option(metavar="TRAIN", help="Learn this file first, unscored, then score all of FILE."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Score the list last published to each shopper against what they looked at next.

    The engine itself gets one event after the other, in time order, and everything that follows from an
    event has happened before the next one. Events that open a session are not scored.
    """
    from stream.cli import prequential as pq
    from stream.cli.feed import Feed, read_all, total_bytes

    if learn_first is not None and score_last not in (None, 1.0):
        note("With --learn-first all of FILE is scored: --score-last changes nothing.")
    share = 1.0 if learn_first is not None else SCORE_LAST if score_last is None else score_last
    train = pq.Log([], Counter())
    if learn_first is not None:
        with progress(f"reading {learn_first.name}", total_bytes([learn_first])) as bar:
            train = pq.in_order(read_all([learn_first], format, mapping, bar))
    with progress("reading", total_bytes(files)) as bar:
        log = pq.in_order(read_all(files, format, mapping, bar))
    steps, learned = train.steps + log.steps, len(train.steps)
    if drop_repeats:
        learned = len(pq.without_repeats(train.steps))
        steps = pq.without_repeats(steps)
    first_scored = learned + int((len(steps) - learned) * (1 - share))
    feed = Feed()
    with progress("evaluating", len(steps), of_bytes=False) as bar:
        outcome = pq.run(feed, steps, first_scored, bar)
    answer = {
        **outcome.as_dict(),
        "dropped_repeats": len(train.steps) + len(log.steps) - len(steps),
        "refused": dict(train.refused + log.refused + feed.pipeline.engine.metrics.refused),
        "model": feed.pipeline.learner.snapshot().name,
        "live": feed.pipeline.learner.quality.as_dict(),
    }
    if as_json:
        answer_json(answer)
    else:
        live = answer.pop("live")
        facts(answer)
        rows = [(name, *of.values()) for name, of in live.items()]
        table(("live, on sampled lists", "hr@20", "mrr@20"), rows)
