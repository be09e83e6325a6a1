"""From turns to figures: who counts with which turn, the ratios, and when a run is void."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.contender import BARE, Turn
from benchmarks.stream_worker import WorkerTurn

REFERENCE: Mapping[str, float] = {
    BARE: 440_000.0,
    "stock_faust": 1_900.0,
    "quix": 5_200.0,
    "bytewax": 7_400.0,
}
"""Events a second in the measurements that the design rests on (two shared cores, Apache Kafka 4.1).

The bare loop's is the middle of the 380,000 to 500,000 that were seen.
"""
LEAST_OF_REFERENCE = 0.8
"""A peer that reaches less of its reference ratio to the bare loop was handicapped: the run is void."""
LEAST_LISTS_PER_EVENT = 0.9

TITLES: Mapping[str, str] = {
    BARE: "bare aiokafka + msgspec decode, no job",
    "stock_faust": "stock Faust, reference job",
    "quix": "Quix Streams, reference job",
    "bytewax": "Bytewax, reference job",
    "stream": "this project, all of its job",
}
POLICY = (
    "A peer counts with the best of its turns, this project with the median of its own. A peer's ratio to "
    "the bare loop is the best of the ratios within one turn."
)


def figures(
    turns: Sequence[Mapping[str, Turn]],
    own: Sequence[WorkerTurn],
    coalescing: WorkerTurn | None,
    core_events_per_s: float,
) -> dict[str, Any]:
    """Rates, ratios and reasons to void the run, as the JSON report holds them.

    `turns[k]` holds what each peer did in turn k; a contender that took no turn has no figure. `coalescing`
    is a turn of this project with one list a shopper and batch, `core_events_per_s` its engine alone.
    """
    peers = [name for name in TITLES if any(name in turn for turn in turns)]
    rates = {name: max(turn[name].events_per_s for turn in turns if name in turn) for name in peers}
    ratios_to_bare = {
        name: max(
            turn[name].events_per_s / turn[BARE].events_per_s for turn in turns if {name, BARE} <= turn.keys()
        )
        for name in peers
        if name != BARE and BARE in rates
    }
    report: dict[str, Any] = {"events_per_s": rates}
    if own and coalescing:
        rate = median(turn.events_per_s for turn in own)
        report |= {f"ratio_to_{name}": rate / rates[name] for name in peers}
        report |= {
            "lists_per_event": min(turn.lists / turn.events for turn in own),
            "redis_writes_per_event": min(turn.redis_writes / turn.events for turn in own),
            "events_per_s_to_last_list": median(t.events / t.seconds_to_last_list for t in own),
            "shoppers_in_redis": min(turn.shoppers_in_redis for turn in own),
            "dead_letters": max(turn.dead_letters for turn in own),
            "saving_share": max(turn.saving_share for turn in own),
        }
        rates["stream"] = rate
        if BARE in rates:
            report["core_ratio"] = core_events_per_s / rates[BARE]
        report["core_events_per_s"] = core_events_per_s
        report["coalescing_events_per_s"] = coalescing.events_per_s
        report["coalescing_lists_per_event"] = coalescing.lists / coalescing.events
    report["peers_to_bare"] = ratios_to_bare
    report["peers_to_bare_at_least"] = {name: _least(name) for name in ratios_to_bare}
    report["void"] = [*_handicapped(ratios_to_bare), *_incomplete(turns), *_unpublished(own)]
    return report


def _least(name: str) -> float:
    return LEAST_OF_REFERENCE * REFERENCE[name] / REFERENCE[BARE]


def _handicapped(ratios_to_bare: Mapping[str, float]) -> list[str]:
    return [
        f"{name} reached {ratio:.4f} of the bare loop where at least {_least(name):.4f} is expected: it was "
        "handicapped, run again on a quieter machine"
        for name, ratio in ratios_to_bare.items()
        if ratio < _least(name)
    ]


def _incomplete(turns: Sequence[Mapping[str, Turn]]) -> list[str]:
    return [
        f"{name} published {turn.lists} lists for {turn.events} events"
        for each in turns
        for name, turn in each.items()
        if name != BARE and turn.lists != turn.events
    ]


def _unpublished(own: Sequence[WorkerTurn]) -> list[str]:
    reasons = []
    for turn in own:
        if turn.lists < LEAST_LISTS_PER_EVENT * turn.events:
            reasons.append(
                f"stream wrote {turn.lists} lists for {turn.events} events to the topic, not the "
                f"{LEAST_LISTS_PER_EVENT} an event that count as its job"
            )
        if turn.shoppers_in_redis < turn.shoppers:
            reasons.append(
                f"stream left {turn.shoppers - turn.shoppers_in_redis} of {turn.shoppers} shoppers without a "
                "list in Redis"
            )
    return reasons


def table(report: Mapping[str, Any]) -> Table:
    """The figures for a terminal."""
    shown = Table("contender", "events/s", "stream / contender", title="events a second, one process each")
    for column in shown.columns[1:]:
        column.justify = "right"
    for name, rate, ratio in rows(report):
        shown.add_row(name, rate, ratio)
    return shown


def rows(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(contender, events a second, ratio of this project's rate to it) of each contender."""
    rates = report["events_per_s"]
    return [
        (
            title,
            f"{rates[name]:,.0f}",
            f"{report[f'ratio_to_{name}']:.3g} ×" if f"ratio_to_{name}" in report else "",
        )
        for name, title in TITLES.items()
        if name in rates
    ]
