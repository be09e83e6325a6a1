"""A small shop for tests of rules: a catalogue, a book of rules, lists by id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stream.items.catalogue import Catalogue
from stream.items.table import ItemTable
from stream.rules.arrange import arrange
from stream.rules.book import Rulebook
from stream.rules.explain import Explanation, explain
from stream.rules.plan import new_arranged, new_work
from stream.rules.request import RequestContext
from stream.rules.scenario import parse_all

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000

PLAIN = 'sources = ["co-occurrence", "popular"]'
SCENARIOS = parse_all(
    {
        "home.toml": PLAIN,
        "cart.toml": PLAIN,
        "buy-again.toml": PLAIN,
        "email.toml": f'{PLAIN}\nrules = ["boost", "cap", "diversity", "pin"]',
    }
)
"""More of them than are published: rules may be of some, and are of the others not."""


class Made(NamedTuple):
    """A list by id."""

    items: list[str]
    scores: list[float]
    origin: list[int]
    relaxed: bool


class Shop:
    """`facts` by item id; ranked lists are in the order given, each a tenth of a logit below the last."""

    def __init__(self, facts: dict[str, dict[str, Any]] | None = None) -> None:
        self.table = ItemTable(512, 1)
        self.catalogue = Catalogue(self.table)
        self.book = Rulebook(self.table, self.catalogue, SCENARIOS)
        self.work, self.out = new_work(self.table.interner.capacity), new_arranged()
        for item_id, fields in (facts or {}).items():
            self.stock(item_id, **fields)

    def stock(self, item_id: str, **fields: Any) -> str | None:
        return self.catalogue.update(item_id.encode(), json.dumps({"item_id": item_id, **fields}).encode())

    def say(self, key: str, **fields: Any) -> str | None:
        """Write a rule; `lambda_` stands for `lambda`."""
        named = {name.rstrip("_"): value for name, value in fields.items()}
        return self.book.take(key.encode(), json.dumps(named).encode())

    def drop(self, key: str) -> str | None:
        return self.book.take(key.encode(), None)

    def numbers(self, ids: Sequence[str]) -> Any:
        return self.table.numbers("\0".join(ids).encode(), len(ids))

    def make(
        self,
        ids: Sequence[str],
        now_ms: int = NOW_MS,
        shown: Sequence[str] = (),
        scores: Sequence[float] | None = None,
        **request: Any,
    ) -> Made:
        asked = RequestContext(**request)
        items = self.numbers(ids)
        given = np.array(scores if scores is not None else -0.1 * np.arange(len(ids)), float)
        plan = self.book.plan(asked.scenario, asked.segment, now_ms)
        numbers = self.book.asked(asked, now_ms, self.numbers(shown).tolist() if shown else ())
        size = arrange(plan, numbers, items, given, len(ids), self.work, self.out)
        assert not self.work.mark.any()
        assert not self.work.tally.any()
        name = self.table.interner.name
        return Made(
            [name(int(number)).decode() for number in self.out.item[:size]],
            self.out.score[:size].tolist(),
            self.out.origin[:size].tolist(),
            bool(self.out.relaxed[0]),
        )

    def items(self, ids: Sequence[str], **request: Any) -> list[str]:
        return self.make(ids, **request).items

    def explain(self, ids: Sequence[str], shown: Sequence[str] = (), **request: Any) -> Explanation:
        return explain(
            self.book,
            self.table.interner,
            RequestContext(**request),
            self.numbers(ids),
            np.array([-0.1 * k for k in range(len(ids))]),
            NOW_MS,
            self.numbers(shown).tolist() if shown else (),
        )
