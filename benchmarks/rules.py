"""What merchandising rules cost: a list under several sets of rules, and a change of a rule or an item.

python -m benchmarks.rules [--items 200000]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stream.items.catalogue import Catalogue
from stream.items.table import ItemTable
from stream.rules.arrange import arrange
from stream.rules.book import Rulebook
from stream.rules.plan import Arranged, Plan, Work, new_arranged, new_work
from stream.rules.request import Asked, RequestContext
from stream.runtime.scenarios import load
from stream.state.jit import long_kernel

NOW_MS = 1_700_000_000_000
CANDIDATES = 64
LISTS = 2_000
"""Different pools of candidates, so that items come from all over the memory as they do in a shop."""

REPEATS = 5

ACME = {"attribute": "brand", "is": "brand-7"}
CHEAP = {"all": [{"attribute": "price", "below": 50}, {"not": {"attribute": "tags", "has": "premium"}}]}

RULES: dict[str, dict[str, object]] = {
    "exclude": {"kind": "exclude", "where": ACME},
    "boost": {"kind": "boost", "where": CHEAP, "factor": 2.0},
    "freshness": {"kind": "freshness", "days": 30, "factor": 2.0},
    "rotate": {"kind": "rotate", "after": 3, "factor": 0.5},
    "pin": {"kind": "pin", "item": "item-17", "position": 3},
    "promote": {"kind": "promote", "where": CHEAP, "share": 0.2},
    "cap": {"kind": "cap", "attribute": "brand", "at_most": 2},
    "diversity": {"kind": "diversity", "lambda": 0.7, "attributes": ["category", "brand"]},
}

SETS: dict[str, tuple[str, ...]] = {
    "no rules": (),
    **{name: (name,) for name in RULES},
    "cap, promotion, pin": ("cap", "promote", "pin"),
    "cap, promotion, pin, diversity": ("cap", "promote", "pin", "diversity"),
    "all of them": tuple(RULES),
}


@long_kernel
def _many(
    plan: Plan,
    asked: Asked,
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    work: Work,
    out: Arranged,
) -> int:
    total = 0
    for n in range(len(items)):
        total += arrange(plan, asked, items[n], scores[n], items.shape[1], work, out)
    return total


def _item(k: int) -> bytes:
    facts = {
        "item_id": f"item-{k}",
        "category": f"category-{k % 300}",
        "brand": f"brand-{k * 7 % 101}",
        "list_price": 5 + k * 13 % 200,
        "cost": 3.0,
        "stock": 10,
        "labels": ["premium"] if k % 5 == 0 else ["sale", "new"],
        "available_from": NOW_MS - k * 61 % 100 * 86_400_000,
        "attributes": {"colour": f"colour-{k % 12}", "size": ["s", "m", "l"][: k % 4], "weight": k % 31},
    }
    return json.dumps(facts).encode()


def _seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def figures(n_items: int) -> Iterator[str]:
    """The lines of the report."""
    table = ItemTable(n_items, 1)
    catalogue = Catalogue(table)
    book = Rulebook(table, catalogue, load())
    work, out = new_work(table.interner.capacity), new_arranged()
    for k in range(n_items):
        catalogue.update(f"item-{k}".encode(), _item(k))
    taken_s = _seconds(lambda: book.plan("home", None, NOW_MS))
    yield f"{n_items} items taken in: {taken_s / n_items * 1e6:.1f} µs each"

    rng = np.random.default_rng(1)
    items = np.array([rng.permutation(n_items)[:CANDIDATES] for _ in range(LISTS)], np.int32)
    scores = np.sort(rng.normal(-3.0, 1.0, (LISTS, CANDIDATES)), axis=1)[:, ::-1].copy()
    shown = rng.permutation(items[0])[:60].tolist()
    for name, rules in SETS.items():
        for rule in rules:
            if refused := book.take(rule.encode(), json.dumps(RULES[rule]).encode()):
                raise ValueError(refused)
        plan = book.plan("home", None, NOW_MS)
        asked = book.asked(RequestContext(), NOW_MS, shown if "rotate" in rules else ())
        _many(plan, asked, items[:1], scores[:1], work, out)
        lists = partial(_many, plan, asked, items, scores, work, out)
        runs = [_seconds(lists) for _ in range(REPEATS)]
        yield f"{name}: {min(runs) / LISTS * 1e6:.2f} µs a list of 20 from {CANDIDATES}"
        for rule in rules:
            book.take(rule.encode(), None)

    boost = json.dumps(RULES["boost"]).encode()
    for count in (1, 16, 256):
        for k in range(count):
            book.take(b"rule-%d" % k, boost)
        all_s = _seconds(lambda: book.plan("home", None, NOW_MS))
        book.take(b"rule-0", boost)
        rule_s = _seconds(lambda: book.plan("home", None, NOW_MS))
        items_s = []
        for _ in range(REPEATS):
            catalogue.update(b"item-17", _item(17))
            items_s.append(_seconds(lambda: book.plan("home", None, NOW_MS)))
        item_s = min(items_s)
        still_s = min(_seconds(lambda: book.plan("home", None, NOW_MS)) for _ in range(REPEATS))
        yield (
            f"{count} rules: all compiled in {all_s * 1e3:.1f} ms, one changed rule {rule_s * 1e3:.1f} ms, "
            f"one changed item {item_s * 1e6:.0f} µs, nothing changed {still_s * 1e6:.1f} µs"
        )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=200_000)
    for line in figures(parser.parse_args().items):
        print(line, flush=True)


if __name__ == "__main__":
    main()
