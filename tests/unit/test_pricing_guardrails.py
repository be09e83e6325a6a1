"""Prices stay within their rails whatever the evidence, and the rule that bound is named."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SettingsError
from stream.pricing import UNKNOWN, Facts, PricingConfig, Rule
from stream.pricing.config import DAY_MS
from stream.pricing.guardrails import Move, guard, rails

CONFIG = PricingConfig()
NOW_MS = 100 * DAY_MS


def facts(**given: int) -> Facts:
    columns = {
        "item_hash": 7,
        "list_price_minor": 1000,
        "cost_minor": 600,
        "floor_minor": UNKNOWN,
        "ceiling_minor": UNKNOWN,
        "current_price_minor": UNKNOWN,
        "last_change_ms": UNKNOWN,
        "stock": UNKNOWN,
    } | given
    arrays: dict[str, Any] = {
        name: np.array([value], dtype=np.uint64 if name == "item_hash" else np.int64)
        for name, value in columns.items()
    }
    return Facts(**arrays)


def move(next_minor: float, **given: float) -> Move:
    columns = {
        "target_minor": next_minor,
        "next_minor": next_minor,
        "gain_ratio": 0.05,
        "confidence": 0.9,
        "exposures": 1e4,
        "is_better": 1.0,
    } | given
    values = {name: np.array([value]) for name, value in columns.items()}
    return Move(**(values | {"is_better": values["is_better"] > 0}))


def decide(item: Facts, wish: Move, config: PricingConfig = CONFIG) -> tuple[int, Rule]:
    price, rule = guard(config, item, rails(config, item), wish, NOW_MS)
    return int(price[0]), Rule(int(rule[0]))


@pytest.mark.parametrize(
    ("item", "wish", "expected"),
    [
        (facts(), move(1050), (1050, Rule.OPTIMUM)),
        (facts(), move(1050, confidence=0.5), (1050, Rule.TRIAL)),
        (facts(), move(1050, target_minor=1150.0), (1050, Rule.MAX_STEP)),
        (facts(list_price_minor=-1), move(1050), (-1, Rule.NO_REFERENCE)),
        (facts(list_price_minor=-1, current_price_minor=990), move(1050), (990, Rule.NO_REFERENCE)),
        (facts(cost_minor=-1), move(1050), (1000, Rule.NO_COST)),
        (facts(floor_minor=1100, ceiling_minor=900), move(1050), (1000, Rule.INFEASIBLE)),
        (facts(cost_minor=990, ceiling_minor=1000), move(1050), (1000, Rule.INFEASIBLE)),
        (facts(), move(1050, exposures=59.9), (1000, Rule.EVIDENCE)),
        (facts(), move(1050, exposures=math.nan), (1000, Rule.EVIDENCE)),
        (facts(), move(1050, is_better=0.0), (1000, Rule.NO_BETTER_PRICE)),
        (facts(), move(1050, confidence=0.5, gain_ratio=-0.02), (1000, Rule.CONFIDENCE)),
        (facts(), move(1050, confidence=0.5, gain_ratio=math.nan), (1000, Rule.CONFIDENCE)),
        (facts(), move(1050, gain_ratio=0.005), (1000, Rule.HYSTERESIS)),
        (facts(last_change_ms=NOW_MS - DAY_MS), move(1050), (1000, Rule.COOLDOWN)),
        (facts(last_change_ms=NOW_MS + DAY_MS), move(1050), (1000, Rule.COOLDOWN)),
        (facts(last_change_ms=NOW_MS - 3 * DAY_MS), move(1050), (1050, Rule.OPTIMUM)),
        (facts(), move(1000.3), (1000, Rule.ROUNDING)),
        (facts(floor_minor=1080), move(1050), (1080, Rule.FLOOR)),
        (facts(floor_minor=1300), move(1050), (1300, Rule.FLOOR)),
        (facts(ceiling_minor=1020), move(1050), (1020, Rule.CEILING)),
        (facts(cost_minor=980), move(950), (1029, Rule.MARGIN)),
        (facts(cost_minor=-1, floor_minor=1100), move(1050), (1100, Rule.FLOOR)),
        (facts(floor_minor=1080, last_change_ms=NOW_MS), move(1050), (1080, Rule.FLOOR)),
        (facts(current_price_minor=5000), move(4700), (1200, Rule.CEILING)),
    ],
)
def test_each_rule_binds_and_is_named(item: Facts, wish: Move, expected: tuple[int, Rule]) -> None:
    assert decide(item, wish) == expected


def test_a_price_exactly_at_cost_and_margin_is_not_rounded_up() -> None:
    assert int(rails(CONFIG, facts(cost_minor=1000)).lowest_minor[0]) == 1050


def test_rounding_never_leaves_the_rails() -> None:
    item = facts(floor_minor=991, ceiling_minor=1009)
    config = replace(CONFIG, rounding_minor=5)
    assert decide(item, move(900), config) == (995, Rule.FLOOR)
    assert decide(item, move(1050), config) == (1005, Rule.CEILING)
    narrow = facts(floor_minor=1001, ceiling_minor=1004)
    assert decide(narrow, move(1003), config) == (1000, Rule.INFEASIBLE)


money = st.one_of(st.just(UNKNOWN), st.integers(0, 3000), st.integers(0, 10**14))
number = st.floats(allow_nan=True, allow_infinity=True)


@given(
    item=st.builds(
        facts,
        list_price_minor=money,
        cost_minor=money,
        floor_minor=money,
        ceiling_minor=money,
        current_price_minor=money,
        last_change_ms=st.integers(-1, 2 * NOW_MS),
    ),
    wish=st.builds(
        move,
        st.floats(1, 1e15),
        gain_ratio=number,
        confidence=number,
        exposures=number,
        is_better=st.sampled_from([0.0, 1.0]),
    ),
    config=st.builds(
        PricingConfig,
        margin_floor_ratio=st.floats(0, 10),
        rounding_minor=st.integers(1, 100),
        min_exposures=st.just(0.0),
    ),
)
def test_prices_stay_within_their_rails(item: Facts, wish: Move, config: PricingConfig) -> None:
    price, rule = decide(item, wish, config)
    limits = rails(config, item)
    before = int(item.in_force_minor[0])
    if before < 1:
        assert price == UNKNOWN
    elif not limits.feasible[0]:
        assert price == before
    else:
        floor, ceiling, cost = (int(x[0]) for x in (item.floor_minor, item.ceiling_minor, item.cost_minor))
        assert price >= max(floor, 1)
        assert ceiling == UNKNOWN or price <= ceiling
        assert cost == UNKNOWN or price * (1 + 1e-9) >= cost * (1 + config.margin_floor_ratio)
        assert int(limits.lowest_minor[0]) <= price <= int(limits.highest_minor[0])
    if rule < Rule.MAX_STEP:
        assert price == before


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_has_a_label_and_a_sentence(rule: Rule) -> None:
    assert rule.label == rule.label.lower()
    assert rule.sentence.endswith(".")


@pytest.mark.parametrize(
    "wrong",
    [{"min_confidence": 1.5}, {"cooldown_ms": 0}, {"min_exposures": math.nan}, {"rounding_minor": 0}],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        PricingConfig(**wrong)
