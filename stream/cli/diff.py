"""`stream replay --diff`: a log under the configuration of now and under another, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from stream.cli import judged as logs
from stream.cli.feed import Feed
from stream.cli.output import answer_json, facts, note, progress, table
from stream.cli.rules import read_rules
from stream.config import EngineConfig
from stream.errors import InputError
from stream.evaluation.difference import DEPTHS, Difference, Watched, difference
from stream.evaluation.measures import leads, means
from stream.evaluation.prequential import CUTOFF, Scores, run
from stream.rules.scenario import HOME, Scenario, parse_all
from stream.runtime.scenarios import load as load_scenarios
from stream.runtime.settings import Settings

MEASURES = (f"hr@{CUTOFF}", f"mrr@{CUTOFF}")

SHOWN = 10
"""Places of an example that a terminal shows."""


class Side:
    """One configuration, driven over the log."""

    def __init__(self, name: str, scenarios: Mapping[str, Scenario], rules: Mapping[str, Any]) -> None:
        self.name = name
        self.feed = Feed(EngineConfig(scenarios=scenarios), at_once=True)
        self.watched = Watched(self.feed)
        for key, rule in rules.items():
            # Refused is only what names an attribute that no item has yet: it waits for one.
            self.feed.pipeline.engine.control("rules", key.encode(), json.dumps(rule).encode())

    def run(self, log: logs.Judged) -> Scores:
        """Every list, and what they are worth."""
        with progress(f"replaying {self.name}", len(log.steps), of_bytes=False) as bar:
            return run(self.watched, log.steps, log.first_scored, bar)


def diff(
    file: Path, format: str, mapping: Path | None, home: Path | None, rules: Path | None, as_json: bool
) -> None:
    """Run both and say how their lists differ. Raises InputError."""
    now = _lists_of_home(load_scenarios(Settings.load().scenarios))
    other = now if home is None else now | {HOME: _home(home, now[HOME])}
    ruled = read_rules(rules, now) if rules is not None else {}
    if home is None and rules is None:
        raise InputError("There is nothing to compare with: name another home.toml by --with, or --rules.")
    if other == now and not ruled:
        raise InputError(f"The configurations are equal, so all lists are: {home} says what is in force now.")
    log = logs.judged([file], format, mapping, logs.Wanted(None, False, None, False, None))
    sides = Side("now", now, {}), Side("other", other, ruled)
    scores = [side.run(log) for side in sides]
    found = difference(sides[0].watched, sides[1].watched)
    answer = _answer(found, *scores) | {"rules_waiting": sides[1].feed.pipeline.engine.rules.waiting}
    if as_json:
        answer_json(answer | {"refused": dict(log.refused)})
    else:
        _show(found, answer)


def _lists_of_home(scenarios: Mapping[str, Scenario]) -> dict[str, Scenario]:
    """Other scenarios are there, as rules may name them, but have no lists made."""
    return {
        name: scenario if name == HOME else msgspec.structs.replace(scenario, key="shopper", after=())
        for name, scenario in scenarios.items()
    }


def _home(file: Path, now: Scenario) -> Scenario:
    try:
        found = parse_all({f"{HOME}.toml": file.read_text(encoding="utf-8")})[HOME]
        return msgspec.structs.replace(found, after=now.after)
    except OSError as error:
        raise InputError(f"The file {file} cannot be read ({error.strerror}): correct --with.") from None
    except UnicodeDecodeError:
        raise InputError(f"The scenario file {file} is no text in UTF-8.") from None


def _answer(found: Difference, now: Scores, other: Scores) -> dict[str, Any]:
    theirs, ours, lead = means(other.rank), means(now.rank), leads(other, now)
    return {
        "shoppers": found.shoppers,
        "differ": round(found.differ, 5),
        "overlap": {depth: round(share, 5) for depth, share in found.overlap.items()},
        "rbo": round(found.rbo, 5),
        "gain": {item: round(by, 6) for item, by in found.gain.items()},
        "lose": {item: round(by, 6) for item, by in found.lose.items()},
        "examples": [each._asdict() for each in found.examples],
        "scored": len(now.rank),
        "events": now.events,
        **{name: {"now": ours[name], "other": theirs[name], "lead": list(lead[name])} for name in MEASURES},
    }


def _show(found: Difference, answer: dict[str, Any]) -> None:
    told = {
        "shoppers": found.shoppers,
        "whose last list differs": f"{found.differ:.1%}",
        **{f"mean overlap at {depth}": answer["overlap"][f"@{depth}"] for depth in DEPTHS},
        "mean rank-biased overlap": answer["rbo"],
    }
    facts(told)
    rows = [
        (name, of["now"], of["other"], f"{of['lead'][0]:+.5f} to {of['lead'][1]:+.5f}")
        for name, of in ((name, answer[name]) for name in MEASURES)
    ]
    table(("on what followed", "now", "other", "other - now, 95 %"), rows)
    for title, moved in (("gain places", found.gain), ("lose places", found.lose)):
        table((title, "change of share"), [(item, f"{by:+.3%}") for item, by in moved.items()])
    for each in found.examples:
        lists = (each.now[:SHOWN], each.other[:SHOWN])
        table(
            (each.shopper, "items"),
            [(of, " ".join(items)) for of, items in zip(("now", "other"), lists, strict=True)],
        )
    if not found.differ:
        note("No shopper's last list differs.")
    if answer["rules_waiting"]:
        note(f"Without effect, as no item has what they ask for: {', '.join(answer['rules_waiting'])}.")
    note(
        f"{answer['scored']:,} events scored of {answer['events']:,}; shoppers saw neither of the two lists."
    )
