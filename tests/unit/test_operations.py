"""docs/operations.md and deploy/alerts.yml say what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from stream.runtime.telemetry.families import FAMILIES, LABELS, REASONS, table
from stream.runtime.telemetry.pulse import ALIVE_S
from stream.runtime.telemetry.readiness import KEEPS_UP_S
from stream.runtime.telemetry.watchdog import STALL_S

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
OF_THE_CLIENT_LIBRARY = {"process_start_time_seconds"}
SUFFIXES = ("_bucket", "_sum", "_count")


def series() -> set[str]:
    """Names that an expression may use."""
    found = set(OF_THE_CLIENT_LIBRARY)
    for family in FAMILIES:
        found |= {family.name + s for s in SUFFIXES} if family.kind == "histogram" else {family.name}
    return found


def test_the_table_of_metrics_is_that_of_the_code():
    assert table() in OPERATIONS, "write it anew: python -m stream.runtime.telemetry.families"


def test_metrics_are_named_as_prometheus_asks():
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert re.fullmatch(r"stream_[a-z]+(_[a-z]+)*", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.help.endswith(".")
        assert not re.search(r"_(ms|milliseconds|minutes|kilobytes|mb)\b", family.name), "base units"
    assert {label for family in FAMILIES for label in family.labels} == set(LABELS)


def test_limits_are_documented_as_they_are():
    for limit in (f"{KEEPS_UP_S:.0f} s", f"{ALIVE_S:.0f} s", f"{STALL_S:.0f} s"):
        assert limit in OPERATIONS


def test_every_reason_for_a_dead_letter_is_known():
    found = set()
    for module in (ROOT / "stream").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                found |= {leaf.value for leaf in ast.walk(node.args[1]) if isinstance(leaf, ast.Constant)}
            if isinstance(node, ast.FunctionDef) and (module.stem, node.name) == ("decode", "_reason"):
                returned = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Return)]
                found |= {value.value for value in returned if isinstance(value, ast.Constant)}
    assert found == set(REASONS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_whole_and_names_only_what_there_is(rule):
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert set(rule["annotations"]) == {"summary", "action"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert re.fullmatch(r"[0-9]+[smh]", rule.get("for", "0s"))
    named = set(re.findall(r"\b(?:stream|process|python)_\w+", rule["expr"]))
    assert named
    assert named <= series()
    for left, right in ("()", "{}", "[]"):
        assert rule["expr"].count(left) == rule["expr"].count(right)
    known = {label: family.labels for family in FAMILIES for label in family.labels}
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        assert label in known or label == "instance"


def test_alerts_are_named_in_the_document():
    for rule in RULES:
        assert f"`{rule['alert']}`" in OPERATIONS
