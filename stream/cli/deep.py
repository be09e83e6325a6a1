"""The source `deep` among those that `stream evaluate recs` compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stream.cli.output import moment, note
from stream.deep.files import read
from stream.errors import InputError
from stream.evaluation.alone import SourceFeed, new_room
from stream.evaluation.log import Step
from stream.evaluation.prequential import Scores, run
from stream.sources.deep import Deep
from stream.sources.deep_model import TRAIN

NAME = Deep.name


def scores_of_deep(
    path: Path | None,
    steps: Sequence[Step],
    first_scored: int,
    on_events: Callable[[int], None],
    frozen: bool = False,
) -> Scores:
    """Score what the model in a file proposes; `frozen` as in `run`.

    Says so where it was trained on what is scored. Raises InputError without a file, or where the model knows
    no item of the log.
    """
    if path is None:
        raise InputError(f"The source {NAME} needs a model: {TRAIN}, and name its file with --deep-model.")
    model = read(path)
    room, items, shoppers = new_room()
    scores = run(
        SourceFeed(Deep(room, model), items, shoppers), steps, first_scored, on_events, frozen=frozen
    )
    if not scores.shown:
        raise InputError(f"{path} proposed nothing: it was trained on other items than this log's.")
    if first_scored < len(steps) and model.about.last_ms >= steps[first_scored].ts_ms:
        note(
            f"{path} was trained on events until {moment(model.about.last_ms)} and scoring begins at "
            f"{moment(steps[first_scored].ts_ms)}: of what it has seen it is no judge."
        )
    return scores
