"""What `stream evaluate` scores: the steps of the files, which of them are learned, and how that is said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from stream.cli.feed import read_all, total_bytes
from stream.cli.output import progress
from stream.errors import InputError
from stream.evaluation import split as splits
from stream.evaluation.log import Log, Step, in_order, without_repeats

SCORE_LAST = 0.3
"""Share that is scored unless said otherwise: the lists before it had time to settle."""

TIMELESS = "sessions"
"""The format that has no times."""


class Judged(NamedTuple):
    """Steps, of which those from `first_scored` on are scored; `frozen` as in `prequential.run`."""

    steps: list[Step]
    first_scored: int
    frozen: bool
    protocol: str
    """In words, for people."""
    parts: dict[str, dict[str, int]]
    """Sizes of the training and the test part, where there are two."""
    dropped_repeats: int
    refused: Counter[str]


class Wanted(NamedTuple):
    """Options of the command line that say what is learned, and what is scored."""

    score_last: float | None
    drop_repeats: bool
    learn_first: Path | None
    frozen: bool
    split: str | None


def judged(files: list[Path], format: str, mapping: Path | None, wanted: Wanted) -> Judged:
    """Read the files. Raises InputError."""
    test = _checked(wanted, format)
    train = Log([], Counter())
    if wanted.learn_first is not None:
        train = _read([wanted.learn_first], format, mapping, f"reading {wanted.learn_first.name}")
    log = _read(files, format, mapping, "reading")
    refused, given = train.refused + log.refused, len(train.steps) + len(log.steps)
    learned, steps = len(train.steps), train.steps + log.steps
    if wanted.drop_repeats:
        learned = len(without_repeats(train.steps))
        steps = without_repeats(steps)
    dropped = given - len(steps)
    repeats = "repeats dropped" if wanted.drop_repeats else "repeats kept"
    if test is None and not wanted.frozen:
        share = 1.0 if wanted.learn_first else SCORE_LAST if wanted.score_last is None else wanted.score_last
        first = learned + int((len(steps) - learned) * (1 - share))
        what = "all of" if share == 1.0 else f"the last {100 * share:g} % of"
        protocol = f"Test, then learn: {what} {len(steps) - learned:,} events, {repeats}"
        return Judged(steps, first, False, protocol, {}, dropped, refused)
    if test is not None:
        found = splits.by_time(steps, test)
        what = test.words
    else:
        learned_steps = splits.in_sessions(steps[:learned])
        found = splits.in_two(learned_steps, splits.in_sessions(steps[learned:], first=len(learned_steps)))
        what = f"the sessions of {files[0].name}"
    protocol = f"Offline: {what}, of which nothing is learned, {repeats}"
    parts = {"train": found.train._asdict(), "test": found.test._asdict()}
    return Judged(found.steps, found.first_scored, True, protocol, parts, dropped, refused)


def _checked(wanted: Wanted, format: str) -> splits.Last | None:
    if wanted.frozen and wanted.learn_first is None:
        raise InputError("--frozen says that only TRAIN is learned: give it with --learn-first.")
    if wanted.split is None:
        return None
    if wanted.learn_first is not None:
        raise InputError("--split parts one log and --learn-first names two: give one of them.")
    test = splits.last(wanted.split)
    if test.of_days and format == TIMELESS:
        raise InputError(
            "The format sessions has no times, and so no last days: give --split in sessions, as 500sessions."
        )
    return test


def _read(files: list[Path], format: str, mapping: Path | None, what: str) -> Log:
    with progress(what, total_bytes(files)) as bar:
        return in_order(read_all(files, format, mapping, bar))
