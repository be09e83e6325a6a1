"""Every metric of a worker: name, kind, labels, what it says. ``python -m stream.runtime.telemetry.families``
prints the table of docs/operations.md."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    """One metric. A counter's name ends in ``_total``, any other's in its unit if it has one."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


LABELS = {
    "stage": "`items`, `shoppers` or `learner`; `all` for a step that serves all of them at once",
    "step": "`poll` (from the broker's time of a batch's first record until the worker takes it), "
    "`compute` (until the engine is done with it, waiting included), `apply` (the engine works on it, its "
    "decoding included), `deliver` (its effects, with those of others), `send` (until Kafka has a delivery), "
    "`write` (until Redis has answered it), `save` (the engine packs state), `send_state` (until Kafka has "
    "saved state), `tick` (it makes lists and prices that are due), `commit`",
    "since": "`event` (the shopper's click, by the event's `ts`) or `broker` (Kafka's arrival time)",
    "reason": "why a record was refused: the word in the dead letter's header `stream-error`",
    "sink": "`kafka` or `redis`",
    "table": "`shoppers` or `items`",
    "model": "`share` (the plain order) or the name of the learned model in force",
    "contender": "an order that the learner compares: the plain one, the model's, and simpler ones",
    "outcome": "`click` (anything that was done with the item) or `purchase`",
    "challenger": "name of a model that is judged on the same lists, at most 8",
    "end": "`low` or `high`, of a 95 % interval",
    "rule": "id of a rule of the kind `include-only` that was set aside; no other kind ever is",
    "version": "of the package",
}
"""What the values of each label are: few (of `rule` 512), and none of them grows with shoppers or items."""

REASONS = (
    "null-value",
    "too-large",
    "malformed-json",
    "not-an-object",
    "unknown-type",
    "missing-field",
    "invalid-field",
    "wrong-key",
    "too-old",
    "from-the-future",
    "not-an-exchange-message",
    "malformed-examples",
    "other-features",
    "crashed",
)
"""Dead letters are counted from 0 for each of these, or the first of a kind would be no increase."""

FAMILIES = (
    # The worker as a whole
    Family("stream_worker_info", "gauge", "Always 1; which version runs.", ("version",)),
    Family("stream_ready", "gauge", "1 while /readyz answers 200."),
    Family("stream_units", "gauge", "Partitions whose state is held.", ("stage",)),
    Family("stream_rebalances_total", "counter", "Rebalances of the consumer group that were begun."),
    Family(
        "stream_stalled_seconds", "gauge", "How long records have waited without a commit, for no reason."
    ),
    # How far behind
    Family("stream_consumer_lag_records", "gauge", "Records in Kafka that are not in the state.", ("stage",)),
    Family(
        "stream_consumer_lag_seconds",
        "gauge",
        "Age of the oldest record that is not in the state, at most; 0 when there is none.",
        ("stage",),
    ),
    Family(
        "stream_freshness_seconds",
        "histogram",
        "Age of events when Redis has what they led to; of a long batch's broker times a sample.",
        ("since",),
    ),
    # Where the time goes
    Family(
        "stream_batch_records", "histogram", "Records a batch that was applied and delivered.", ("stage",)
    ),
    Family("stream_step_seconds", "histogram", "Time of one step.", ("step", "stage")),
    # State
    Family("stream_saved_buckets_total", "counter", "Buckets of state written to Kafka.", ("stage",)),
    Family("stream_saved_bytes_total", "counter", "Their size, compressed.", ("stage",)),
    Family("stream_restore_seconds", "histogram", "From an assignment until its new units were restored."),
    Family("stream_replayed_records_total", "counter", "Records replayed by restores.", ("stage",)),
    Family("stream_rows_evicted_total", "counter", "Rows that made room for others.", ("table",)),
    Family("stream_rows_forgotten_total", "counter", "Rows that no event named for too long.", ("table",)),
    # Events
    Family("stream_events_total", "counter", "Events accepted, duplicates not among them."),
    Family("stream_duplicates_total", "counter", "Events dropped because they had been counted."),
    Family("stream_shoppers_merged_total", "counter", "Visitors who turned out to be known shoppers."),
    Family("stream_crowded_events_total", "counter", "Events of ids that many people seem to share."),
    Family("stream_rekeyed_total", "counter", "Records written again under the shopper's key."),
    Family("stream_dead_letters_total", "counter", "Records refused and kept in dead-letters.", ("reason",)),
    Family("stream_catalogue_refused_total", "counter", "Messages of the catalogue that were unusable."),
    Family("stream_rules", "gauge", "Rules of the shop that were accepted, whatever their times."),
    Family("stream_rules_refused_total", "counter", "Rules of the shop that were unusable."),
    Family(
        "stream_rules_relaxed_total",
        "counter",
        "Lists made without a rule, because nothing would have been left.",
        ("rule",),
    ),
    Family("stream_sessions_total", "counter", "Sessions begun."),
    # The exchange between the stages
    Family("stream_exchange_messages_total", "counter", "Exchange messages sent to the item stage."),
    Family("stream_exchange_pairs_total", "counter", "Co-occurrences counted."),
    Family("stream_exchange_holes_total", "counter", "Exchange messages that left a hole: set aside."),
    Family(
        "stream_exchange_repeated_total", "counter", "Exchange messages that had been counted, or partly."
    ),
    Family("stream_neighbours_displaced_total", "counter", "Neighbours that lost their place in a full row."),
    # What is published
    Family("stream_lists_total", "counter", "Recommendation lists made for shoppers."),
    Family("stream_scenario_lists_total", "counter", "Lists made of other scenarios than `home`."),
    Family("stream_empty_lists_total", "counter", "Times that there was nothing at all to recommend."),
    Family(
        "stream_explored_lists_total", "counter", "Lists with a place for an item of which little was known."
    ),
    Family("stream_explored_taken_total", "counter", "Of them, those whose shopper took that item next."),
    Family("stream_item_lists_total", "counter", "Lists of similar and bought-together items made."),
    Family("stream_item_lists_due", "gauge", "Items of which much more is known than their lists tell."),
    Family("stream_prices_total", "counter", "Prices and proposals published."),
    Family("stream_price_moves_total", "counter", "Prices in force that were changed."),
    Family("stream_kafka_messages_sent_total", "counter", "Messages delivered to Kafka."),
    Family("stream_redis_values_written_total", "counter", "Values written to Redis."),
    Family("stream_redis_values_refused_total", "counter", "Values that were older than what Redis held."),
    Family("stream_sink_retries_total", "counter", "Deliveries tried again.", ("sink",)),
    Family("stream_sink_away", "gauge", "1 while the worker waits for it.", ("sink",)),
    # The model
    Family("stream_model_info", "gauge", "Always 1; the order that lists are published in.", ("model",)),
    Family("stream_model_labelled_lists", "gauge", "Lists of known outcome that the learner has seen."),
    Family(
        "stream_model_hit_ratio",
        "gauge",
        "Share of those whose next item was among the first 20 of an order.",
        ("contender",),
    ),
    Family(
        "stream_model_reciprocal_rank_ratio",
        "gauge",
        "Mean reciprocal rank of the next item among the first 20 of an order.",
        ("contender",),
    ),
    Family("stream_model_drifts", "gauge", "Times that published lists became worse all of a sudden."),
    Family(
        "stream_model_expected_ratio",
        "gauge",
        "Mean calibrated chance of candidates that were looked at of late.",
        ("outcome",),
    ),
    Family("stream_model_happened_ratio", "gauge", "Share of them that it came true of.", ("outcome",)),
    Family(
        "stream_challenger_labelled_lists", "gauge", "Lists that a challenger was judged on.", ("challenger",)
    ),
    Family("stream_challenger_hit_ratio", "gauge", "A challenger's hit rate on them.", ("challenger",)),
    Family(
        "stream_challenger_reciprocal_rank_ratio",
        "gauge",
        "A challenger's mean reciprocal rank on them.",
        ("challenger",),
    ),
    Family(
        "stream_challenger_lead_ratio",
        "gauge",
        "By how much that is above the champion's on the same lists.",
        ("challenger", "end"),
    ),
)


def table() -> str:
    """The metrics and their labels as two Markdown tables."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, about, labels in FAMILIES:
        named = ", ".join(f"`{label}`" for label in labels)
        lines.append(f"| `{name}` | {kind} | {named} | {about} |")
    lines += ["", "| label | values |", "|---|---|"]
    lines += [f"| `{label}` | {about} |" for label, about in LABELS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
