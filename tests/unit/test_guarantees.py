"""The page of promises names tests and guards that exist, and every guard that is tried."""

from __future__ import annotations

import re
from pathlib import Path

from tests.mutations.guards import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
ROWS = re.findall(r"^\| [^|]*\| `(tests/[a-z_/]+\.py)` \| ([^|]+) \|$", PAGE, re.MULTILINE)


def test_every_guard_stands_on_the_page_with_its_test():
    assert sorted((guard, test) for test, guard in ROWS) == sorted((m.guard, m.test) for m in MUTATIONS)


def test_every_mutation_still_finds_its_line():
    for mutation in MUTATIONS:
        assert (ROOT / mutation.path).read_text().count(mutation.old) == 1, mutation.guard
        assert (ROOT / mutation.test).is_file()
