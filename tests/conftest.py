"""What holds for every test: reproducible examples, and no test skipped unseen."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

SHARED_DATA = "../shared/data"
"""Where real data sets lie, from the project's root. They are not part of it, so tests do without them."""

# The same examples on every run and machine. No deadline: numba compiles inside an example's first call.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The path of a data set's file under ../shared/data; the test is skipped where it is absent."""

    def path(name: str) -> Path:
        file = Path(__file__).resolve().parents[1] / SHARED_DATA / name
        if not file.exists():
            pytest.skip(f"{SHARED_DATA}/{name} is absent")
        return file.resolve()

    return path


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """With CI=true, turn a skipped test into a failed one unless its reason names ../shared/data."""
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if SHARED_DATA not in reason:
        report.outcome = "failed"
        report.longrepr = f"Skipped, which only a test that misses {SHARED_DATA} may be: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    refuse_skip(report)
    return report


@pytest.fixture(autouse=True)
def _own_log_levels() -> Iterator[None]:
    """Commands quieten loggers for the rest of their process: here that is one test."""
    levels = {name: logging.getLogger(name).level for name in ("aiokafka", "stream")}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
