"""Does a small neural network rank better than the linear model does? `python -m benchmarks.neural`

On each log, with every list labelled, rankers put the candidates of each list in order and then learn from
it: the linear model as the learner has it, and the same with a network beside it (features to 16 rectified
units to a worth that is added to the linear one; the same loss, the same AdaGrad), learned together. Printed
are hit rate and reciprocal rank of 20 places over the lists of the log's last 30 % (`benchmarks.logs`), and a
95 % interval, paired by list, of what the network adds. All lists hold the 40 best candidates of the model in
force: that is what another ranking alone could bring. `--json` prints one JSON object.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import logs
from benchmarks.harness import progress
from benchmarks.network import SIZE, new_network, rank_and_learn, rerank
from stream.cli.feed import Feed
from stream.cli.output import answer_json, table
from stream.config import EngineConfig
from stream.effects import Effects
from stream.evaluation.prequential import run
from stream.learn import listwise
from stream.learn.examples import Columns, Labelled, places_of, unpack_examples
from stream.learn.standing import Standing
from stream.pipeline import Pipeline
from stream.recommend.features import FEATURES, N_CONTEXTS, N_FEATURES
from stream.recommend.pool import LIMIT
from stream.recommend.rank import KEPT

LOGS = ("yoochoose", "diginetica")
RATES = {"network": 0.05, "network, fast": 0.1}
"""Rankers with a network, and the learning rate of what it has beside the linear model."""


def serving_us(times: int = 20_000) -> float:
    """Microseconds a list that the network would add to a worker's ranking, sorting anew left out."""
    random = np.random.default_rng(1)
    value = random.normal(size=(N_FEATURES, LIMIT)).astype(np.float32)
    order, context = random.permutation(LIMIT)[:KEPT].astype(np.int32), np.array([0, 1, 6, 11], np.uint8)
    room = np.zeros((N_FEATURES, KEPT), np.float32), np.zeros(KEPT, np.float32), np.zeros(KEPT, np.float32)
    weight = random.normal(size=SIZE).astype(np.float32)
    rerank(weight, value, order, context, *room, 1)
    began = time.thread_time()
    rerank(weight, value, order, context, *room, times)
    return round((time.thread_time() - began) / times * 1e6, 2)


class Rankers:
    """The linear model and those with a network, on the same lists."""

    def __init__(self) -> None:
        self.linear = listwise.new_weights()
        self.networks = {name: new_network() for name in RATES}
        self.standings = {name: Standing(0) for name in RATES}
        self.seconds = dict.fromkeys(["linear", *RATES], 0.0)
        self.lists = 0
        self._warm_up()

    def _warm_up(self) -> None:
        none = Labelled(Columns(FEATURES, N_CONTEXTS, *[b""] * 6))
        self.learn(none, 0, False)
        self.seconds = dict.fromkeys(self.seconds, 0.0)

    def learn(self, labelled: Labelled, first: int, scored: bool) -> None:
        """Rank, count if that is to be, and learn; `first`: lists labelled, without what was taken too."""
        lists = (labelled.value, labelled.context, labelled.size, labelled.taken)
        count = len(labelled.size)
        self.lists += count
        linear, began = np.zeros(count, np.int64), time.thread_time()
        for n in range(count):
            # One by one: the network too ranks each list before it learns from it.
            one = [column[n : n + 1] for column in lists]
            listwise.ranks(self.linear, *one, linear[n : n + 1])  # type: ignore[arg-type, call-arg]
            rest = labelled.weight[n : n + 1], labelled.shown[n : n + 1], listwise.RATE
            listwise.learn(self.linear, *one, *rest)  # type: ignore[arg-type, call-arg]
        self.seconds["linear"] += time.thread_time() - began
        for name, rate in RATES.items():
            place, began = np.zeros(count, np.int64), time.thread_time()
            rank_and_learn(self.networks[name], *lists, labelled.weight, rate, place)
            self.seconds[name] += time.thread_time() - began
            if scored:
                self.standings[name] = self.standings[name].after(first, place, linear)


class Recording(Pipeline):
    """A pipeline that labels every list and lets rankers learn beside its learner."""

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
        "lists": next(iter(rankers.standings.values())).lists,
        "us_a_list": {name: round(s / rankers.lists * 1e6, 1) for name, s in rankers.seconds.items()},
        "rankers": {name: standing.means() for name, standing in rankers.standings.items()},
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
        (log, name, measure, found["champion"], found["challenger"], found["lead_from"], found["lead_to"])
        for log, of in told.items()
        for name, measures in of["rankers"].items()
        for measure, found in measures.items()
    ]
    table(("log", "ranker", "measure", "linear", "with it", "adds from", "to"), rows)
    for log, of in told.items():
        print(f"{log}: {of['lists']} lists, µs a list: {of['us_a_list']}")
    print(f"it would add {serving_us()} µs to a list that a worker ranks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
