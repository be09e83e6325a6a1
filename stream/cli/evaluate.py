"""`stream evaluate`: how good the lists would have been on a log that you have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli import options
from stream.cli.output import answer_json, facts, note, progress, table

if TYPE_CHECKING:
    from stream.cli.judged import Judged
    from stream.evaluation.prequential import Scores

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
    frozen: Annotated[
        bool, typer.Option("--frozen", help="With --learn-first: learn nothing of FILE, session by session.")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help="Score the sessions of the last 7days, or the last 500sessions, and learn nothing of them.",
        ),
    ] = None,
    sources: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="A row for each: blend, a source alone, several joined by + (blend+sessions), or all.",
        ),
    ] = None,
    curve: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Draw hr and mrr along the log (.svg or .png), a line for each."
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
    With --sources each of those named is run over the whole log by itself. Joined by +, sources that the
    blend is made of are the blend of these alone (markov+two-hop); with others beside it (sessions, content,
    ...) or the blend as a whole, what each proposes is put in an order that is learned on the way. No list
    of the blend holds the item looked at now; reload is a list of nothing else, and blend+reload compares
    with methods that may propose it.
    With --split or --frozen figures compare with published ones (docs/quality.md): every session is a
    stranger's, and what is scored teaches nothing to any other session.
    """
    from stream.cli import drawing
    from stream.cli.judged import Wanted, judged

    names = []
    if sources is not None:
        from stream.cli.compare import named

        names = named(sources)
    if curve is not None:
        drawing.check(curve)
    log = judged(files, format, mapping, Wanted(score_last, drop_repeats, learn_first, frozen, split))
    if score_last not in (None, 1.0) and (learn_first is not None or split is not None):
        whole = "all of FILE" if split is None else "all of the test part"
        note(
            f"With {'--split' if split else '--learn-first'} {whole} is scored: --score-last changes nothing."
        )
    scored = (
        _compare(names, log, deep_model, curve is not None, as_json)
        if names
        else _alone(log, curve is not None, as_json)
    )
    if curve is not None:
        from stream.evaluation.curve import curve as along

        curves = {name: along(scores) for name, scores in scored.items()}
        window = next(iter(curves.values())).window
        drawing.draw(curves, f"{log.protocol}; windows of {window:,} scored events", curve)


def _alone(log: Judged, with_curve: bool, as_json: bool) -> dict[str, Scores]:
    """The blend, in full."""
    from stream.cli.compare import BLEND
    from stream.cli.feed import Feed
    from stream.evaluation.prequential import run

    feed = Feed(at_once=True)
    with progress("evaluating", len(log.steps), of_bytes=False) as bar:
        scores = run(feed, log.steps, log.first_scored, bar, frozen=log.frozen)
    answer = {
        **_told(scores, with_curve and as_json),
        **log.parts,
        "dropped_repeats": log.dropped_repeats,
        "refused": dict(log.refused + feed.pipeline.engine.metrics.refused),
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
    return {BLEND: scores}


def _compare(
    names: list[str], log: Judged, deep_model: Path | None, with_curve: bool, as_json: bool
) -> dict[str, Scores]:
    """A row for each name."""
    from stream.cli.compare import scores_of

    found, told = {}, {}
    for name in names:
        with progress(f"evaluating {name}", len(log.steps), of_bytes=False) as bar:
            found[name] = scores_of(name, log.steps, log.first_scored, bar, log.frozen, deep_model)
        told[name] = _told(found[name], with_curve and as_json)
    if as_json:
        answer_json({"sources": told, **log.parts})
    else:
        columns = ("hr@5", "hr@10", "hr@20", "mrr@20", "ndcg@20", "coverage", "head_share", "events_per_s")
        table(("source", *columns), [(name, *(row[c] for c in columns)) for name, row in told.items()])
        if log.parts:
            facts(log.parts)
        scored = next(iter(told.values()))["scored"]
        note(f"{scored:,} events scored of {len(log.steps):,}.")
    return found


def _told(scores: Scores, with_curve: bool) -> dict[str, Any]:
    from stream.evaluation.curve import curve
    from stream.evaluation.measures import report

    return report(scores) | ({"curve": curve(scores).as_dict()} if with_curve else {})
