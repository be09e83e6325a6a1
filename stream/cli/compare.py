"""Scores by name: of the blend, of some of its sources, of one of them, of a source beside it, or of several
of these joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stream.cli import deep
from stream.cli.feed import Feed as BlendFeed
from stream.config import EngineConfig
from stream.errors import InputError
from stream.evaluation.alone import SourceFeed, new_room
from stream.evaluation.fusion import REACH
from stream.evaluation.joined import JoinedFeed
from stream.evaluation.log import Step
from stream.evaluation.prequential import CUTOFF, Feed, Scores, run
from stream.evaluation.reload import NAME as RELOAD
from stream.evaluation.reload import ReloadFeed
from stream.recommend.sources import SOURCES as BLENDED
from stream.sources.registry import SOURCES as BESIDE
from stream.sources.registry import make

BLEND, ALL = "blend", "all"
NAMES = (BLEND, *BLENDED, *BESIDE)
APART = (deep.NAME, RELOAD)
"""Run where they are named, and not with all: one needs a file, the other hits nothing but reloads."""


def named(given: str) -> list[str]:
    """The names in a list with commas, each of one source or of several joined: ``blend+sessions``.

    Raises InputError for a name that there is not, or is joined with itself.
    """
    names = list(NAMES) if given == ALL else given.split(",")
    known = (*NAMES, *APART)
    for name in names:
        parts = name.split("+")
        for k, part in enumerate(parts):
            if part not in known:
                raise InputError(f"There is no source {part!r}: choose from {', '.join(known)}.")
            if part in parts[:k]:
                raise InputError(f"{name!r} has {part!r} twice: join different sources.")
    return names


def members_of(name: str) -> list[str]:
    """What is joined under a name: sources of the blend are one member, the blend of these alone.

    ``markov+sessions+two-hop`` joins ``markov+two-hop`` and ``sessions``. Of ``content`` there are two: with
    nothing but sources of the blend it is the blend's.
    """
    parts = name.split("+")
    if len(parts) > 1 and all(part in BLENDED for part in parts):
        return [name]
    others = [part for part in parts if part in (*BESIDE, *APART)]
    blended = "+".join(part for part in parts if part not in (BLEND, *others))
    return [BLEND] * (BLEND in parts) + [blended] * bool(blended) + others


def feed_of(member: str, length: int) -> Feed:
    """A new feed of one member but `deep`: lists of up to `length`, the engine's of 20."""
    if member == RELOAD:
        return ReloadFeed()
    if member in BESIDE:
        room, items, shoppers = new_room()
        return SourceFeed(make(member, room), items, shoppers, length)
    sources = () if member == BLEND else tuple(member.split("+"))
    return BlendFeed(EngineConfig(sources=sources), at_once=True)


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
    members = members_of(name)
    length = CUTOFF if len(members) == 1 else REACH
    feeds = {
        each: deep.feed_of_deep(deep_model, steps, first_scored, length)
        if each == deep.NAME
        else feed_of(each, length)
        for each in members
    }
    feed = feeds[members[0]]
    if len(members) > 1:
        lead = members[0] if isinstance(feed, BlendFeed) else None
        feed = JoinedFeed(feeds, lead)
    return run(feed, steps, first_scored, on_events, frozen=frozen)
