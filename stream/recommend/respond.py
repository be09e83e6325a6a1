"""The list for one request: what a page asks for now, with all that it knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.cohorts import cohorts
from stream.items.catalogue import Catalogue
from stream.items.cohort_names import hashes
from stream.items.due import Wanted
from stream.items.table import ItemTable
from stream.recommend.anchored import Way, make_anchored_lists
from stream.recommend.candidates import REASONS
from stream.recommend.encode import PLAIN, Lists, new_lists
from stream.recommend.make import Ranker
from stream.recommend.pool import LIMIT
from stream.recommend.rank import LENGTH, REACH, new_ranking, no_scorer
from stream.recommend.scenarios import Now, Scenarios
from stream.recommend.sources import used
from stream.rules.book import Rulebook
from stream.rules.request import NO_CATEGORY, RequestContext
from stream.rules.rule import LENGTH_MAX
from stream.shoppers.row import HISTORY, SHOPPER

if TYPE_CHECKING:
    from stream.shoppers.unit import ShopperUnit


class Response(msgspec.Struct, frozen=True):
    """A list in parallel arrays, best first, with what stands behind each place as in published ones
    (`stream.values.Ranked`); `anchors` are those of the request, then what the shopper looked at last.

    `relaxed`: with all that was asked for nothing would have been left, so that it was made without rules of
    the kind `include-only`, or of what is popular; it may be empty still."""

    items: list[str]
    scores: list[float]
    reasons: list[str]
    anchors: list[str]
    because: list[int]
    shoppers: list[int]
    model: str
    relaxed: bool


class Responder:
    """Answers requests of one engine, and changes nothing that anybody else sees. Some 40 KB."""

    def __init__(self, scenarios: Scenarios, rules: Rulebook, table: ItemTable, catalogue: Catalogue) -> None:
        self._scenarios = scenarios
        self._rules = rules
        self._table = table
        self._catalogue = catalogue
        self._ranking = new_ranking(LIMIT)
        self._item, self._score = np.zeros(LIMIT, np.int32), np.zeros(LIMIT)
        self._popular = used(("popular",))
        self._lists = new_lists(1, LENGTH_MAX)

    def respond(
        self, request: RequestContext, shopper_id: str | None, units: Iterable[ShopperUnit], now: Now
    ) -> Response:
        """The list for a shopper whom one of `units` knows, or for anybody; some 90 µs. Raises
        `InputError` if there is no such scenario."""
        row, histories = _known(shopper_id, units)
        row = row.copy()
        said = {key: value for key, value in request.context.items() if value is not None}
        told = hashes(cohorts({"segment": request.segment, "category": request.category} | said))
        row["cohorts"] = np.where(told, told, row["cohorts"])
        asked = self._rules.asked(request, now.now_ms)
        find = self._table.interner.find
        found = np.array([find(each.encode()) for each in request.anchors], np.int32)
        anchors = self._table.standing(found)[0].reshape(1, -1)
        category = NO_CATEGORY if request.category is None else asked.category
        ranker = self._scenarios.ranker(request.scenario, request.segment, now, 0)
        plan = ranker.ruled.plan
        ruled = ranker.ruled._replace(
            plan=plan._replace(relaxed=plan.relaxed.copy()),
            length=asked.length,
            category=category,
            item=self._item,
            score=self._score,
        )
        ranker = ranker._replace(ranking=self._ranking, ruled=ruled)
        more = asked.length > LENGTH or category != NO_CATEGORY
        way = self._scenarios.way(request.scenario)._replace(
            category=category, enough=2 * asked.length + REACH if more else 0
        )
        made, model = self._made(row, histories, anchors, asked.excluded, ranker, way), now.model
        relaxed = bool(ruled.out.relaxed[0]) and not plan.idle
        if not made.size[0]:
            relaxed, model = True, PLAIN
            way = way._replace(lead=-1, enough=2 * asked.length + REACH)
            ranker = ranker._replace(uses=self._popular, scorer=no_scorer())
            made = self._made(row, histories, anchors, asked.excluded, ranker, way)
        size = int(made.size[0])
        because = made.because[0, :size].tolist()
        named = made.anchor[0, : max(because, default=-1) + 1] - 1
        return Response(
            items=self._names(made.item[0, :size]),
            scores=[round(score, 5) for score in made.score[0, :size].tolist()],
            reasons=[REASONS[code] for code in made.reason[0, :size].tolist()],
            anchors=self._names(named),
            because=because,
            shoppers=made.shoppers[0, :size].tolist(),
            model=PLAIN if way.lead >= 0 or made.plain[0] else model,
            relaxed=relaxed,
        )

    def _names(self, numbers: NDArray[np.int32]) -> list[str]:
        return [self._table.interner.name(number).decode() for number in numbers.tolist()]

    def _made(
        self,
        row: NDArray[np.void],
        histories: NDArray[np.void],
        anchors: NDArray[np.int32],
        banned: NDArray[np.int32],
        ranker: Ranker,
        way: Way,
    ) -> Lists:
        with _unheard(ranker.wanted, self._table.rows):
            make_anchored_lists(row.copy(), histories, anchors, banned, ranker, way, self._lists)
        return self._lists


def _known(shopper_id: str | None, units: Iterable[ShopperUnit]) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """A shopper's row and the histories that it refers to; those of nobody for one who is not known."""
    for unit in units if shopper_id else ():
        number = unit.interner.find((shopper_id or "").encode())
        if number >= 0 and unit.state.rows["events"][number] > 0:
            return unit.state.rows[number : number + 1], unit.state.histories
    return np.zeros(1, SHOPPER), np.zeros(1, HISTORY)


@contextmanager
def _unheard(wanted: Wanted, rows: NDArray[np.void]) -> Iterator[None]:
    """Take back what is queued meanwhile."""
    before = [int(due.ends[1]) for due in wanted]
    yield
    for due, end in zip(wanted, before, strict=True):
        queued = due.number[np.arange(end, due.ends[1]) % len(due.number)]
        rows["wanted"][queued] = False
        due.ends[1] = end
