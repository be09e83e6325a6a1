"""Why a list is as it is: which rule moved, removed or added which item. Computed when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.rules.arrange import arrange
from stream.rules.book import Rulebook
from stream.rules.let_through import CAUSES, FREE, PLACED
from stream.rules.plan import BOOST, DIVERSITY, PIN, PROMOTE, Compiled, Plan, Work, new_arranged, new_work
from stream.rules.request import Asked, RequestContext
from stream.rules.score import added
from stream.state.interner import Interner


class Effect(msgspec.Struct, frozen=True):
    """What was done to one item, and by what: a rule's id, or in `<>` what is no rule.

    `effect`: removed, raised, lowered (its score; by `factor` on the odds or the share), pinned, promoted
    (it came earlier than its score) or mixed (it came instead of others that are more like those before it).
    `before` and `after`: its places from 1 on, None where it was or is not in the list.
    """

    item_id: str
    effect: str
    rule: str
    before: int | None
    after: int | None
    factor: float = 1.0


class Explanation(msgspec.Struct, frozen=True):
    """A list and what made it. `relaxed`: `include-only` was set aside, or nothing would have been left."""

    items: list[str]
    relaxed: bool
    effects: list[Effect]


def explain(
    book: Rulebook,
    names: Interner,
    request: RequestContext,
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    now_ms: int,
    shown: Sequence[int] = (),
) -> Explanation:
    """Arrange a list as `arrange` does, and say what each rule did. Some ms. `names`: of items."""
    plan = book.plan(request.scenario, request.segment, now_ms)
    parts = book.parts(request.scenario, request.segment, now_ms)
    asked = book.asked(request, now_ms, shown)
    work, out = new_work(names.capacity), new_arranged()
    size = arrange(
        plan._replace(relaxed=plan.relaxed.copy(), idle=False), asked, items, scores, len(items), work, out
    )
    listed = [names.name(int(number)).decode() for number in out.item[:size]]
    after = {item_id: place for place, item_id in enumerate(listed, 1)}
    before = {names.name(int(number)).decode(): place for place, number in enumerate(items, 1)}
    effects: list[Effect] = []
    for c, item_id in enumerate(before):
        places = (before[item_id], after.get(item_id))
        cause = int(work.cause[c])
        if cause not in (FREE, PLACED):
            effects.append(Effect(item_id, "removed", _name(cause, parts), *places))
        for rule, logit in _moves(plan, asked, work, c, parts):
            effect = "raised" if logit > 0 else "lowered"
            effects.append(Effect(item_id, effect, rule, *places, round(float(np.exp(logit)), 6)))
    for k, item_id in enumerate(listed):
        by = int(work.by[k])
        if by:
            came = before.get(item_id)
            effects.append(Effect(item_id, _placed(plan, by - 1), _name(by, parts), came, k + 1))
    return Explanation(listed, bool(out.relaxed[0]), effects)


def _name(cause: int, parts: Sequence[Compiled]) -> str:
    return parts[cause - 1].key.decode() if cause > 0 else f"<{CAUSES[cause]}>"


def _placed(plan: Plan, rule: int) -> str:
    for first, effect in ((PIN, "pinned"), (PROMOTE, "promoted"), (DIVERSITY, "mixed")):
        if plan.first[first] <= rule < plan.first[first + 1]:
            return effect
    raise AssertionError(f"rule {rule} gives no places")


def _moves(
    plan: Plan, asked: Asked, work: Work, c: int, parts: Sequence[Compiled]
) -> list[tuple[str, float]]:
    """Rules that changed the score of row `c`, and by what."""
    for item in asked.shown[: asked.shown_size]:
        work.mark[item] += 1
    moves = [
        (parts[r].key.decode(), added(plan, asked, work, r, c))
        for r in range(plan.first[BOOST], plan.first[PIN])
        if work.active[r]
    ]
    work.mark[asked.shown[: asked.shown_size]] = 0
    return [(rule, logit) for rule, logit in moves if logit]
