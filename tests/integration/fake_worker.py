"""A worker process with the fake engine: ``python fake_worker.py SECONDS_PER_RECORD``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from stream.effects import Effects
from stream.errors import StreamError
from stream.runtime.settings import Settings
from stream.runtime.worker import run
from tests.integration.fake_engine import FakeEngine, FakeLearner

if __name__ == "__main__":
    try:
        settings = Settings.load()
    except StreamError as error:
        sys.exit(str(error))
    sys.exit(run(settings, FakeEngine(float(sys.argv[1])), FakeLearner, lambda now_ms: Effects()))
