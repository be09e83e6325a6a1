"""`python -m benchmarks.slow_worker WAIT_MS`: a worker whose engine waits some time for every event.

The wait stands for work that needs the worker and not the machine's cores, so that more workers than cores
can be watched sharing a load. All the rest is the product's worker; its settings come from its environment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from stream.cli.worker import engine_config
from stream.config import EngineConfig
from stream.effects import Effects, ListsFor
from stream.engine import Engine
from stream.events.records import Record
from stream.learn.learner import Learner
from stream.pipeline import warm_up
from stream.runtime.settings import Settings
from stream.runtime.worker import run


class SlowEngine(Engine):
    """The engine, which waits `wait_s` for every record of `events`, in its own thread."""

    def __init__(self, config: EngineConfig, wait_s: float) -> None:
        super().__init__(config)
        self._wait_s = wait_s

    def shoppers(
        self,
        partition: int,
        records: Sequence[Record],
        now_ms: int,
        silent: bool = False,
        lists: ListsFor | None = None,
    ) -> Effects:
        time.sleep(len(records) * self._wait_s)
        return super().shoppers(partition, records, now_ms, silent, lists)


def main() -> int:
    """Run the worker; its exit code."""
    settings = Settings.load(None)
    warm_up()
    engine = SlowEngine(engine_config(settings), float(sys.argv[1]) / 1000)
    return run(settings, engine, lambda: Learner(engine.model), lambda now_ms: Effects())


if __name__ == "__main__":
    sys.exit(main())
