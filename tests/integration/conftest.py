"""Real Kafka and Redis for all integration tests of one run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from stream.local import Stack, running


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One private stack for the whole run: tests keep apart by `namespace`."""
    with running() as started:
        yield started


@pytest.fixture
def namespace() -> str:
    """A prefix for topics, groups and keys that no other test has."""
    return f"test-{uuid.uuid4().hex[:10]}-"
