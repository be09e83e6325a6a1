"""Why an item is in a shopper's list, or is not: the list made again, and nothing of it thrown away."""

from __future__ import annotations

import msgspec
import numpy as np

from stream.engine import Engine
from stream.items.due import new_wanted
from stream.recommend.candidates import REASONS
from stream.recommend.encode import PLAIN, Lists, new_lists
from stream.recommend.features import FEATURES, new_description
from stream.recommend.make import Ranker, fill, follows_model, rank
from stream.recommend.pool import FILL, OWNED, clear, new_pool
from stream.recommend.rank import REACH, new_ranking
from stream.recommend.sources import SOURCES
from stream.rules.explain import Effect
from stream.rules.explain import explain as explain_rules
from stream.rules.request import RequestContext
from stream.rules.scenario import HOME
from stream.state.jit import Row
from stream.values import in_words

_COLUMNS = {name: column for name, column in SOURCES.items() if column <= OWNED} | {"fill-up": FILL}
"""Columns of scores by source; `fill-up`: popular or trending, where others are few."""


class Feature(msgspec.Struct, frozen=True):
    """What the model sees of an item: `product` = `value` * `weight`, the sum of the weights of the contexts
    that hold."""

    name: str
    value: float
    weight: float
    product: float


class Explained(msgspec.Struct, frozen=True):
    """One item and one shopper. Places count from 1; None where it has none.

    `unknown`: no event and no entry of the catalogue names the item. `place`: in the list; `plain_place` and
    `model_place`: among the first 64 in the order without a model and in the model's, before rules. `total`
    is the sum of the products and of what the network `added`, by which the model ranks; `ahead` how far that
    is above what stands last in the list (below 0: it lacks so much). `why` says in a sentence why it is not
    in the list. `reason`, `because` and `shoppers` are as published (`stream.values.Ranked`).
    """

    user_id: str
    item_id: str
    unknown: bool
    ranked_by: str
    items: list[str]
    candidates: int
    place: int | None
    plain_place: int | None
    model_place: int | None
    why: str | None
    reason: str | None
    because: str | None
    shoppers: int
    sentence: str | None
    sources: dict[str, float]
    features: list[Feature]
    added: float | None
    total: float | None
    ahead: float | None
    rules: list[Effect]


def explain(engine: Engine, partition: int, user_id: str, item_id: str, now_ms: int) -> Explained | None:
    """Rank for a shopper of a partition as it is now, and look at one item. None if nobody knows the shopper.

    Changes nothing. About a millisecond.
    """
    unit = engine.shopper_units[partition]
    number = unit.interner.find(user_id.encode())
    if number < 0 or not unit.state.rows["events"][number]:
        return None
    row = unit.state.rows[number]
    history = unit.state.histories[int(row["history"])]
    ranker = engine.now(now_ms).ranker._replace(
        wanted=new_wanted(REACH), pool=new_pool(), description=new_description(), ranking=new_ranking()
    )
    lists = new_lists(1, REACH)
    wanted = engine.table.rows["wanted"][: engine.table.interner.used].copy()
    try:
        rank(row, history, ranker, REACH, True, True)
        # What rules let follow of what is popular was not ranked.
        candidates = int(ranker.pool.size[0])
        fill(row, history, ranker, lists, 0)
        return _look(engine, ranker, lists, candidates, row, history, user_id, item_id, now_ms)
    finally:
        clear(ranker.pool, ranker.facts)
        engine.table.rows["wanted"][: len(wanted)] = wanted


def _look(
    engine: Engine,
    ranker: Ranker,
    lists: Lists,
    n: int,
    row: Row,
    history: Row,
    user_id: str,
    item_id: str,
    now_ms: int,
) -> Explained:
    pool, ranking, active = ranker.pool, ranker.ranking, follows_model(row, ranker)
    item = engine.table.interner.find(item_id.encode())
    found = np.flatnonzero(pool.item[:n] == item)
    c = int(found[0]) if len(found) else -1
    listed = lists.item[0, : int(lists.size[0])].tolist()
    place = listed.index(item) if item in listed else -1
    by_model, plainly = (
        order[: int(size)].tolist()
        for order, size in zip((ranking.order, ranking.plain_order), ranking.size, strict=True)
    )
    features = _features(ranker, c) if c >= 0 else []
    last = np.flatnonzero(pool.item[:n] == listed[-1]).tolist() if listed else []
    total = float(ranking.worth[c]) if c >= 0 else None
    rules = _rules(engine, ranker, row, history, item_id, now_ms)
    at = int(lists.because[0, place]) if place >= 0 else -1
    reason = REASONS[int(lists.reason[0, place])] if place >= 0 else None
    because = _name(engine, int(lists.anchor[0, at]) - 1) if at >= 0 else None
    shoppers = int(lists.shoppers[0, place]) if place >= 0 else 0
    return Explained(
        user_id=user_id,
        item_id=item_id,
        unknown=item < 0,
        ranked_by=engine.metrics.model if active else PLAIN,
        items=[_name(engine, number) for number in listed],
        candidates=n,
        place=place + 1 if place >= 0 else None,
        plain_place=plainly.index(c) + 1 if c in plainly else None,
        model_place=by_model.index(c) + 1 if engine.model is not None and c in by_model else None,
        why=_why(engine, ranker, row, history, item, c, rules) if place < 0 else None,
        reason=reason,
        because=because,
        shoppers=shoppers,
        sentence=in_words(reason, because, shoppers) if reason else None,
        sources={name: float(pool.score[k, c]) for name, k in _COLUMNS.items()} if c >= 0 else {},
        features=features,
        added=None if total is None else total - sum(feature.product for feature in features),
        total=total,
        ahead=total - float(ranking.worth[last[0]]) if total is not None and active and last else None,
        rules=rules,
    )


def _features(ranker: Ranker, c: int) -> list[Feature]:
    """All of them, the weightiest first."""
    value = ranker.description.value[:, c].astype(np.float64)
    weight = ranker.scorer.weights[ranker.description.context].astype(np.float64).sum(axis=0)
    order = np.argsort(-np.abs(value * weight), kind="stable").tolist()
    return [Feature(FEATURES[f], *map(float, (value[f], weight[f], value[f] * weight[f]))) for f in order]


def _rules(engine: Engine, ranker: Ranker, row: Row, history: Row, item_id: str, now_ms: int) -> list[Effect]:
    """What the shop's rules did to the item, if there are any in force."""
    if ranker.ruled.plan.idle:
        return []
    pool, ranking, active = ranker.pool, ranker.ranking, follows_model(row, ranker)
    order = ranking.order if active else ranking.plain_order
    order = order[: int(ranking.size[0 if active else 1])]
    scores = ranking.worth[order] if active else np.log(ranking.plain[order])
    banned = [_name(engine, number) for number in pool.banned[: int(pool.size[1])].tolist()]
    now = [_name(engine, int(row["recent"][0]) - 1)] if row["recent"][0] else []
    request = RequestContext(scenario=HOME, anchors=now, exclude=banned)
    shown = [int(each) - 1 for each in history["shown"][: int(history["n_shown"])] if each > 0]
    names, items = engine.table.interner, pool.item[order]
    told = explain_rules(engine.rules, names, request, items, scores.astype(np.float64), now_ms, shown)
    return [effect for effect in told.effects if effect.item_id == item_id]


def _why(
    engine: Engine, ranker: Ranker, row: Row, history: Row, item: int, c: int, rules: list[Effect]
) -> str:
    """Why an item is not in the list."""
    pool, ranking, active = ranker.pool, ranker.ranking, follows_model(row, ranker)
    if item < 0:
        return "nobody knows it: no event and no entry of the catalogue that is kept names it"
    if row["recent"][0] == item + 1:
        return "the shopper looks at it now"
    if row["history"] and item + 1 in history["hidden"].tolist():
        return "the shopper hid it, or rated it low"
    removed = next((effect.rule for effect in rules if effect.effect == "removed"), None)
    if removed is not None:
        left_out = f"the shop's rules leave it out: {removed[1:-1]}"
        return left_out if removed.startswith("<") else f"the rule {removed} removed it"
    if engine.table.facts.item["withdrawn"][item]:
        return "it is withdrawn: out of stock, or removed from the catalogue"
    if c < 0:
        return (
            "no source proposes it: it does not go with the last items that the shopper looked at, nor with "
            "what goes with them, and is not among what is popular or trending"
        )
    if not active and pool.score[OWNED, c] > 0.0:
        return "the shopper bought it, and the order without a model leaves out what was bought"
    order = (ranking.order if active else ranking.plain_order)[: int(ranking.size[0 if active else 1])]
    if c in order.tolist():
        return f"it is in place {order.tolist().index(c) + 1}, and the list has {ranker.ruled.length}"
    return f"of {pool.size[0]} candidates it is not among the first {REACH}"


def _name(engine: Engine, number: int) -> str:
    return engine.table.interner.name(number).decode()
