"""Everything that is known of a worker at one moment, gathered about once a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from faust.types import TP

from stream.runtime.clock import now_ms
from stream.runtime.engine_thread import EngineThread
from stream.runtime.freshness import Freshness
from stream.runtime.lane import Lane
from stream.runtime.outbox import Outbox
from stream.runtime.stages import Engine
from stream.runtime.telemetry.families import REASONS
from stream.runtime.telemetry.histogram import STEP_EDGES_S, Histogram, Reading
from stream.runtime.topics import ITEM_STATE, SHOPPER_STATE
from stream.runtime.unit import Unit
from stream.runtime.units import Units

ALL = "all"
"""Stage of a step that serves all of them."""

Readings = dict[str, dict[tuple[str, ...], float | Reading]]
"""By metric and by the values of its labels."""

_ENGINE = {
    "stream_events_total": "events",
    "stream_duplicates_total": "duplicates",
    "stream_shoppers_merged_total": "shoppers_merged",
    "stream_crowded_events_total": "crowded",
    "stream_catalogue_refused_total": "catalogue_refused",
    "stream_rules": "rules",
    "stream_rules_refused_total": "rules_refused",
    "stream_sessions_total": "sessions",
    "stream_exchange_messages_total": "exchange_messages",
    "stream_exchange_pairs_total": "pairs",
    "stream_exchange_holes_total": "holes",
    "stream_exchange_repeated_total": "repeated",
    "stream_neighbours_displaced_total": "displaced",
    "stream_lists_total": "recommendations",
    "stream_scenario_lists_total": "scenario_lists",
    "stream_empty_lists_total": "empty_lists",
    "stream_explored_lists_total": "explored_lists",
    "stream_explored_taken_total": "explored_taken",
    "stream_item_lists_total": "item_lists",
    "stream_item_lists_due": "item_lists_due",
    "stream_prices_total": "prices",
    "stream_price_moves_total": "price_moves",
    "stream_model_labelled_lists": "labelled_lists",
    "stream_model_drifts": "drifts",
}
"""What the engine counts, by metric."""
_STATE_STAGES = {"shoppers": SHOPPER_STATE, "items": ITEM_STATE}
_QUALITY = {"stream_model_hit_ratio": "hr@20", "stream_model_reciprocal_rank_ratio": "mrr@20"}


class Consumer(Protocol):
    """What is asked of the consumer (`stream.runtime.transport.Consumer`)."""

    away: bool
    commit_seconds: Histogram

    @property
    def rebalances(self) -> int: ...
    def end(self, tp: TP) -> int | None: ...
    def unfinished(self, tp: TP) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen. `partitions` has, by stage and partition, the offset of the first record that is not in
    the state; `lag` and `lag_s` are by stage; `unfinished` has the committed offset of every partition that
    holds more; `away` names who does not serve."""

    at_ms: int
    engine: dict[str, Any]
    partitions: dict[str, dict[str, int]]
    lag: dict[str, int]
    lag_s: dict[str, float]
    unfinished: dict[str, int]
    away: str | None
    values: Readings


class Observer:
    """Looks at the parts of a worker. `group` is there from when the worker joins one."""

    def __init__(
        self,
        engine: Engine,
        thread: EngineThread,
        units: Units,
        lanes: Sequence[Lane],
        outbox: Outbox,
        freshness: Freshness,
    ) -> None:
        self._engine = engine
        self._thread = thread
        self._units = units
        self._lanes = lanes
        self._outbox = outbox
        self._freshness = freshness
        self._even_ms: dict[TP, int] = {}
        self._version = _version()
        self.group: Consumer | None = None
        self.tick_seconds = Histogram(STEP_EDGES_S)

    async def look(self) -> Sample:
        """What can be seen now: the engine's counters in the engine's thread, the rest here. About 0.3 ms."""
        engine = await self._thread.call(self._engine.metrics.as_dict)
        now = now_ms()
        partitions: dict[str, dict[str, int]] = {}
        lag: dict[str, int] = {}
        lag_s: dict[str, float] = {}
        unfinished: dict[str, int] = {}
        units = self._units.items()
        for tp, unit in units:
            stage = unit.stage.name
            partitions.setdefault(stage, {})[str(tp.partition)] = unit.next_offset
            behind, age_s = self._behind(tp, unit, now)
            lag[stage] = lag.get(stage, 0) + behind
            lag_s[stage] = max(lag_s.get(stage, 0.0), age_s)
            committed = self.group.unfinished(tp) if self.group is not None else None
            if committed is not None:
                unfinished[f"{tp.topic}-{tp.partition}"] = committed
        for tp in self._even_ms.keys() - {tp for tp, _ in units}:
            del self._even_ms[tp]
        away = self._outbox.away or ("Kafka" if self.group is not None and self.group.away else None)
        values = self._values(engine, {stage: len(held) for stage, held in partitions.items()}, lag, lag_s)
        return Sample(now, engine, partitions, lag, lag_s, unfinished, away, values)

    def _behind(self, tp: TP, unit: Unit, now: int) -> tuple[int, float]:
        """Records that are not in the state, and how old the oldest of them is at most, in seconds.

        It came after the last record that is in, and after the partition was last seen without any: which of
        the two is later is close to its time, in a backlog as on a quiet day.
        """
        end = self.group.end(tp) if self.group is not None else None
        if end is not None and unit.next_offset >= end:
            self._even_ms[tp] = now
            return 0, 0.0
        since = max(unit.reached_ms, self._even_ms.get(tp, 0)) or unit.opened_ms
        return 0 if end is None else end - unit.next_offset, max(now - since, 0) / 1000

    def _values(
        self,
        engine: dict[str, Any],
        units: dict[str, int],
        lag: dict[str, int],
        lag_s: dict[str, float],
    ) -> Readings:
        outbox, stages = self._outbox, [lane.stage.name for lane in self._lanes]
        group_away = self.group is not None and self.group.away
        steps: dict[tuple[str, ...], float | Reading] = {
            key: seconds.read() for key, seconds in self._units.seconds.items()
        }
        for lane in self._lanes:
            steps |= {(step, lane.stage.name): seconds.read() for step, seconds in lane.seconds.items()}
        steps |= {(step, ALL): seconds.read() for step, seconds in outbox.seconds.items()}
        steps["tick", ALL] = self.tick_seconds.read()
        if self.group is not None:
            steps["commit", ALL] = self.group.commit_seconds.read()
        quality: dict[str, dict[str, float]] = engine.get("quality") or {}
        values: Readings = {name: {(): engine.get(counter, 0)} for name, counter in _ENGINE.items()}
        values |= {
            "stream_worker_info": {(self._version,): 1},
            "stream_rebalances_total": {(): self.group.rebalances if self.group is not None else 0},
            "stream_units": {(stage,): units.get(stage, 0) for stage in stages},
            "stream_consumer_lag_records": {(stage,): lag.get(stage, 0) for stage in stages},
            "stream_consumer_lag_seconds": {(stage,): lag_s.get(stage, 0.0) for stage in stages},
            "stream_freshness_seconds": {(of,): ages.read() for of, ages in self._freshness.since.items()},
            "stream_batch_records": {(lane.stage.name,): lane.batch_records.read() for lane in self._lanes},
            "stream_step_seconds": steps,
            "stream_saved_buckets_total": {
                (stage,): outbox.saved_buckets[topic] for stage, topic in _STATE_STAGES.items()
            },
            "stream_saved_bytes_total": {
                (stage,): outbox.saved_bytes[topic] for stage, topic in _STATE_STAGES.items()
            },
            "stream_restore_seconds": {(): self._units.restore_seconds.read()},
            "stream_replayed_records_total": {
                (stage,): self._units.replayed[stage] for stage in _STATE_STAGES
            },
            "stream_rows_evicted_total": {
                (table,): engine.get(f"{table}_evicted", 0) for table in _STATE_STAGES
            },
            "stream_rows_forgotten_total": {
                (table,): engine.get(f"{table}_forgotten", 0) for table in _STATE_STAGES
            },
            "stream_rules_relaxed_total": {
                (rule,): times for rule, times in (engine.get("rules_relaxed") or {}).items()
            },
            "stream_rekeyed_total": {(): outbox.rekeyed},
            "stream_dead_letters_total": {
                (reason,): outbox.dead_letters[reason] for reason in {*REASONS, *outbox.dead_letters}
            },
            "stream_kafka_messages_sent_total": {(): outbox.kafka.sent},
            "stream_redis_values_written_total": {(): outbox.redis.counts.written},
            "stream_redis_values_refused_total": {(): outbox.redis.counts.refused},
            "stream_sink_retries_total": {
                ("kafka",): outbox.kafka.retries,
                ("redis",): outbox.redis.counts.retries,
            },
            "stream_sink_away": {
                ("kafka",): float(outbox.kafka.away or group_away),
                ("redis",): float(outbox.redis.away),
            },
            "stream_model_info": {(str(engine.get("model", "share")),): 1},
        }
        for name, measure in _QUALITY.items():
            values[name] = {(of,): found[measure] for of, found in quality.items() if measure in found}
        chances: dict[str, dict[str, float]] = engine.get("chances") or {}
        for name in ("expected", "happened"):
            values[f"stream_model_{name}_ratio"] = {(of,): found[name] for of, found in chances.items()}
        return values | _of_challengers(engine)


def _of_challengers(engine: Mapping[str, Any]) -> Readings:
    """How challengers stand, as the learner last said."""
    found = engine.get("challengers") or {}
    lists = engine.get("challenged_lists") or {}
    ends = {"low": "lead_from", "high": "lead_to"}
    return {
        "stream_challenger_labelled_lists": {(name,): lists.get(name, 0) for name in found},
        "stream_challenger_hit_ratio": {(name,): of["hr@20"]["challenger"] for name, of in found.items()},
        "stream_challenger_reciprocal_rank_ratio": {
            (name,): of["mrr@20"]["challenger"] for name, of in found.items()
        },
        "stream_challenger_lead_ratio": {
            (name, end): of["mrr@20"][key] for name, of in found.items() for end, key in ends.items()
        },
    }


def _version() -> str:
    try:
        return version("stream-engine")
    except PackageNotFoundError:
        return "unknown"
