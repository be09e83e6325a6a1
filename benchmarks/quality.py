"""Is the blend at least as good as each source alone, on every log? Prints the whole table.

`python -m benchmarks.quality --json` prints one JSON object: by log, for the blend and for every source, the
hit rate and the mean reciprocal rank of 20 places and events a second, repeats removed, the last 30 % scored
(`benchmarks.logs`), and how far the blend is above each source at most: the upper end of a 95 % interval over
the same events. The exit code is 1 if that is below zero by either measure on some log, for then it is not
chance alone that puts the blend below.
`--log` names the logs to take; `--short` takes a slice of one real log and one small made-up one, for a look
whether all of this works.

Every source has one set of defaults. They are not tuned to these logs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks import logs
from benchmarks.harness import progress
from benchmarks.logs import Judged
from stream.cli.compare import BLEND, NAMES, scores_of
from stream.cli.output import answer_json, table
from stream.evaluation.measures import leads, means
from stream.evaluation.prequential import Scores

MEASURES = ("hr@20", "mrr@20")
WARM_EVENTS = 300
SHORT_EVENTS = 3_000
SHORT_SESSIONS = 2_000
"""Enough to be sure which expert to publish: after 500, one made-up log of six still has the wrong one."""

Row = dict[str, float]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a slice of a log and a small made-up one")
    parser.add_argument(
        "--log", choices=[*logs.REAL, *logs.MADE_UP], action="append", help="only this log; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


def judged(short: bool, only: Sequence[str] | None = None) -> Iterator[tuple[str, Callable[[], Judged]]]:
    """Every log that there is by its name, or `only` these; those that are absent are said to be."""
    asked = [*logs.REAL, *logs.MADE_UP] if only is None else only
    for name in ["yoochoose"] if short else [name for name in logs.REAL if name in asked]:
        if not logs.is_there(name):
            progress.print(f"{name} is left out: {logs.REAL[name].file} is not under ../shared/data.")
        elif short:
            yield f"{name}, a slice", lambda name=name: _slice(logs.real(name))  # type: ignore[misc]
        else:
            yield name, lambda name=name: logs.real(name)  # type: ignore[misc]
    if short:
        yield "small, short", lambda: logs.small(SHORT_SESSIONS)
    else:
        yield from ((name, made_up) for name, made_up in logs.MADE_UP.items() if name in asked)


def _slice(log: Judged) -> Judged:
    steps = log.steps[:SHORT_EVENTS]
    return Judged(steps, int(len(steps) * (1 - logs.SCORE_LAST)))


def warm_up(log: Judged) -> None:
    """Have everything compiled that is about to be timed."""
    steps = log.steps[:WARM_EVENTS]
    for name in NAMES:
        scores_of(name, steps, 0)


def rows(log: Judged) -> dict[str, Row]:
    """What the blend and every source reach on one log."""
    warm_up(log)
    found = {name: scores_of(name, log.steps, log.first_scored) for name in NAMES}
    return {name: _row(scores) | _lead(found[BLEND], scores) for name, scores in found.items()}


def _row(scores: Scores) -> Row:
    found = means(scores.rank)
    return {name: found[name] for name in MEASURES} | {"events_per_s": round(scores.events / scores.seconds)}


def _lead(blend: Scores, source: Scores) -> Row:
    found = leads(blend, source)
    return {f"{name}_lead_at_most": found[name][1] for name in MEASURES}


def report(told: Mapping[str, Mapping[str, Row]]) -> dict[str, Any]:
    """The table, and by log whether the blend is at least the best source, and which sources are above it by
    more than chance."""
    return {
        "logs": told,
        "above_the_blend": {
            log: [name for name, row in of.items() if any(row[f"{m}_lead_at_most"] < 0 for m in MEASURES)]
            for log, of in told.items()
        },
        "blend_at_least_best_source": {
            log: all(of[BLEND][measure] >= max(row[measure] for row in of.values()) for measure in MEASURES)
            for log, of in told.items()
        },
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
    }


def verdict(told: Mapping[str, Any]) -> int:
    """1 if the blend loses somewhere by more than chance."""
    return 1 if any(told["above_the_blend"].values()) else 0


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = arguments(given)
    told = {}
    for name, read in judged(options.short, options.log):
        progress.print(f"[dim]{name}")
        told[name] = rows(read())
        for source, row in told[name].items():
            progress.print(f"[dim]  {source}: {row['hr@20']:.4f} / {row['mrr@20']:.4f}")
    found = report(told)
    if options.json:
        answer_json(found)
    else:
        columns = (*MEASURES, "events_per_s")
        lines = [
            (log, name, *(row[of] for of in columns))
            for log, told_of in told.items()
            for name, row in told_of.items()
        ]
        table(("log", "source", *columns), lines)
        for log, above in found["above_the_blend"].items():
            print(f"{log}: above the blend by more than chance: {', '.join(above) or 'none'}")
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
