"""A sample in the formats of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stream.runtime.telemetry.families import FAMILIES, Family
from stream.runtime.telemetry.histogram import Reading
from stream.runtime.telemetry.observer import Readings


class SampleCollector(Collector):
    """Renders the latest values, whatever thread asks: they were gathered before, and nothing waits."""

    def __init__(self, latest: Callable[[], Readings]) -> None:
        self._latest = latest

    def collect(self) -> Iterable[Metric]:
        """All families, those without a value too: a metric's help is known from the first scrape on."""
        values = self._latest()
        return [_metric(family, values.get(family.name, {})) for family in FAMILIES]


def registry(latest: Callable[[], Readings]) -> CollectorRegistry:
    """Our metrics, with the client library's own about process, interpreter and garbage collection."""
    found = CollectorRegistry()
    found.register(SampleCollector(latest))
    ProcessCollector(registry=found)
    PlatformCollector(registry=found)
    GCCollector(registry=found)
    return found


def _metric(family: Family, values: Mapping[tuple[str, ...], float | Reading]) -> Metric:
    metric: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
    if family.kind == "histogram":
        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    elif family.kind == "counter":
        metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    else:
        metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in values.items():
        if isinstance(metric, HistogramMetricFamily):
            assert isinstance(value, Reading), f"{family.name} is a histogram"
            buckets = [("+Inf" if edge == inf else repr(edge), count) for edge, count in value.buckets]
            metric.add_metric(labels, buckets, value.sum)
        else:
            assert not isinstance(value, Reading), f"{family.name} is one number"
            metric.add_metric(labels, value)
    return metric
