"""What a shopper does in the shop, from the first page to the checkout, written down as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from stream.events.types import Cart, Hide, Like, Purchase, RemoveFromCart, Return, View
from stream.simulate.browsing import Visit
from stream.simulate.journal import Journal, Line
from stream.simulate.oracle import Oracle
from stream.simulate.rhythm import DAY_MS
from stream.simulate.tastes import Shopper
from stream.simulate.world import World

VIEWS_MIN, VIEWS_MAX, VIEWS_EXTRA_MEAN = 3, 12, 3.0
GAP_MS_MIN, GAP_MS_EXTRA_MEAN, GAP_MS_MAX = 4_000, 30_000, 240_000
"""A visit lasts minutes: far less than the half hour after which most shops begin a new session."""
TOGETHER_LIFT, TOGETHER_MAX = 10.0, 0.6
"""Who bought an item buys the complement looked at next ten times as often, up to .6."""

# Every type of event occurs; the odds are the orders of magnitude that web shops report.
PROFILE_ODDS, IDENTIFY_ODDS, SEARCH_ODDS, RESULTS_ODDS = 0.3, 0.04, 0.18, 0.4
WINDOW_CART_ODDS, REMOVE_ODDS, LIKE_ODDS, HIDE_ODDS = 0.04, 0.5, 0.008, 0.002
RETURN_ODDS, RATING_ODDS, TWO_UNITS_ODDS = 0.04, 0.12, 0.03
RETURN_DAYS, RATING_DAYS = (3, 14), (2, 10)
RESULTS_LENGTH = 10
DEVICES = ("phone", "phone", "desktop", "tablet")
COUNTRIES = ("AT", "BE", "DE", "ES", "FR", "IE", "IT", "NL", "PT")


class Visits:
    """Makes visits and what follows them: generators of the times at which they act next.

    Whether a view ends in a purchase is drawn from the item's demand curve at the price shown. A
    purchase makes that of a complement likelier; over all views of an item the curve holds exactly.
    """

    def __init__(
        self,
        world: World,
        oracle: Oracle,
        journal: Journal,
        rng: Random,
        schedule: Callable[[int, Iterator[int]], None],
    ) -> None:
        self._world, self._oracle, self._journal = world, oracle, journal
        self._rng, self._schedule = rng, schedule
        self._prefix = f"{world.config.seed}-"
        self._sessions = self._orders = 0
        self.open: dict[str, Visit] = {}
        """Sessions in progress, by shopper id."""
        self.exposures = [0] * len(world.goods.ids)
        self.lists: dict[str, tuple[str, list[str]]] = {}
        """Lists that wait to be shown, by shopper id: (request_id, item ids)."""

    def visit(self, shopper: Shopper, ts: int) -> Iterator[int]:
        """One session that begins at `ts`."""
        rng, world, journal = self._rng, self._world, self._journal
        self._sessions += 1
        visit = Visit(shopper, f"s{self._prefix}{self._sessions}", shopper.draw_category(rng))
        self.open[shopper.id] = visit
        revealed = self._arrive(visit, ts)
        if revealed:
            ts += self._gap_ms()
            yield ts
        bought: list[Line] = []
        considered: list[Line] = []
        last_chance, last_bought = 0.0, False
        views = min(VIEWS_MIN + int(rng.expovariate(1.0 / VIEWS_EXTRA_MEAN)), VIEWS_MAX)
        for n in range(views):
            ranked = None
            if self._oracle.due():
                # A visit that has left no trace yet is nothing that anybody could know of.
                ranked = self._oracle.ranked(shopper, visit if n or revealed else None)
            choice = world.browsing.draw(visit, rng)
            if choice is None:
                break
            item, is_complement = choice
            if ranked is not None:
                score = self._oracle.score
                (score.following if n else score.opening).add(ranked, item)
            line = Line(item, world.tags.shown_minor[item])
            self._view(visit, line, ts, opening=not n)
            chance = world.demand.conversion(item, line.price_minor)
            odds = _conditional(chance, last_chance, last_bought) if is_complement else chance
            last_chance, last_bought = chance, rng.random() < odds
            if last_bought or rng.random() < WINDOW_CART_ODDS:
                ts += self._gap_ms()
                yield ts
                request_id = visit.requests.get(item)
                journal.priced(Cart, shopper.id, line, ts, visit.session_id, request_id=request_id)
                (bought if last_bought else considered).append(line)
            else:
                self._judge(visit, item, ts)
            ts += self._gap_ms()
            yield ts
        for line in considered:
            if rng.random() < REMOVE_ODDS:
                journal.priced(RemoveFromCart, shopper.id, line, ts, visit.session_id)
        if bought:
            self._check_out(visit, bought, ts)
        del self.open[shopper.id]

    def _arrive(self, visit: Visit, ts: int) -> bool:
        """What comes before the first view; true when something did, which reveals the visit."""
        shopper, rng, journal = visit.shopper, self._rng, self._journal
        names, written = self._world.goods.category_names, journal.written
        if not shopper.known:
            shopper.known = True
            if rng.random() < PROFILE_ODDS:
                favourites = (-shopper.taste()).argsort(kind="stable")[:2].tolist()
                journal.profile(shopper.id, [names[c] for c in favourites], rng.choice(COUNTRIES), ts)
        if rng.random() < IDENTIFY_ODDS:
            journal.identify(visit, ts)
        if rng.random() < SEARCH_ODDS:
            journal.search(visit, names[visit.intent], ts)
            if rng.random() < RESULTS_ODDS:
                results = self._world.popularity.top_in(visit.intent, RESULTS_LENGTH)
                journal.impression(visit, [self._world.goods.ids[item] for item in results], None, ts)
        return journal.written > written

    def _view(self, visit: Visit, line: Line, ts: int, opening: bool) -> None:
        user_id, request_id = visit.shopper.id, None
        if user_id in self.lists:
            request_id, item_ids = self.lists.pop(user_id)
            self._journal.impression(visit, item_ids, request_id, ts)
            if self._world.goods.ids[line.item] not in item_ids:
                request_id = None
        if request_id is not None:
            visit.requests[line.item] = request_id
        context = {"device": self._rng.choice(DEVICES)} if opening else None
        self._journal.priced(
            View, user_id, line, ts, visit.session_id, request_id=request_id, context=context
        )
        self.exposures[line.item] += 1
        visit.seen.add(line.item)
        visit.current = line.item

    def _judge(self, visit: Visit, item: int, ts: int) -> None:
        mood = self._rng.random()
        if mood < HIDE_ODDS:
            visit.shopper.avoided.add(item)
            self._journal.opinion(Hide, visit, item, ts)
        elif mood < HIDE_ODDS + LIKE_ODDS:
            self._journal.opinion(Like, visit, item, ts)

    def _check_out(self, visit: Visit, bought: list[Line], ts: int) -> None:
        rng, shopper = self._rng, visit.shopper
        self._orders += 1
        order_id = f"o{self._prefix}{self._orders}"
        for line in bought:
            quantity = 2 if rng.random() < TWO_UNITS_ODDS else 1
            self._journal.priced(
                Purchase, shopper.id, line, ts, visit.session_id, order_id=order_id, quantity=quantity,
                request_id=visit.requests.get(line.item),
            )  # fmt: skip
            shopper.avoided.add(line.item)
            if rng.random() < RETURN_ODDS:
                later = ts + int(rng.uniform(*RETURN_DAYS) * DAY_MS)
                self._schedule(later, self._send_back(shopper, line, later, order_id, quantity))
            elif rng.random() < RATING_ODDS:
                later = ts + int(rng.uniform(*RATING_DAYS) * DAY_MS)
                self._schedule(later, self._rate(shopper, line.item, later))

    def _send_back(
        self, shopper: Shopper, line: Line, ts: int, order_id: str, quantity: int
    ) -> Iterator[int]:
        self._journal.priced(Return, shopper.id, line, ts, None, order_id=order_id, quantity=quantity)
        yield from ()

    def _rate(self, shopper: Shopper, item: int, ts: int) -> Iterator[int]:
        self._journal.rating(shopper.id, item, self._rng.randint(2, 5), ts)
        yield from ()

    def _gap_ms(self) -> int:
        return min(GAP_MS_MIN + int(self._rng.expovariate(1.0 / GAP_MS_EXTRA_MEAN)), GAP_MS_MAX)


def _conditional(chance: float, last_chance: float, last_bought: bool) -> float:
    """Odds that a complement is bought given whether the item before it was.

    The two cases average to `chance`, so that the coupling makes baskets and moves no demand curve.
    """
    lifted = min(TOGETHER_LIFT * chance, max(TOGETHER_MAX, chance), chance / last_chance)
    return lifted if last_bought else (chance - last_chance * lifted) / (1.0 - last_chance)
