"""What a page asks for, and the same in numbers, as `arrange` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from stream.events.types import Id
from stream.items.catalogue import Catalogue
from stream.items.table import ItemTable
from stream.rules.rule import LENGTH_MAX

NO_CATEGORY = 0
"""Any category will do."""

UNKNOWN_CATEGORY = -1
"""The category asked for is no item's: the list is empty."""


class RequestContext(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One request for a list. `anchors`: the page's item, or the cart's, the latest last; they are not shown
    themselves. `category`: only items of it. `exclude`: not these. `length`: None means the scenario's.
    `context`: where the shopper comes from, as in an event (`stream.cohorts`); where it says nothing, what
    events said holds on."""

    scenario: Annotated[str, Meta(min_length=1, max_length=64)] = "home"
    anchors: Annotated[list[Id], Meta(max_length=50)] = []
    category: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    exclude: Annotated[list[Id], Meta(max_length=1000)] = []
    length: Annotated[int, Meta(ge=1, le=LENGTH_MAX)] | None = None
    segment: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    context: dict[str, Any] = {}


class Asked(NamedTuple):
    """A request in numbers. `anchor`: -1 for none; `category`: a number of the catalogue, `NO_CATEGORY` or
    `UNKNOWN_CATEGORY`; ``excluded[:excluded_size]``: not these; ``shown[:shown_size]``: what the last lists
    of this shopper held and he did not click, an item as often as it was in one."""

    anchor: int
    category: int
    excluded: NDArray[np.int32]
    excluded_size: int
    shown: NDArray[np.int32]
    shown_size: int
    length: int
    now_ms: int


def asked(
    request: RequestContext,
    length: int,
    table: ItemTable,
    catalogue: Catalogue,
    now_ms: int,
    shown: Sequence[int] = (),
) -> Asked:
    """`request` in numbers, `length` being the scenario's; 5 µs, and 1 µs for each id.

    Ids that nobody knows are left out, not learned: requests must not fill up the table.
    """
    find = table.interner.find
    anchors = [number for number in (find(each.encode()) for each in request.anchors) if number >= 0]
    others = [number for number in (find(each.encode()) for each in request.exclude) if number >= 0]
    excluded, _ = table.standing(np.array(anchors + others, np.int32))
    category = NO_CATEGORY
    if request.category is not None:
        category = catalogue.categories.find(request.category.encode())
    return Asked(
        anchor=int(excluded[len(anchors) - 1]) if anchors else -1,
        category=category,
        excluded=excluded,
        excluded_size=len(excluded),
        shown=np.array(shown, np.int32),
        shown_size=len(shown),
        length=request.length or length,
        now_ms=now_ms,
    )
