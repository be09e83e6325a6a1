"""`stream evaluate`: how good the lists would have been on a log that you have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, note, progress, table

if TYPE_CHECKING:
    from stream.evaluation.log import Step

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
    sources: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="A row for each: blend, a source alone, some of the blend's joined by +, or all.",
        ),
    ] = None,
    deep_model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL.npz", help="With --sources deep: the model that it serves."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Score the list last published to each shopper against what they looked at next.

    The engine itself gets the events in time order, and every list knows all events before it. Events
    that open a session are not scored. hr is the share of events whose item was in the list, mrr the mean
    reciprocal of its place, ndcg discounts places by their logarithm; coverage is the share of all items
    that were in some list, head_share how much of the lists are the most popular items (those with half
    of all events), diversity the share of pairs in a list that are of two categories.
    With --sources each of those named is run over the whole log by itself.
    """
    from stream.cli.feed import Feed, read_all, total_bytes
    from stream.evaluation import log as logs
    from stream.evaluation.measures import report
    from stream.evaluation.prequential import run

    names = []
    if sources is not None:
        from stream.cli.compare import named

        names = named(sources)
    if learn_first is not None and score_last not in (None, 1.0):
        note("With --learn-first all of FILE is scored: --score-last changes nothing.")
    share = 1.0 if learn_first is not None else SCORE_LAST if score_last is None else score_last
    train = logs.Log([], Counter())
    if learn_first is not None:
        with progress(f"reading {learn_first.name}", total_bytes([learn_first])) as bar:
            train = logs.in_order(read_all([learn_first], format, mapping, bar))
    with progress("reading", total_bytes(files)) as bar:
        log = logs.in_order(read_all(files, format, mapping, bar))
    steps, learned = train.steps + log.steps, len(train.steps)
    if drop_repeats:
        learned = len(logs.without_repeats(train.steps))
        steps = logs.without_repeats(steps)
    first_scored = learned + int((len(steps) - learned) * (1 - share))
    if names:
        _compare(names, steps, first_scored, deep_model, as_json)
        return
    feed = Feed(at_once=True)
    with progress("evaluating", len(steps), of_bytes=False) as bar:
        scores = run(feed, steps, first_scored, bar)
    answer = {
        **report(scores),
        "dropped_repeats": len(train.steps) + len(log.steps) - len(steps),
        "refused": dict(train.refused + log.refused + feed.pipeline.engine.metrics.refused),
        "model": feed.pipeline.learner.snapshot().name,
        "live": feed.pipeline.learner.quality.as_dict(),
    }
    if as_json:
        answer_json(answer)
    else:
        live, segments, intervals = (answer.pop(name) for name in ("live", "segments", "intervals"))
        facts(answer | {f"{name}, 95 %": f"{low} to {high}" for name, (low, high) in intervals.items()})
        table(
            ("of these", "scored", "hr@20", "mrr@20"), [(name, *of.values()) for name, of in segments.items()]
        )
        table(
            ("live, on sampled lists", "hr@20", "mrr@20"), [(name, *of.values()) for name, of in live.items()]
        )


def _compare(
    names: list[str], steps: list[Step], first_scored: int, deep_model: Path | None, as_json: bool
) -> None:
    """A row for each name."""
    from stream.cli.compare import scores_of
    from stream.evaluation.measures import report

    told = {}
    for name in names:
        with progress(f"evaluating {name}", len(steps), of_bytes=False) as bar:
            told[name] = report(scores_of(name, steps, first_scored, bar, deep_model))
    if as_json:
        answer_json({"sources": told})
    else:
        columns = ("hr@5", "hr@10", "hr@20", "mrr@20", "ndcg@20", "coverage", "head_share", "events_per_s")
        table(("source", *columns), [(name, *(row[c] for c in columns)) for name, row in told.items()])
        scored = next(iter(told.values()))["scored"]
        note(f"{scored:,} events scored of {len(steps):,}.")
