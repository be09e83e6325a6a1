"""Where a worker's time goes, step by step, as its own metrics tell it."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

STEPS, BATCHES = "stream_step_seconds", "stream_batch_records"

Readings = Mapping[str, tuple[float, float]]
"""(sum, count) of every step in seconds and of every stage's batches in records, since the start."""


def read(status: Mapping[str, Any]) -> Readings:
    """What a worker's metrics tell now; `status` says where they are."""
    with urllib.request.urlopen(status["metrics"], timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        if family.name in (STEPS, BATCHES):
            for sample in family.samples:
                step = sample.labels.get("step", "records")
                of = found.setdefault(f"{sample.labels['stage']}.{step}", {})
                of[sample.name.removeprefix(family.name)] = sample.value
    return {name: (of["_sum"], of["_count"]) for name, of in found.items()}


def between(before: Readings, after: Readings) -> dict[str, float]:
    """Means of what was observed between two readings: milliseconds of a step, records of a batch."""
    means = {}
    for name, (total, count) in sorted(after.items()):
        total_before, count_before = before.get(name, (0.0, 0.0))
        if count > count_before:
            scale = 1 if name.endswith(".records") else 1000
            means[name] = round(scale * (total - total_before) / (count - count_before), 3)
    return means
