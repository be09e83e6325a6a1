"""The source `deep` among those that `stream evaluate recs` compares and joins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.cli.output import moment, note
from stream.deep.files import read
from stream.errors import InputError
from stream.evaluation.alone import SourceFeed, new_room
from stream.evaluation.log import Step
from stream.sources.deep import Deep
from stream.sources.deep_model import TRAIN
from stream.state.hashing import hash_ids

NAME = Deep.name


def feed_of_deep(path: Path | None, steps: Sequence[Step], first_scored: int, length: int) -> SourceFeed:
    """A feed of what the model in a file proposes for this log, lists of up to `length`.

    Says so where it was trained on what is scored. Raises InputError without a file, or where the model knows
    no item of the log.
    """
    if path is None:
        raise InputError(f"The source {NAME} needs a model: {TRAIN}, and name its file with --deep-model.")
    model = read(path)
    if not np.isin(_hashes(steps), model.hashes).any():
        raise InputError(f"{path} can propose nothing: it was trained on other items than this log's.")
    if first_scored < len(steps) and model.about.last_ms >= steps[first_scored].ts_ms:
        note(
            f"{path} was trained on events until {moment(model.about.last_ms)} and scoring begins at "
            f"{moment(steps[first_scored].ts_ms)}: of what it has seen it is no judge."
        )
    room, items, shoppers = new_room()
    return SourceFeed(Deep(room, model), items, shoppers, length)


def _hashes(steps: Sequence[Step]) -> NDArray[np.uint64]:
    names = {step.event.item_id for step in steps if step.event.item_id is not None}
    found = np.zeros(len(names), np.uint64)
    hash_ids(np.frombuffer("\0".join(names).encode(), np.uint8), found)
    return found
