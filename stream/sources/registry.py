"""Sources by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stream.errors import InputError
from stream.sources.content import Content
from stream.sources.embeddings import Embeddings
from stream.sources.factors import Factors
from stream.sources.popularity import Popularity
from stream.sources.profile import Profile
from stream.sources.purchases import Purchases
from stream.sources.ratings import Ratings
from stream.sources.rising import Rising
from stream.sources.sessions import Sessions
from stream.sources.source import Room, Source

SOURCES: Mapping[str, Callable[[Room], Source]] = {
    "sessions": Sessions,
    "content": Content,
    "purchases": Purchases,
    "factors": Factors,
    "embeddings": Embeddings,
    "popularity": Popularity,
    "rising": Rising,
    "profile": Profile,
    "ratings": Ratings,
}
"""What makes a source of each name. A further one is added here, and passes the checks that all pass."""


def require(names: Iterable[str]) -> None:
    """Raise `InputError` for the first name that there is not."""
    for name in names:
        if name not in SOURCES:
            raise InputError(f"There is no source {name!r}: choose from {', '.join(SOURCES)}.")


def make(name: str, room: Room) -> Source:
    """A new source. Raises `InputError` for a name that there is not."""
    require([name])
    return SOURCES[name](room)
