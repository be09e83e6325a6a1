"""How many lists wait for their label: all at first, few in the long run."""

from __future__ import annotations

import math

SAMPLE_FLOOR = 0.02
"""Share of lists that are labelled in the long run: at 2 KB and 6 µs in the learner 100 bytes and 0.3 µs an
event. A tenth would bring .001 of hit rate, a fiftieth lose as much."""

SAMPLE_PARTITIONS = 8
"""Partitions of which this share is labelled, of more a smaller one: there is one learner, and at a million
events a second it would have no time left."""

SAMPLE_START = 10_000
"""Labelled lists up to which all are labelled; after that as many as come in e times the events so far."""


def share_labelled(partitions: int, labelled_lists: int) -> float:
    """Share of lists to label: all at first, `SAMPLE_FLOOR` or less in the long run."""
    floor = SAMPLE_FLOOR * min(1.0, SAMPLE_PARTITIONS / partitions)
    return max(floor, math.exp(min(0.0, 1.0 - labelled_lists / SAMPLE_START)))
