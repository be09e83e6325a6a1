"""The rules in force, and the plans made from them: brought up to date when a plan is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stream.items.catalogue import Catalogue
from stream.items.table import ItemTable
from stream.rules.attributes import Attributes
from stream.rules.condition import Refusal, UnknownAttribute
from stream.rules.hidden import Hidden, in_force
from stream.rules.matches import KNOWN, Matches, conditions_of
from stream.rules.plan import MAX_RULES, Compiled, Plan, compiled, ordered
from stream.rules.request import Asked, RequestContext, asked
from stream.rules.rule import Hide, Pin, Rule, Targeted, Unhide, check_key, check_rule, parse
from stream.rules.scenario import Scenario, find

AGE_STEP_MS = 3_600_000
"""How often, in event time, conditions on age are looked at again."""

MAX_HIDING = 100_000
"""Rules of the kinds `hide` and `unhide`: some 500 bytes each."""

_NEVER = 1 << 62

_NONE = np.zeros(0, np.int64)


class Rulebook:
    """Rules by id, and plans by scenario and segment. A function of the last message of each id, of the
    catalogue and of the time, whatever the order in which they came (as long as there are no more rules than
    may be)."""

    def __init__(self, table: ItemTable, catalogue: Catalogue, scenarios: Mapping[str, Scenario]) -> None:
        capacity = table.interner.capacity
        self.scenarios = dict(scenarios)
        self.rules: dict[bytes, Rule] = {}
        self.attributes = Attributes(capacity)
        self._table = table
        self._catalogue = catalogue
        self._bits = {name: bit for bit, name in enumerate(sorted(scenarios))}
        self._matches = Matches(self.attributes, capacity)
        self._hidden = Hidden(self._matches, self._bits)
        self._waiting: dict[bytes, Rule] = {}
        self._items: dict[bytes, int] = {}
        self._relaxed = np.zeros(MAX_RULES, np.int64)
        self._segments: set[str | None] = set()
        self._plans: dict[tuple[str, str | None], tuple[Plan, list[Compiled]]] = {}
        self._clock_ms = 0
        self._next_ms = _NEVER
        self._changed = False
        self._unmarked = _NONE
        self.changes = 0
        """Grows with every change of the rules in force, and of the items that they are about."""
        catalogue.changed.update(catalogue.facts)

    # -- messages ----------------------------------------------------------------------------------

    def take(self, key: bytes | None, value: bytes | None) -> str | None:
        """One message of the topic `rules`; None, or why it was refused, in one sentence. Some 30 µs.

        A null value takes the rule away. What is refused changes nothing; but if only an attribute is
        unknown, the rule waits, and takes effect as soon as an item has it: rules may be read before the
        catalogue.
        """
        try:
            name = check_key(key)
        except Refusal as error:
            return f"A rule is refused: {error}."
        known = name.encode()
        if value is None:
            self._waiting.pop(known, None)
            self._remove(known)
            return None
        try:
            rule = parse(value)
            self._check_room(known, rule)
            self._learn()
            self._waiting.pop(known, None)
            self._check(known, rule)
        except Refusal as error:
            return f"The rule {name!r} is refused: {error}."
        self._put(known, rule)
        return None

    def _check_room(self, key: bytes, rule: Rule) -> None:
        hiding = isinstance(rule, Hide | Unhide)
        slots = self._matches.slots
        held, most = (len(self.rules) - len(slots), MAX_HIDING) if hiding else (len(slots), MAX_RULES)
        replaces = key in self.rules and (key not in slots) == hiding
        if held >= most and not replaces:
            kinds = "hide and unhide" if hiding else "all kinds but hide and unhide"
            raise Refusal(f"there are {held} rules of {kinds}; allowed are {most}")

    def _check(self, key: bytes, rule: Rule) -> None:
        try:
            check_rule(rule, self.attributes.names, self.scenarios)
        except UnknownAttribute:
            if len(self._waiting) < MAX_RULES:
                self._waiting[key] = rule
            raise

    def _put(self, key: bytes, rule: Rule) -> None:
        self._remove(key)
        self.rules[key] = rule
        if isinstance(rule, Pin | Hide | Unhide):
            self._items[key] = int(self._table.numbers(rule.item.encode(), 1)[0])
        if isinstance(rule, Hide | Unhide):
            self._hidden.put(key, self._items[key], rule, self._clock_ms)
        else:
            self._relaxed[self._matches.put(key, *conditions_of(rule))] = 0
        self._changed = True

    def _remove(self, key: bytes) -> None:
        rule = self.rules.pop(key, None)
        if rule is None:
            return
        number = self._items.pop(key, -1)
        if isinstance(rule, Hide | Unhide):
            self._hidden.drop(key, number, self._clock_ms)
        else:
            self._matches.drop(key)
        self._changed = True

    def forget(self, gone: Sequence[int] | NDArray[np.int32]) -> None:
        """Item numbers that were given back (`stream.items.sweep`), before they become other items'."""
        if self._in_use:
            self._learn()
        lost = np.asarray(gone, np.int64)
        numbers = set(lost.tolist())
        named = {key: self.rules[key] for key, number in self._items.items() if number in numbers}
        for key in named:
            self._remove(key)
        self._matches.flags[lost] = 0
        self.attributes.runs["size"][lost] = 0
        self.attributes.available_ms[lost] = 0
        for key, rule in named.items():
            self._put(key, rule)
        # What has neither facts nor a number any more is nothing to learn.
        facts, find = self._catalogue.facts, self._table.interner.find
        self._catalogue.changed -= {
            item_id for item_id in self._catalogue.changed if item_id not in facts and find(item_id) < 0
        }

    # -- what follows ------------------------------------------------------------------------------

    def plan(self, scenario: str, segment: str | None, now_ms: int) -> Plan:
        """The rules of a scenario for a segment (None: of no segment), compiled, at the time `now_ms`; the
        latest time told counts.

        Valid until the next message of `rules` or `items`: ask before each batch; 1 µs if nothing changed.
        The first rule takes in the whole catalogue, some 10 µs an item.
        Raises `InputError` if there is no such scenario.
        """
        return self._planned(scenario, segment, now_ms)[0]

    def parts(self, scenario: str, segment: str | None, now_ms: int) -> list[Compiled]:
        """The rules of `plan`, in its order."""
        return self._planned(scenario, segment, now_ms)[1]

    def asked(self, request: RequestContext, now_ms: int, shown: Sequence[int] = ()) -> Asked:
        """A request in numbers, for `arrange`; `shown` as there. Raises `InputError` if there is no such
        scenario."""
        length = self._scenario(request.scenario).length
        return asked(request, length, self._table, self._catalogue, now_ms, shown)

    @property
    def relaxed(self) -> dict[str, int]:
        """By rule, how many lists did without it because nothing would have been left."""
        if not self._relaxed.any():
            return {}
        slots = sorted(self._matches.slots.items())
        return {key.decode(): int(self._relaxed[slot]) for key, slot in slots if self._relaxed[slot]}

    @property
    def waiting(self) -> list[str]:
        """Rules that name an attribute which no item has had yet."""
        return sorted(key.decode() for key in self._waiting)

    def _planned(self, scenario: str, segment: str | None, now_ms: int) -> tuple[Plan, list[Compiled]]:
        self._refresh(now_ms)
        of = (scenario, segment if segment in self._segments else None)
        if of not in self._plans:
            self._plans[of] = self._compile(*of)
        return self._plans[of]

    def _scenario(self, name: str) -> Scenario:
        return find(self.scenarios, name)

    @property
    def _in_use(self) -> bool:
        """Whether there is any rule: without one a change of the catalogue costs nothing."""
        return bool(self.rules or self._waiting)

    def _refresh(self, now_ms: int) -> None:
        self._clock_ms = max(now_ms, self._clock_ms)
        if self._in_use:
            self._learn()
        if self._clock_ms >= self._next_ms or self._changed:
            aging = self._matches.grow_older()
            self._hidden.pass_time(self._clock_ms)
            bounds = [ms for rule in self.rules.values() for ms in (rule.from_ms, rule.until_ms) if ms]
            self._next_ms = min((ms for ms in bounds if ms > self._clock_ms), default=_NEVER)
            if aging:
                step = (self._clock_ms // AGE_STEP_MS + 1) * AGE_STEP_MS
                self._next_ms = min(self._next_ms, step)
            self._segments = {rule.segment for rule in self.rules.values() if isinstance(rule, Targeted)}
            self._changed = True
        if self._changed or len(self._unmarked):
            before = self._matches.rows[self._unmarked]
            self._matches.refresh(self._unmarked, self._table.interner.used, self._clock_ms)
            after = self._matches.rows[self._unmarked]
            self.changes += self._changed or not np.array_equal(before, after)
            if self._changed:
                self._plans.clear()
            facts = self._matches.facts
            self._plans = {
                of: (plan._replace(facts=facts), parts) for of, (plan, parts) in self._plans.items()
            }
            self._unmarked, self._changed = _NONE, False

    def _learn(self) -> None:
        """Take in what changed in the catalogue; some 10 µs an item."""
        changed = self._catalogue.changed
        if not changed:
            return
        ids = sorted(changed)
        changed.clear()
        facts = [self._catalogue.facts.get(item_id) for item_id in ids]
        numbers = self._table.numbers(b"\0".join(ids), len(ids)).astype(np.int64)
        names = len(self.attributes.names)
        self.attributes.put(numbers.tolist(), facts, self._table.interner.used)
        there = np.array([each is not None for each in facts], np.bool_)
        flags = self._matches.flags
        flags[numbers[there]] |= KNOWN
        flags[numbers[~there]] &= ~KNOWN
        self._unmarked = np.union1d(self._unmarked, numbers)
        if len(self.attributes.names) > names:
            waiting, self._waiting = self._waiting, {}
            for key in sorted(waiting):
                try:
                    self._check_room(key, waiting[key])
                    self._check(key, waiting[key])
                except Refusal:
                    continue
                self._put(key, waiting[key])

    def _compile(self, scenario: str, segment: str | None) -> tuple[Plan, list[Compiled]]:
        applies = self._scenario(scenario).applies
        parts = []
        for key, slot in self._matches.slots.items():
            rule = self.rules[key]
            if (
                isinstance(rule, Targeted)
                and (rule.scenarios is None or scenario in rule.scenarios)
                and rule.segment in (None, segment)
                and applies(str(rule.__struct_config__.tag))
                and in_force(rule, self._clock_ms)
            ):
                begin = self._matches.begin_of_context(key)
                parts.append(Compiled(key, rule, slot, begin, self._items.get(key, -1)))
        parts = ordered(parts)
        rules, first = compiled(parts, self.attributes)
        bit = self._bits[scenario]
        plan = Plan(
            idle=not parts and not self._hidden.any_in(bit),
            hidden=np.uint64(1 << bit),
            rules=rules,
            first=first,
            facts=self._matches.facts,
            rows=self._matches.rows,
            default=self._matches.default,
            about=self._table.facts.item,
            available_ms=self.attributes.available_ms,
            relaxed=self._relaxed,
        )
        return plan, parts
