"""What does the network add to the linear model, and what does it cost? `python -m benchmarks.neural`

On each log both put the candidates of every list in order (the network refines the linear order of the 40
best), and then learn from as many lists as a learner would be told of. Printed are hit rate and reciprocal
rank of 20 places over the lists of the log's last 30 % (`benchmarks.logs`), and a 95 % interval, paired by
list, of what the network adds. `--json` prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import logs
from benchmarks.harness import progress
from stream.cli.feed import Feed
from stream.cli.output import answer_json, table
from stream.config import EngineConfig
from stream.effects import Effects
from stream.evaluation.prequential import run
from stream.learn import listwise, network
from stream.learn.examples import Labelled, places_of, unpack_examples
from stream.learn.experts import BLEND, Experts
from stream.learn.sampling import share_labelled
from stream.learn.standing import Standing
from stream.pipeline import Pipeline
from stream.recommend.features import N_FEATURES, Description, new_description
from stream.recommend.network import SIZE, Network, no_network, refine
from stream.recommend.pool import LIMIT, Pool, new_pool
from stream.recommend.rank import KEPT, LENGTH, Ranking, new_ranking
from stream.state.interner import Interner, Names
from stream.state.jit import long_kernel

LOGS = ("yoochoose", "diginetica")
PARTITIONS = 8
"""Of a worker's log: so many have the share of lists labelled that is told."""


@long_kernel
def _refine(
    pool: Pool, names: Names, net: Network, description: Description, ranking: Ranking, times: int
) -> None:
    for t in range(times):
        ranking.size[0] = KEPT
        for k in range(KEPT):
            ranking.order[k] = k
            ranking.worth[k] = np.float32((t + KEPT - k) % KEPT)
        refine(pool, names, net, description, ranking, LENGTH)


def serving_us(times: int = 20_000) -> float:
    """Microseconds a list that the network adds to a worker's ranking, finding 40 in place of 20 left out."""
    random, net, description = np.random.default_rng(1), no_network(), new_description()
    description.value[:] = random.normal(size=(N_FEATURES, LIMIT))
    net.weight[:] = random.normal(0.0, 0.1, SIZE)
    rest = (new_pool(), Interner(LIMIT).names, net, description, new_ranking())
    _refine(*rest, 1)
    began = time.thread_time()
    _refine(*rest, times)
    return round((time.thread_time() - began) / times * 1e6, 2)


class Rankers:
    """Both models on the same lists: all are ranked, a sample is learned from."""

    def __init__(self) -> None:
        self.experts = Experts()
        self.standing = Standing(0)
        self.lists = self.learned = 0
        self.seconds = 0.0
        self._random = np.random.default_rng(1)

    def learn(self, labelled: Labelled, first: int, scored: bool) -> None:
        """Rank, count if that is to be, and learn; `first`: lists labelled, without what was taken too."""
        lists = (labelled.value, labelled.context, labelled.size, labelled.taken)
        count, linear = len(labelled.size), self.experts.weights[BLEND]
        by_linear, by_network = np.zeros((2, count), np.int64)
        listwise.ranks(linear, *lists, by_linear)
        network.ranks(self.experts.units, linear, *lists, by_network)
        if scored:
            self.standing = self.standing.after(first, by_network, by_linear)
        some = self._random.random(count) < share_labelled(PARTITIONS, self.learned)
        began = time.thread_time()
        self.experts.learn(_part(labelled, some), listwise.RATE)
        self.seconds += time.thread_time() - began
        self.learned += int(some.sum())
        self.lists += count


def _part(labelled: Labelled, some: NDArray[np.bool_]) -> Labelled:
    """Some of the lists."""
    part = copy.copy(labelled)
    for name, column in vars(labelled).items():
        setattr(part, name, column[some])
    return part


class Recording(Pipeline):
    """A pipeline that labels every list, and shows all to the rankers beside its learner."""

    def __init__(self, config: EngineConfig, rankers: Rankers) -> None:
        super().__init__(config, at_once=True)
        self.scored = False
        self._rankers = rankers

    def _route(self, effects: Effects, now_ms: int) -> None:
        told = [unpack_examples(message.value) for message in effects.messages if message.topic == "examples"]
        super()._route(effects, now_ms)
        for columns in told:
            self._rankers.learn(Labelled(columns), len(places_of(columns)), self.scored)
        # As long as few were labelled, all are.
        self.engine.metrics.labelled_lists = 0


def judged(log: logs.Judged) -> dict[str, Any]:
    """What the rankers reach on one log."""
    rankers, config = Rankers(), EngineConfig()
    feed = Feed(config)
    feed.pipeline = pipeline = Recording(config, rankers)

    def on_events(done: int) -> None:
        pipeline.scored = done >= log.first_scored

    run(feed, log.steps, log.first_scored, on_events)
    return {
        "lists": rankers.standing.lists,
        "learned": rankers.learned,
        "us_a_learned_list": round(rankers.seconds / max(rankers.learned, 1) * 1e6, 1),
        "measures": rankers.standing.means(),
    }


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neural", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--log", choices=[*logs.REAL], action="append", help="a log (default: two of them)")
    options = parser.parse_args(given)
    told = {}
    for name in options.log or LOGS:
        if logs.is_there(name):
            progress.print(f"[dim]{name}")
            told[name] = judged(logs.real(name))
        else:
            progress.print(f"{name} is left out: it is not under ../shared/data.")
    if options.json:
        answer_json(
            {
                "logs": told,
                "serving_us": serving_us(),
                "cpus": os.cpu_count(),
                "load_average": os.getloadavg()[0],
            }
        )
        return 0
    rows = [
        (log, measure, found["champion"], found["challenger"], found["lead_from"], found["lead_to"])
        for log, of in told.items()
        for measure, found in of["measures"].items()
    ]
    table(("log", "measure", "linear", "with the network", "adds from", "to"), rows)
    for log, of in told.items():
        print(
            f"{log}: {of['lists']} lists, {of['learned']} learned from at {of['us_a_learned_list']} µs each"
        )
    print(f"the network adds {serving_us()} µs to a list that a worker ranks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
