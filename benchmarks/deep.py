"""Does a session model earn a place beside the blend? `python -m benchmarks.deep MODEL.npz` prints a table.

The model must have been trained on what comes before the part that is scored:
`stream train sessions LOG --format F --leave-last 0.3 --out MODEL.npz`. Rows: popularity, markov, the blend,
the model alone, and both fused by the sum of reciprocal ranks (Cormack et al., 2009); then how often the
right item was in at least one of the two lists, and how far the fused lists are above the blend's: 95 %
intervals over the same events. `--log` names another log of `benchmarks.logs`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import logs
from benchmarks.harness import progress
from stream.cli.compare import BLEND, scores_of
from stream.cli.feed import Feed as EngineFeed
from stream.cli.output import answer_json, table
from stream.deep.files import read
from stream.effects import Effects
from stream.errors import InputError
from stream.evaluation.alone import SourceFeed, new_room
from stream.evaluation.difference import Through
from stream.evaluation.lists import Told, lists_of
from stream.evaluation.measures import leads, means
from stream.evaluation.prequential import CUTOFF, Feed, Scores, run
from stream.events.types import AnyEvent, Item
from stream.sources.deep import Deep
from stream.sources.deep_model import Model
from stream.sources.source import Proposals, Room, Visit

BESIDE = ("popularity", "markov")
RANK = 60
"""Of the fusion: what its authors found good for any lists."""
BEFORE = 1_000
"""Events before the first that is scored for which lists are made: more than a session has."""


class Late(Deep):
    """`Deep` that makes no list at first, as most of its time would go into lists that nobody scores; and
    that measures the processor time of those it makes."""

    def __init__(self, room: Room, model: Model, silent: int) -> None:
        super().__init__(room, model)
        self._silent = silent
        self.seconds, self.made = 0.0, 0

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`."""
        if self._silent > 0:
            self._silent -= 1
            return 0
        began = time.process_time()
        n = super().propose(visit, out)
        self.seconds += time.process_time() - began
        self.made += 1
        return n


class Kept(Through):
    """A feed whose lists are kept, by the offset of their event, from a first one on."""

    def __init__(self, feed: Feed, first: int) -> None:
        super().__init__(feed)
        self._first = first
        self.lists: dict[int, bytes] = {}

    def flush(self) -> Effects:
        """What the feed has to say."""
        effects = super().flush()
        self.lists |= {offset: value for (_, offset), value in lists_of(effects) if offset >= self._first}
        return effects


class Fused:
    """A feed that makes no lists of its own: those of others, fused."""

    def __init__(self, of: Sequence[Kept]) -> None:
        self._of, self._offset, self._told = of, 0, Told()

    def item(self, item: Item) -> None:
        """Facts are known to the others."""

    def event(self, event: AnyEvent) -> int:
        """Fuse the lists that were made after this event."""
        offset = self._offset
        self._offset += 1
        lists = [
            msgspec.json.decode(kept.lists[offset])["items"] for kept in self._of if offset in kept.lists
        ]
        if lists:
            self._told.add(event.user_id, offset, fused(lists))
        return offset

    def freeze(self) -> None:
        """It learns nothing."""

    def flush(self) -> Effects:
        """The fused lists since."""
        return self._told.flush()


def fused(lists: Sequence[Sequence[str]]) -> list[str]:
    """Items by the sum of ``1 / (RANK + place)``; of equal ones those of the first list go first."""
    sums: dict[str, float] = {}
    for each in lists:
        for place, item in enumerate(each[:CUTOFF], 1):
            sums[item] = sums.get(item, 0.0) + 1.0 / (RANK + place)
    return sorted(sums, key=lambda item: -sums[item])[:CUTOFF]


def measured(log: logs.Judged, model: Model) -> dict[str, Any]:
    """All rows of one log."""
    first, steps = log.first_scored, log.steps
    if model.about.last_ms >= steps[first].ts_ms:
        raise InputError("The model was trained on what is to be scored: train it with --leave-last 0.3.")
    room, items, shoppers = new_room()
    silent = max(first - BEFORE, 0)
    late = Late(room, model, silent)
    kept = {
        "deep": Kept(SourceFeed(late, items, shoppers), silent),
        BLEND: Kept(EngineFeed(at_once=True), silent),
    }
    found: dict[str, Scores] = {name: scores_of(name, steps, first, _tell(name)) for name in BESIDE}
    found |= {name: run(feed, steps, first, _tell(name)) for name, feed in kept.items()}
    found["fused"] = run(Fused([kept[BLEND], kept["deep"]]), steps, first, _tell("fused"))
    blend, deep = found[BLEND].rank >= 0, found["deep"].rank >= 0
    return {
        "rows": {name: {m: means(s.rank)[m] for m in ("hr@20", "mrr@20")} for name, s in found.items()},
        "in_either": round(float(np.mean(blend | deep)), 5),
        "in_deep_alone": round(float(np.mean(deep & ~blend)), 5),
        "fused_above_blend": leads(found["fused"], found[BLEND]),
        "scored": len(blend),
        "items": len(model.hashes),
        "epochs": model.about.epochs,
        "us_a_list": round(late.seconds / max(late.made, 1) * 1e6),
    }


def _tell(name: str) -> Any:
    return lambda done: progress.print(f"[dim]{name}: {done:,}") if 256 < done % 100_000 <= 512 else None


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deep", description=__doc__)
    parser.add_argument("model", type=Path, help="a file that `stream train sessions` wrote")
    parser.add_argument("--log", default="diginetica", choices=tuple(logs.REAL), help="what to score")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(given)
    told = measured(logs.real(options.log), read(options.model))
    if options.json:
        answer_json(told)
    else:
        table(
            ("source", "hr@20", "mrr@20"), [(name, *row.values()) for name, row in told.pop("rows").items()]
        )
        for name, value in told.items():
            print(f"{name.replace('_', ' ')}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
