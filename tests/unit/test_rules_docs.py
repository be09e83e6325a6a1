"""The page on merchandising: each of its examples is a rule, and does what is said beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stream.recommend.sources import SOURCES
from stream.rules.rule import KINDS
from stream.rules.scenario import Scenario, parse
from stream.runtime.scenarios import load
from tests.unit.rules_kit import DAY_MS, NOW_MS, Shop

SHIPPED = load()
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "merchandising.md").read_text()
EXAMPLES: list[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
]

IDS = ["sku-0", "sku-1", "sku-2", "sku-3", "sku-4", "sku-5"]

# By the kind of the example, in the order of the page: what the list of all is under that rule alone.
EXPECTED = {
    "exclude": [[0, 1, 2, 3, 4], [1, 5]],
    "include-only": [[1, 2, 3, 4, 5]],
    "boost": [[3, 0, 1, 2, 4, 5], [5, 0, 1, 2, 3, 4]],
    "bury": [[0, 1, 3, 4, 5, 2]],
    "freshness": [[4, 0, 1, 2, 3, 5]],
    "rotate": [[1, 2, 3, 4, 5, 0]],
    "pin": [[0, 4, 1, 2, 3, 5]],
    "promote": [[0, 1, 2, 3, 5, 4]],
    "cap": [[0, 1, 2, 3, 5]],
    "diversity": [[0, 3, 5, 1, 4, 2]],
    "hide": [[0, 1, 3, 4, 5]],
    "unhide": [[0, 1, 2, 3, 4, 5]],
}


def shop_of_the_page() -> Shop:
    return Shop(
        {
            "sku-0": {"brand": "Bolt", "category": "hats", "list_price": 5, "attributes": {"colour": "red"}},
            "sku-1": {"brand": "Bolt", "category": "hats", "list_price": 30, "attributes": {"colour": "red"}},
            "sku-2": {"brand": "Bolt", "category": "hats", "list_price": 40, "cost": 39},
            "sku-3": {
                "brand": "Acme",
                "category": "shoes",
                "list_price": 15,
                "attributes": {"colour": "blue"},
            },
            "sku-4": {
                "brand": "Bolt",
                "category": "shoes",
                "list_price": 12,
                "available_from": NOW_MS - DAY_MS,
            },
            "sku-5": {
                "brand": "Eden",
                "category": "socks",
                "list_price": 70,
                "labels": ["recalled", "own-brand"],
            },
        }
    )


def listed(shop: Shop, rule: dict[str, Any]) -> list[str]:
    anchors = ["anchor"] if "context" in rule else []
    shop.stock("anchor", category="shoes")
    return shop.items(IDS, shown=["sku-0"] * 3, anchors=anchors)


def test_the_page_has_an_example_of_every_kind():
    assert {rule["kind"] for rule in EXAMPLES} == set(KINDS) == set(EXPECTED)


@pytest.mark.parametrize("kind", EXPECTED)
def test_each_example_is_a_rule_and_does_what_is_said(kind):
    examples = [rule for rule in EXAMPLES if rule["kind"] == kind]
    for rule, expected in zip(examples, EXPECTED[kind], strict=True):
        shop = shop_of_the_page()
        if kind == "unhide":
            shop.say("hidden", kind="hide", item=rule["item"])
        plain = listed(shop, {**rule, "kind": ""})
        assert shop.say("example", **rule) is None
        assert listed(shop, rule) == [IDS[k] for k in expected]
        assert listed(shop, rule) != plain


def test_the_page_names_what_there_is():
    for name in (*SHIPPED, *SOURCES):
        assert f"`{name}`" in PAGE


def test_the_scenario_of_the_page_is_one():
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert parse("checkout.toml", text).length == 4
    for key in Scenario.__struct_fields__:
        assert f"| `{key}` |" in PAGE


def test_the_page_promises_only_scenarios_that_there_are():
    for rule in EXAMPLES:
        assert set(rule.get("scenarios", SHIPPED)) <= set(SHIPPED)
        assert "segment" not in rule
