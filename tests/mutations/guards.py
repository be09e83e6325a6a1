"""The guards that `docs/guarantees.md` names, each with what takes it out and the test that has to notice."""

from __future__ import annotations

from typing import NamedTuple

PROTOCOL = "tests/unit/test_protocol.py"
UPGRADES = "tests/unit/test_upgrades.py"


class Mutation(NamedTuple):
    """One guard taken out: in `path`, `old` becomes `new`, and `test` has to notice."""

    guard: str
    path: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(
        "a bucket of shoppers takes only what lies above its position",
        "stream/shoppers/advance.py",
        "if events.offset[e] <= shoppers.positions[row.bucket]:",
        "if events.offset[e] < 0:",
        "tests/unit/test_saved.py",
    ),
    Mutation(
        "what follows from a login has an id that follows from it",
        "stream/shoppers/merge.py",
        'f"{user_id}\\0{event_id}".encode()',
        'f"{user_id}\\0{np.random.random()}".encode()',
        "tests/unit/test_merge.py",
    ),
    Mutation(
        "what is said of another scenario's list is not said of the one of home",
        "stream/recommend/scenarios.py",
        "offsets = np.minimum(at.offsets + BESIDE, OFFSET_MAX)",
        "offsets = at.offsets",
        "tests/unit/test_scenarios_live.py",
    ),
    Mutation(
        "lists that are published already follow rules and stock",
        "stream/renewal.py",
        "if not self._changed and self._changes != engine.changes:",
        "if not self._changed and self._changes is None:",
        "tests/unit/test_renewal.py",
    ),
    Mutation(
        "a bucket of items takes only what lies above its position",
        "stream/items/unit.py",
        'above = self._positions[table.rows["bucket"][numbers]]',
        "above = np.full(len(numbers), -1)",
        PROTOCOL,
    ),
    Mutation(
        "of a range that overlaps what was applied only the rest counts",
        "stream/items/inbox.py",
        "before += get_int(data, start + HEADER_BYTES + 8 * e, 8) <= known",
        "before += 0",
        PROTOCOL,
    ),
    Mutation(
        "a range that was applied whole is left out",
        "stream/items/inbox.py",
        "if upto <= known:",
        "if False:",
        PROTOCOL,
    ),
    Mutation(
        "a range that begins beyond what was applied is not applied",
        "stream/items/inbox.py",
        "if since > known:",
        "if False:",
        "tests/unit/test_engine.py",
    ),
    Mutation(
        "after a restore the next range begins no later than where the last one sent had ended",
        "stream/saving.py",
        "[latest.ends[q] for q in range(len(unit.sent_upto))]",
        "[latest.position] * len(unit.sent_upto)",
        PROTOCOL,
    ),
    Mutation(
        "nothing is saved before a restored unit stands where its newest bucket does",
        "stream/state/rotation.py",
        "while len(found) < len(self._order) and position >= self._newest:",
        "while len(found) < len(self._order):",
        PROTOCOL,
    ),
    Mutation(
        "the watermark of the replay is that of the oldest bucket",
        "stream/saving.py",
        "unit.watermark, unit.clock_ms = dict(oldest.ends),",
        "unit.watermark, unit.clock_ms = dict(max(buckets, key=lambda b: b.position).ends),",
        PROTOCOL,
    ),
    Mutation(
        "the clock of the replay is that of the oldest bucket",
        "stream/saving.py",
        "unit.state.clock_ms[0] = oldest.clock_ms",
        "unit.state.clock_ms[0] = max(bucket.clock_ms for bucket in buckets)",
        "tests/unit/test_saved.py",
    ),
    Mutation(
        "during a replay the next range does not begin later than what was sent",
        "stream/shoppers/pack.py",
        "since[:] = latest.tolist()",
        "since[:] = [int(batch.offset[-1])] * len(since)",
        "tests/unit/test_engine.py",
    ),
    Mutation(
        "seen event ids are part of a bucket",
        "stream/shoppers/saved.py",
        "more=seen,",
        "more={},",
        PROTOCOL,
    ),
    Mutation(
        "buckets of another life of the unit are left out",
        "stream/saving.py",
        "(bucket.stage, bucket.partition, bucket.lineage_ms) == mine",
        "True",
        "tests/unit/test_saved.py",
    ),
    Mutation(
        "buckets are sent only after all that they imply is delivered",
        "stream/runtime/outbox.py",
        "messages += dead_letters(effects.refused, topic, partition)",
        "messages += saved; saved = []; messages += dead_letters(effects.refused, topic, partition)",
        "tests/unit/test_runtime_outbox.py",
    ),
    Mutation(
        "a batch is acknowledged only after its effects are delivered",
        "stream/runtime/lane.py",
        "readable_ms = await self._delivered(ready) if ready else None",
        "readable_ms = 0",
        "tests/unit/test_runtime_lane.py",
    ),
    Mutation(
        "a record that the state holds is not applied again",
        "stream/runtime/unit.py",
        "return since(records, self.next_offset)",
        "return records",
        "tests/unit/test_runtime_units.py",
    ),
    Mutation(
        "records that retention has eaten unread are refused",
        "stream/runtime/units.py",
        "if begin > stand.offset:",
        "if False:",
        "tests/unit/test_runtime_units.py",
    ),
    Mutation(
        "reading goes on where the unit stands, whatever is committed meanwhile",
        "stream/runtime/transport.py",
        "offset = self.opened.get(tp, committed)",
        "offset = committed",
        "tests/unit/test_runtime_transport.py",
    ),
    Mutation(
        "an acknowledgement of an earlier generation commits nothing",
        "stream/runtime/transport.py",
        "if is_first and message.generation_id == self.app.consumer_generation_id:",
        "if is_first:",
        "tests/unit/test_runtime_transport.py",
    ),
    Mutation(
        "nothing is taken after an abandoned delivery before a rebalance",
        "stream/runtime/lane.py",
        "if self._halted or self._generation == self._given_up:",
        "if self._halted:",
        "tests/unit/test_runtime_lane.py",
    ),
    Mutation(
        "what is left out stays out of every replay",
        "stream/runtime/trouble.py",
        "left_out = frozenset(at for at in self.left_out if at >= start)",
        "left_out = frozenset(self.owed)",
        "tests/unit/test_runtime_trouble.py",
    ),
    Mutation(
        "a mark ends before a delivery begins",
        "stream/runtime/trial.py",
        "        if marked and not self._tell(Trouble.cleared):",
        "        if False and not self._tell(Trouble.cleared):",
        "tests/unit/test_runtime_trial.py",
    ),
    Mutation(
        "errors that no record causes suspect none",
        "stream/runtime/trial.py",
        "except (StreamError, OSError):",
        "except RecursionError:",
        "tests/unit/test_runtime_trial.py",
    ),
    Mutation(
        "a message that is left out is no hole",
        "stream/items/unit.py",
        "if message.since <= self._upto(message.source) < message.upto:",
        "if False:",
        "tests/unit/test_saved.py",
    ),
    Mutation(
        "an older value never overwrites a newer one in Redis",
        "stream/runtime/redis_script.py",
        "and old > string.sub",
        "and 'x' < string.sub",
        "tests/integration/test_sinks.py",
    ),
    Mutation(
        "events of a file that the log holds are left to it",
        "stream/runtime/history.py",
        "if not known]",
        "]",
        "tests/unit/test_runtime_history.py",
    ),
    Mutation(
        "every row goes to the partition of its id",
        "stream/repartition.py",
        "np.flatnonzero(homes == partition)",
        "np.flatnonzero(np.arange(len(homes)) % partitions == partition)",
        "tests/unit/test_repartition.py",
    ),
    Mutation(
        "ids of seen events go where their shopper may have gone",
        "stream/repartition.py",
        "self._old[partition % step :: step]",
        "self._old[:1]",
        "tests/unit/test_repartition.py",
    ),
    Mutation(
        "an exchange message of a newer layout is not read",
        "stream/exchange.py",
        "if layout > LAYOUT:",
        "if False:",
        UPGRADES,
    ),
    Mutation(
        "what was added to an exchange message is left alone",
        "stream/exchange.py",
        "if len(value) < at + names_bytes:",
        "if len(value) != at + names_bytes:",
        UPGRADES,
    ),
    Mutation(
        "below five shoppers none are told",
        "stream/items/distinct.py",
        "return known if known >= LEAST else 0",
        "return known",
        "tests/unit/test_evidence.py",
    ),
    Mutation(
        "who takes a slot over begins with its own shoppers",
        "stream/items/cooccurrence.py",
        "row.shoppers[lightest] = shopper",
        "row.shoppers[lightest] |= shopper",
        "tests/unit/test_evidence.py",
    ),
    Mutation(
        "a saved bucket of a newer layout is not read",
        "stream/state/bucket.py",
        "if layout > LAYOUT:",
        "if False:",
        UPGRADES,
    ),
    Mutation(
        "a commit of another version is not taken for one without a lineage",
        "stream/runtime/commits.py",
        "if lineage and not (lineage.isascii() and lineage.isdigit()):",
        "lineage = lineage if lineage.isascii() and lineage.isdigit() else ''\n    if False:",
        UPGRADES,
    ),
    Mutation(
        "a model snapshot of a newer layout is left unused",
        "stream/learn/model.py",
        "if layout > LAYOUT:",
        "if False:",
        UPGRADES,
    ),
)
