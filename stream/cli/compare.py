"""Scores by name: of the blend, of some of its sources, of one of them, or of a source beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from stream.cli import deep
from stream.cli.feed import Feed
from stream.config import EngineConfig
from stream.errors import InputError
from stream.evaluation.alone import alone
from stream.evaluation.log import Step
from stream.evaluation.prequential import Scores, run
from stream.recommend.sources import SOURCES as BLENDED
from stream.sources.registry import SOURCES as BESIDE

BLEND, ALL = "blend", "all"
NAMES = (BLEND, *BLENDED, *BESIDE)


def named(given: str) -> list[str]:
    """The names in a list with commas. Sources of the blend may be joined: ``markov+two-hop``.

    Raises InputError for a name that there is not.
    """
    names = list(NAMES) if given == ALL else given.split(",")
    for name in names:
        parts = name.split("+")
        known: Iterable[str] = (*NAMES, deep.NAME) if len(parts) == 1 else BLENDED
        for part in parts:
            if part not in known:
                what = "to be blended with others" if len(parts) > 1 else ""
                raise InputError(
                    f"There is no source {part!r} {what}".strip() + f": choose from {', '.join(known)}."
                )
    return names


def scores_of(
    name: str,
    steps: Sequence[Step],
    first_scored: int,
    on_events: Callable[[int], None] = lambda _: None,
    frozen: bool = False,
    deep_model: Path | None = None,
) -> Scores:
    """Test, then learn, with what has this name; `frozen` as in `run`; `deep_model` is the file that `deep`
    serves."""
    if name == deep.NAME:
        return deep.scores_of_deep(deep_model, steps, first_scored, on_events, frozen)
    if name in BESIDE:
        return alone(name, steps, first_scored, on_events, frozen)
    sources = () if name == BLEND else tuple(name.split("+"))
    feed = Feed(EngineConfig(sources=sources), at_once=True)
    return run(feed, steps, first_scored, on_events, frozen=frozen)
