"""What the checks of all sources are made of: a small shop, and how a source sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.events.codes import PURCHASE, RATING, VIEW
from stream.events.types import Item
from stream.sources.deep import Deep
from stream.sources.deep_model import model_of
from stream.sources.registry import SOURCES
from stream.sources.source import Interactions, Room, Source, Visit, interactions, proposals
from stream.state.hashing import hash64
from tests.unit.deep_kit import arrays, names

ITEMS, SHOPPERS = 64, 48
PAIRS = 12
"""Items 2k and 2k + 1 always come together, k below this."""


class Did(NamedTuple):
    """One event."""

    shopper: int
    item: int
    code: int = VIEW
    ts_ms: int = 1_600_000_000_000
    opens: bool = False
    rating: float = float("nan")


def room(items: int = ITEMS, shoppers: int = SHOPPERS) -> Room:
    hashes = [hash64(np.frombuffer(b"item-%d" % k, np.uint8), 0, len(b"item-%d" % k)) for k in range(items)]
    return Room(items, shoppers, np.array(hashes, np.uint64))


def columns(events: Iterable[Did]) -> Interactions:
    every = list(events)
    found = interactions(len(every))
    into: tuple[NDArray[Any], ...] = found
    for k, did in enumerate(every):
        for column, value in zip(into, did, strict=True):
            column[k] = value
    return found


def couples(seed: int = 1, sessions: int = 600, kind: int = VIEW) -> list[Did]:
    """Visits to one pair of items each, as views, purchases, or ratings of both."""
    rng = Random(seed)
    events: list[Did] = []
    ts_ms = 1_600_000_000_000
    for _ in range(sessions):
        shopper, pair = rng.randrange(SHOPPERS - 8), rng.randrange(PAIRS)
        ts_ms += 3_600_000
        for place, item in enumerate(rng.sample([2 * pair, 2 * pair + 1], 2)):
            rating = 1.0 + rng.randrange(5) if kind == RATING else float("nan")
            events.append(Did(shopper, item, kind, ts_ms + 20_000 * place, place == 0, rating))
    return events


def mixed(seed: int = 2, sessions: int = 300) -> list[Did]:
    """Pairs looked at, bought and rated."""
    rng = Random(seed)
    events = couples(seed, sessions)
    return [
        did._replace(code=code, rating=float(rng.randint(1, 5)) if code == RATING else float("nan"))
        for did in events
        for code in [rng.choice((VIEW, VIEW, PURCHASE, RATING))]
    ]


def facts(numbers: Iterable[int]) -> list[Item]:
    """A pair shares its category, its brand and a word of its title."""
    return [
        Item(item_id=f"item-{k}", title=f"thing {k // 2} no{k}", category=f"c{k // 2}", brand=f"b{k // 4}",
             list_price=5.0 + k)
        for k in numbers
    ]  # fmt: skip


def made(name: str, of: Room | None = None) -> Source:
    if name == Deep.name:
        return Deep(of or room(), model_of(arrays(names(ITEMS))))
    return SOURCES[name](of or room())


def taught(name: str, events: Sequence[Did], of: Room | None = None) -> Source:
    """A source that knows the catalogue and has seen the events."""
    source = made(name, of)
    describe(source, range(min(ITEMS, source_items(of))))
    source.learn(columns(events))
    return source


def source_items(of: Room | None) -> int:
    return ITEMS if of is None else of.items


def describe(source: Source, numbers: Iterable[int]) -> None:
    every = list(numbers)
    source.describe_items(np.array(every, np.int32), facts(every))


def visit(recent: Sequence[int], shopper: int = SHOPPERS - 1, length: int = 20) -> Visit:
    return Visit(shopper, np.array(recent, np.int32), len(recent), length)


def proposed(source: Source, to: Visit) -> list[tuple[int, float, int]]:
    out = proposals(max(to.length, 1))
    n = source.propose(to, out)
    assert 0 <= n <= to.length
    return list(zip(out.item[:n].tolist(), out.score[:n].tolist(), out.evidence[:n].tolist(), strict=True))


def items_of(source: Source, to: Visit) -> list[int]:
    return [item for item, _, _ in proposed(source, to)]


VISITS = [visit([k], shopper) for k in range(2 * PAIRS) for shopper in (0, 3, SHOPPERS - 1)]
