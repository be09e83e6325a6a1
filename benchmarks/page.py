"""`docs/performance.md`: the figures of a run, what was measured and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report import LEAST_OF_REFERENCE, POLICY, rows

PAGE = """# Performance

Written by `python -m benchmarks.throughput --write-docs`; do not edit by hand.

{void}| contender | events/s | this project / contender |
|---|---|---|
{rows}

{lists}## What was measured

- {events:,} generated events ({shoppers:,} shoppers, {items:,} items, both skewed by a Zipf law, seed
  {seed}) in a topic of {partitions} partitions, on a private Apache Kafka and Redis of the same machine.
  One process each, in turns ({turns} each), every turn with a fresh consumer group and output topic.
- Time runs from the first record handled to the last; start-up, imports and compilation are left out. For
  this project it runs from the first published list until its group has committed the last record of all
  its input topics, which adds up to one commit interval.
- {policy}
- The reference job: the last {window} items of each shopper, counts of the pairs they make, and for every
  event the {top} most frequent neighbours of its item, published to a topic. Values are decoded and
  encoded by msgspec in every contender.
- All contenders read the whole log. The peers keep all state in process memory, which flatters them:
  nothing could be restored after a crash.
- Before the clock starts, every peer's lists over {verified_events:,} events are compared with those of a
  second, independent program.
- This project does all of its job meanwhile: decayed counts of three kinds, popularity, ranking with a
  learned model, prices, duplicates, the exchange through Kafka, and lists to both Kafka and Redis.
- A run is void when a peer's ratio to the bare loop is under {least_share:.0%} of the one in the reference
  measurements, which would mean a handicapped peer: {ratios}.

Machine: {cpus} cores; load average {load_start:.1f} before and {load_end:.1f} after, the benchmark's own
processes included. {versions}.
"""


def markdown(report: Mapping[str, Any]) -> str:
    """The page, from the JSON report."""
    least = report["peers_to_bare_at_least"]
    return PAGE.format(
        **{key: value for key, value in report.items() if key not in ("versions", "void")},
        void="".join(f"**This run is void:** {reason}.\n\n" for reason in report["void"]),
        rows="\n".join(f"| {name} | {rate} | {ratio} |" for name, rate, ratio in rows(report)),
        lists=_lists(report),
        policy=POLICY,
        least_share=LEAST_OF_REFERENCE,
        ratios=", ".join(
            f"{name} {ratio:.4f} (at least {least[name]:.4f})"
            for name, ratio in report["peers_to_bare"].items()
        ),
        load_start=report["load_average"]["start"],
        load_end=report["load_average"]["end"],
        versions=", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    )


def _lists(report: Mapping[str, Any]) -> str:
    if "lists_per_event" not in report:
        return ""
    bare = f", {report['core_ratio']:.2f} of the bare loop" if "core_ratio" in report else ""
    return (
        f"This project published {report['lists_per_event']:.2f} lists an event to the topic "
        f"`recommendations` and made {report['redis_writes_per_event']:.2f} Redis writes an event (of a "
        "shopper's lists that are delivered together Redis gets the last); "
        f"{report['shoppers_in_redis']:,} shoppers had a list in Redis at the end. Packing state to be "
        f"saved took {report['saving_share']:.1%} of the time.\n\n"
        "As a worker works off a backlog, with one list a shopper and batch "
        f"({report['coalescing_lists_per_event']:.2f} an event), it did "
        f"{report['coalescing_events_per_s']:,.0f} events/s. Its engine alone, from bytes to encoded lists "
        f"on one core, does {report['core_events_per_s']:,.0f} events/s{bare}.\n\n"
    )
