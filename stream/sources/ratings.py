"""Ratings: of what is popular among the well rated, what this shopper is expected to rate best.

River's `BiasedMF` (Paterek, 2007) predicts mean + b_u + b_i + p_u · q_i. It learns standard scores, so that
one rate fits every scale. Candidates are the items with most good ratings (above the mean) by decayed count:
to rank all items would cost as many predictions as there are items.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import optim, reco, stats

from stream.events.codes import RATING
from stream.sources.base import Base, mask_of, strike, within
from stream.sources.leaders import close_up, gain_at, rise
from stream.sources.pool import offer
from stream.sources.source import Interactions, Proposals, Room, Visit
from stream.sources.vectors import begin
from stream.state.arena import reserve

RATING_MIN, RATING_MAX = 0.0, 100.0
"""As the contract of events has it. What lies outside, or is no number, is no rating."""
CANDIDATES = 60
"""At 3 µs a prediction in River these are what a list may cost."""
RATED = 32
"""Latest items of a shopper, which are not proposed again."""
HALF_LIFE_MS = 180 * 86_400_000.0
FACTORS = 8
_RATE = 0.03
_L2 = 0.01
_START = 0.1
_DEVIATIONS = 4.0
"""A rating further from the mean counts as so far: one outlier shall not throw a row over."""
_ROW_BYTES = 400
"""Of an item or a shopper in River's dictionaries: two entries, a vector, a float."""


class RatingsState(NamedTuple):
    """What is kept beside River's model."""

    good: NDArray[np.float64]
    """(items): good ratings, decayed."""
    leaders: NDArray[np.int32]
    """(1, CANDIDATES): item + 1."""
    rated: NDArray[np.int32]
    """(shoppers, RATED): a ring of item + 1."""
    ratings: NDArray[np.int64]
    """(shoppers)"""
    clock: NDArray[np.float64]
    moments: NDArray[np.float64]
    """Ratings so far, their mean, and the sum of squared deviations from it (Welford, 1962)."""


class Ratings(Base[RatingsState]):
    """`Source` by ratings. About 20 µs a rating and 150 µs a list; 410 bytes an item, 540 a shopper.

    The score is the rating that is expected, on the shop's own scale.
    """

    name = "ratings"

    def __init__(self, room: Room) -> None:
        state = RatingsState(
            reserve(room.items, np.float64),
            np.zeros((1, CANDIDATES), np.int32),
            reserve(room.shoppers * RATED, np.int32).reshape(room.shoppers, RATED),
            reserve(room.shoppers, np.int64),
            np.zeros(2, np.float64),
            np.zeros(3, np.float64),
        )
        super().__init__(room, state)
        self._model = _new_model()

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, and of River's dictionaries when they are full."""
        return super().nbytes + _ROW_BYTES * (self.room.items + self.room.shoppers)

    def learn(self, events: Interactions) -> None:
        """See `Source.learn`."""
        usable = (events.code == RATING) & (events.rating >= RATING_MIN) & (events.rating <= RATING_MAX)
        usable &= (events.item >= 0) & (events.item < self.room.items)
        usable &= (events.shopper >= 0) & (events.shopper < self.room.shoppers)
        for k in np.flatnonzero(usable).tolist():
            self._learn_one(
                int(events.shopper[k]), int(events.item[k]), float(events.rating[k]), int(events.ts_ms[k])
            )

    def _learn_one(self, shopper: int, item: int, rating: float, ts_ms: int) -> None:
        state, model = self.state, self._model
        state.moments[0] += 1.0
        before = rating - state.moments[1]
        state.moments[1] += before / state.moments[0]
        state.moments[2] += before * (rating - state.moments[1])
        score = (rating - float(state.moments[1])) / self._deviation()
        gain = gain_at(state.clock, state.good, ts_ms, HALF_LIFE_MS)
        if score >= 0.0:
            state.good[item] += gain
            rise(state.leaders[0], item, state.good, 0, self.room.ties)
        if shopper not in model.u_latents:
            # River would draw them: numbers of shoppers differ by worker, so all begin alike.
            model.u_latents[shopper] = np.zeros(FACTORS)
        if item not in model.i_latents:
            start = np.zeros(FACTORS, np.float32)
            begin(start, self.room.ties[item], _START)
            model.i_latents[item] = start.astype(np.float64)
        model.learn_one(shopper, item, max(-_DEVIATIONS, min(score, _DEVIATIONS)))
        state.rated[shopper, state.ratings[shopper] % RATED] = item + 1
        state.ratings[shopper] += 1

    def propose(self, visit: Visit, out: Proposals) -> int:
        """See `Source.propose`: to who has rated nothing, what is rated best by all."""
        state, model = self.state, self._model
        had = {int(visit.recent[0])} if len(visit.recent) else set()
        known = visit.shopper in model.u_latents
        if known:
            had.update((state.rated[visit.shopper] - 1).tolist())
        deviation, n = self._deviation(), 0
        length = min(visit.length, len(out.item))
        for item in (state.leaders[0][state.leaders[0] > 0] - 1).tolist():
            if item in had:
                continue
            # Only what both are there for: asking for others would make them.
            expected = model.predict_one(visit.shopper, item) if known else model.i_biases[item]
            score = state.moments[1] + deviation * expected
            n = offer(out, self.room.ties, n, length, item, score, -1)
        return n

    def forget(self, items: NDArray[np.int32], shoppers: NDArray[np.int32]) -> None:
        """See `Source.forget`."""
        state, model = self.state, self._model
        items, shoppers = within(items, self.room.items), within(shoppers, self.room.shoppers)
        for item in items.tolist():
            model.i_biases.pop(item, None)
            model.i_latents.pop(item, None)
        for shopper in shoppers.tolist():
            model.u_biases.pop(shopper, None)
            model.u_latents.pop(shopper, None)
        state.good[items] = 0.0
        state.rated[shoppers] = 0
        state.ratings[shoppers] = 0
        if len(items):
            gone = mask_of(items, self.room.items)
            close_up(state.leaders, gone)
            strike(state.rated.reshape(-1), gone)

    def _deviation(self) -> float:
        count, _, squares = self.state.moments.tolist()
        return math.sqrt(squares / count) if squares > 0.0 else 1.0

    def _more(self) -> dict[str, Any]:
        model = self._model
        return {
            "seen": float(model.global_mean.n),
            "mean": float(model.global_mean.get()),
            "items": _rows(model.i_biases, model.i_latents),
            "shoppers": _rows(model.u_biases, model.u_latents),
        }

    def _take(self, more: dict[str, Any]) -> None:
        model = self._model = _new_model()
        model.global_mean = stats.Mean._from_state(more["seen"], more["mean"])
        for rows, biases, latents in (
            (more["items"], model.i_biases, model.i_latents),
            (more["shoppers"], model.u_biases, model.u_latents),
        ):
            for number, bias, vector in rows:
                biases[number], latents[number] = bias, np.array(vector)


def _new_model() -> Any:
    return reco.BiasedMF(
        n_factors=FACTORS, bias_optimizer=optim.SGD(_RATE), latent_optimizer=optim.SGD(_RATE), l2_bias=_L2,
        l2_latent=_L2, seed=0,
    )  # fmt: skip


def _rows(biases: dict[int, float], latents: dict[int, NDArray[np.float64]]) -> list[Any]:
    """(number, bias, vector) in the order of numbers."""
    return [(number, float(biases[number]), latents[number].tolist()) for number in sorted(latents)]
