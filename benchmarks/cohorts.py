"""What the context of a visit is worth when nothing else is known: `python -m benchmarks.cohorts`.

Of two logs that say something of their shoppers (MovieLens: age and sex, here as `segment`; Online Retail:
the `country`), every shopper's first event is foretold from nothing, as the engine does (what is popular) and
as the model would, and from the context of that event alone; then it is learned, as all others are. Printed
are hit rate and mean reciprocal rank of 20 places, over the last 90 % of the log, and what the context adds
with a 95 % interval.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks import logs
from benchmarks.harness import progress, tell
from stream.cli.feed import Feed
from stream.engine import Engine
from stream.evaluation.log import Step
from stream.evaluation.measures import bootstrap, gains
from stream.evaluation.prequential import CUTOFF, MISSED
from stream.events.types import AnyEvent, Purchase, Rating
from stream.recommend.features import new_description
from stream.recommend.make import rank
from stream.recommend.pool import clear, new_pool
from stream.recommend.rank import new_ranking
from stream.rules.request import RequestContext
from stream.shoppers.row import HISTORY, SHOPPER

MEASURES = ("hr@20", "mrr@20")
WARM = 0.1
"""Share of the log before the first list that is scored."""

BATCH = 64
USERS = "movielens_100k/ml-100k.user.gz"


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cohorts", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(given)


def movielens() -> Iterator[AnyEvent]:
    """Ratings, each with who rates: decade of life and sex."""
    with gzip.open(logs.SHARED_DATA / USERS, "rt") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:]
    segments = {user: f"{int(age) // 10 * 10} {sex}" for user, age, sex, *_ in rows}
    for event in _events(logs.real("movielens").steps):
        yield msgspec.structs.replace(event, context={"segment": segments[event.user_id]})


def online_retail() -> Iterator[AnyEvent]:
    """Purchases by invoice, as if nobody knew the customer: what is known of a visitor is the country."""
    for event in _events(logs.real("online retail").steps):
        yield msgspec.structs.replace(event, user_id=event.order_id or event.user_id)


LOGS = {"movielens": movielens, "online retail": online_retail}


def _events(steps: Sequence[Step]) -> Iterator[AnyEvent]:
    return (step.event for step in steps if isinstance(step.event, Purchase | Rating))


def by_model(engine: Engine, now_ms: int) -> list[str]:
    """A list for somebody of whom nothing is known, in the model's order."""
    row, history = np.zeros(1, SHOPPER)[0], np.zeros(1, HISTORY)[0]
    ranker = engine.now(now_ms).ranker._replace(
        pool=new_pool(), description=new_description(), ranking=new_ranking()
    )
    rank(row, history, ranker, CUTOFF, True, True)
    order = ranker.ranking.order[: int(ranker.ranking.size[0])]
    found = [engine.table.interner.name(number).decode() for number in ranker.pool.item[order].tolist()]
    clear(ranker.pool, ranker.facts)
    return found


def ranks(events: Sequence[AnyEvent]) -> Mapping[str, NDArray[np.int16]]:
    """Places of first events, from 0, by what foretold them."""
    feed, seen = Feed(), set[str]()
    engine, found = feed.pipeline.engine, dict[str, list[int]]()
    for k, event in enumerate(events):
        if event.user_id not in seen and k >= WARM * len(events):
            told = {"model": by_model(engine, feed.clock_ms)}
            for name, context in (("nothing", {}), ("context", event.context or {})):
                request = RequestContext(context=context)
                told[name] = engine.recommend(request, None, feed.clock_ms).items[:CUTOFF]
            for name, items in told.items():
                place = items.index(event.item_id) if event.item_id in items else MISSED
                found.setdefault(name, []).append(place)
        seen.add(event.user_id)
        feed.event(event)
        if feed.waiting == BATCH:
            feed.flush()
    return {name: np.array(places, np.int16) for name, places in found.items()}


def figures(found: Mapping[str, NDArray[np.int16]]) -> dict[str, Any]:
    """Means by what was known, and what knowing the context adds."""
    of = {name: gains(rank, CUTOFF) for name, rank in found.items()}
    shoppers = np.arange(len(found["nothing"]), dtype=np.int32)
    added = {name: of["context"][name] - of["nothing"][name] for name in MEASURES}
    intervals = bootstrap(shoppers, added)
    told: dict[str, Any] = {"shoppers": len(shoppers)}
    for measure in MEASURES:
        told[measure] = {name: round(float(gain[measure].mean()), 4) for name, gain in of.items()}
        told[measure]["added_95"] = intervals[measure]
    return told


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = arguments(given)
    told = {}
    for name, log in LOGS.items():
        if logs.is_there(name):
            told[name] = figures(ranks(list(log())))
        else:
            progress.print(f"{name} is left out: {logs.REAL[name].file} is not under ../shared/data.")
    tell(told, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
