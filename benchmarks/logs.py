"""Logs to judge lists on: the real ones that lie beside the project, and shops made up from a seed.

The made-up ones are opposites: a small catalogue where what follows what is nearly all there is to know;
news, where an article lives for hours; and a large catalogue of which each session sees a few items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.evaluation.log import Step, in_order, without_repeats
from stream.events.readers import read
from stream.events.types import Item, View

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SCORE_LAST = 0.3
START_MS = 1_600_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Sessions = list[NDArray[np.int64]]


class Judged(NamedTuple):
    """A log, and from which of its steps on lists are scored."""

    steps: list[Step]
    first_scored: int


class Real(NamedTuple):
    """Files of a data set; what is in `learn_first` is learned, not scored."""

    format: str
    file: str
    learn_first: str | None = None


REAL: Mapping[str, Real] = {
    "diginetica": Real("sessions", "diginetica_sessions/sessions.txt.gz"),
    "yoochoose": Real(
        "yoochoose",
        "yoochoose_100k/yoochoose-clicks-100k_test.txt.gz",
        "yoochoose_100k/yoochoose-clicks-100k_train_full.txt.gz",
    ),
    "rees46": Real("rees46", "rees46_oct2019_sample/2019-Oct.csv.gz"),
    "movielens": Real("movielens", "movielens_100k/ml-100k.inter.gz"),
    "online retail": Real("online-retail", "online_retail_uci/online_retail_concat.csv.gz"),
}


def is_there(name: str) -> bool:
    """Whether all files of a data set are."""
    of = REAL[name]
    return all((SHARED_DATA / file).exists() for file in (of.file, of.learn_first) if file)


def real(name: str) -> Judged:
    """A data set in time order, repeats removed; the last 30 % scored, or all that is not learned first."""
    of = REAL[name]
    learned = _read(of.learn_first, of.format) if of.learn_first else []
    steps = without_repeats([*learned, *_read(of.file, of.format)])
    first = len(without_repeats(learned)) if learned else int(len(steps) * (1 - SCORE_LAST))
    return Judged(steps, first)


def _read(file: str, format: str) -> list[Step]:
    return in_order(read(SHARED_DATA / file, format)).steps


def small(sessions: int = 15_000, seed: int = 1) -> Judged:
    """200 items, each followed by one of five others, or in a tenth of all cases by a popular one."""
    rng = np.random.default_rng(seed)
    items = 200
    popular = 1.0 / np.arange(1, items + 1) ** 0.8
    popular /= popular.sum()
    following = np.array([rng.choice(items, 5, replace=False) for _ in range(items)])
    share = rng.dirichlet(np.full(5, 0.7), items)
    found: Sessions = []
    for _ in range(sessions):
        walk = [int(rng.choice(items, p=popular))]
        while rng.random() < 0.8:
            if rng.random() < 0.1:
                walk.append(int(rng.choice(items, p=popular)))
            else:
                walk.append(int(rng.choice(following[walk[-1]], p=share[walk[-1]])))
        found.append(np.array(walk))
    return _judged(found, np.sort(rng.integers(0, 14 * DAY_MS, sessions)), 40_000, rng)


def news(sessions: int = 30_000, seed: int = 2) -> Judged:
    """A new article every five minutes, read half as much every three hours; each reader has a topic."""
    rng = np.random.default_rng(seed)
    days, topics = 10, 12
    count = days * 288
    born = np.sort(rng.uniform(0, days * 24, count))
    heat, topic = rng.lognormal(0, 1.2, count), rng.integers(0, topics, count)
    starts = np.sort(rng.uniform(1, days * 24, sessions))
    found: Sessions = []
    for start in starts:
        alive = np.arange(np.searchsorted(born, start - 30), np.searchsorted(born, start))
        age = start - born[alive]
        weight = heat[alive] * 0.5 ** (age / 3) * (1 - np.exp(-6 * age))
        weight *= np.where(topic[alive] == rng.integers(0, topics), 4.0, 1.0)
        size = min(1 + int(rng.geometric(0.4)), len(alive))
        found.append(rng.choice(alive, size, replace=False, p=weight / weight.sum()))
    categories = [f"topic {each}" for each in topic]
    return _judged(found, (starts * HOUR_MS).astype(np.int64), 60_000, rng, categories)


def large(sessions: int = 60_000, seed: int = 3) -> Judged:
    """37,500 items in 1,500 groups; a session has about three items, mostly of one group and often near."""
    rng = np.random.default_rng(seed)
    groups, size = 1_500, 25
    of_group = 1.0 / np.arange(1, groups + 1) ** 0.8
    of_place = 1.0 / np.arange(1, size + 1) ** 0.7
    of_group, of_place = of_group / of_group.sum(), of_place / of_place.sum()
    found: Sessions = []
    for group in rng.choice(groups, sessions, p=of_group):
        place = int(rng.choice(size, p=of_place))
        walk = [int(group) * size + place]
        for _ in range(int(rng.geometric(0.55))):
            chance = rng.random()
            near, other = (place + int(rng.integers(1, 4))) % size, int(rng.choice(size, p=of_place))
            if chance < 0.9:
                place = near if chance < 0.45 else other
                walk.append(int(group) * size + place)
            else:
                walk.append(int(rng.integers(0, groups * size)))
        found.append(np.array(walk))
    return _judged(found, np.sort(rng.integers(0, 30 * DAY_MS, sessions)), 30_000, rng)


MADE_UP: Mapping[str, Callable[[], Judged]] = {"small": small, "news": news, "large": large}


def _judged(
    sessions: Sessions,
    starts_ms: NDArray[np.int64],
    pause_ms: int,
    rng: np.random.Generator,
    categories: list[str] | None = None,
) -> Judged:
    """Sessions of as many shoppers as views in time order; facts come before an item's first view."""
    views: list[View] = []
    for number, (items, start_ms) in enumerate(zip(sessions, starts_ms.tolist(), strict=True)):
        later = rng.integers(0, pause_ms, len(items)) + pause_ms * np.arange(len(items))
        for place, (item, after_ms) in enumerate(zip(items.tolist(), later.tolist(), strict=True)):
            ts = START_MS + start_ms + after_ms
            shopper = f"s{number}"
            name = f"{number}-{place}"
            views.append(View(event_id=name, ts=ts, user_id=shopper, session_id=shopper, item_id=f"i{item}"))
    views.sort(key=lambda view: view.ts)
    steps = without_repeats(in_order(_with_facts(views, categories)).steps)
    return Judged(steps, int(len(steps) * (1 - SCORE_LAST)))


def _with_facts(views: Iterable[View], categories: list[str] | None) -> Iterable[View | Item]:
    told: set[str] = set()
    for view in views:
        if categories is not None and view.item_id not in told:
            told.add(view.item_id)
            yield Item(item_id=view.item_id, category=categories[int(view.item_id[1:])])
        yield view
