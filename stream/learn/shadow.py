"""Shadow evaluation: challengers rank every labelled list beside the champion, and no shopper sees of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.learn import listwise
from stream.learn.challenge import Challenger, Told
from stream.learn.examples import Labelled
from stream.learn.experts import packed, restored
from stream.learn.model import Expert, Snapshot
from stream.learn.standing import Standing
from stream.recommend.features import FEATURES


class Shadows:
    """The challengers that `told` names, with their standings; 1 µs a list for each, 3 µs if it learns."""

    def __init__(self, told: Told, known: Snapshot | None = None) -> None:
        """`known`: the snapshot last published, of which standings go on."""
        self.told = told
        self.standings: dict[str, Standing] = dict(known.challengers) if known else {}
        self._learned: dict[str, Expert] = dict(known.learned) if known else {}
        self._weights: dict[str, tuple[Challenger, listwise.Weights]] = {}

    def judge(self, labelled: Labelled, lists: int, champion: NDArray[np.int64], rate: float) -> None:
        """Rank these lists with each challenger, then have those learn that do.

        `lists`: how many were labelled for the first time, those without what was taken among them;
        `champion`: the champion's places of what was taken.
        """
        self.follow()
        columns = (labelled.value, labelled.context, labelled.size, labelled.taken)
        place, first = np.zeros(len(labelled.size), np.int64), labelled.again == 0
        for name, (challenger, weights) in self._weights.items():
            listwise.ranks(weights, *columns, place)
            self.standings[name] = self.standings[name].after(lists, place[first], champion[first])
            if challenger.learn:
                listwise.learn(weights, *columns, labelled.weight, labelled.shown, rate)

    def follow(self) -> None:
        """Begin with challengers that are new or others than before, let go of those that are no more."""
        for name in [name for name in self.standings if name not in self.told.challengers]:
            del self.standings[name]
        for name in [name for name in self._weights if name not in self.told.challengers]:
            del self._weights[name]
        for name, challenger in self.told.challengers.items():
            if name in self._weights and self._weights[name][0] is challenger:
                continue
            going_on = name in self.standings and self.standings[name].at_ms == challenger.at_ms
            expert = self._learned.get(name) if going_on and challenger.learn else None
            self._weights[name] = challenger, restored(expert or challenger.expert, FEATURES)
            if not going_on:
                self.standings[name] = Standing(challenger.at_ms)

    def learned(self) -> dict[str, Expert]:
        """Those that learn, as they are now."""
        return {
            name: packed(weights, 0.0)
            for name, (challenger, weights) in self._weights.items()
            if challenger.learn
        }
