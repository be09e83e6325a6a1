"""Named scenarios: what kind of list a page asks for. Each is a small TOML file,
`stream/rules/scenarios/*.toml` or the shop's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.errors import InputError
from stream.events.codes import (
    CART,
    HIDE,
    INHERIT,
    LIKE,
    PROFILE,
    PURCHASE,
    RATING,
    REMOVE,
    RETURN,
    SEARCH,
    VIEW,
)
from stream.recommend.pool import OWNED
from stream.recommend.rank import LENGTH
from stream.recommend.sources import SOURCES
from stream.rules.rule import KINDS

MAX_SCENARIOS = 62
"""One bit each in an item's flags (`stream.rules.hidden`)."""

ALWAYS = frozenset({"exclude", "include-only", "hide", "unhide"})
"""Kinds that no scenario can do without: what must not be shown is not shown anywhere."""

EVERY, SESSION = "every", "session"
"""Of `after`: every event, and the first one of a session."""

AFTER = {
    "view": VIEW,
    "cart": CART,
    "remove_from_cart": REMOVE,
    "purchase": PURCHASE,
    "return": RETURN,
    "search": SEARCH,
    "rating": RATING,
    "like": LIKE,
    "hide": HIDE,
    "profile": PROFILE,
    "identify": INHERIT,
}
"""Codes of the event types after which a list may be made; `identify`: when what a visitor left has come."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_AT = re.compile(r" - at `\$\.?(.*)`$")


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario. `sources`: where candidates come from (`stream.recommend.sources`); `length`: items of a
    list, at most; `explore`: share of the lists that give a place to an item of which little is known
    (`stream.recommend.explore`); `rules`: kinds that apply beside `ALWAYS`, None means all.

    `key`: whose lists are published, a shopper's or an item's; `after`: the events after which a shopper's is
    made; none means that it is made for requests only. `anchors`: what it begins with. `first`: the source
    that goes before the others. `without`: what is left out. `per_category`: items of one category, at
    most."""

    key: Literal["shopper", "item"] = "shopper"
    after: tuple[str, ...] = ()
    anchors: Literal["window", "cart"] = "window"
    first: str | None = None
    without: tuple[Literal["window", "cart", "bought"], ...] = ()
    per_category: Annotated[int, Meta(ge=1, le=LENGTH)] | None = None
    sources: Annotated[tuple[str, ...], Meta(min_length=1, max_length=len(SOURCES))]
    length: Annotated[int, Meta(ge=1, le=LENGTH)] = LENGTH
    explore: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    rules: tuple[str, ...] | None = None

    def applies(self, kind: str) -> bool:
        """Whether rules of a kind apply."""
        return self.rules is None or kind in self.rules or kind in ALWAYS


HOME = "home"
"""The scenario whose lists workers publish for every shopper after every event."""

HOME_ALONE = {HOME: Scenario(sources=tuple(SOURCES), after=(EVERY,), explore=0.05)}
"""The scenarios of an engine that is told of no others, as of evaluations: the shipped `home`."""

_OF_HOME = ("sources", "after", "length", "explore", "rules")
_FIRST = tuple(name for name, number in SOURCES.items() if number <= OWNED)


def parse(file: str, text: str) -> Scenario:
    """The scenario in a file. Raises `InputError`, one sentence that names `file`."""
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The scenario file {file} is no TOML: {error}.") from None
    except msgspec.ValidationError as error:
        said = _AT.sub(r" at '\1'", str(error))
        fields = ", ".join(Scenario.__struct_fields__)
        raise InputError(f"The scenario file {file} is unusable: {said} (its keys are {fields}).") from None
    _known(file, "sources", scenario.sources, SOURCES)
    _known(file, "rules", scenario.rules or (), KINDS)
    _known(file, "after", scenario.after, (EVERY, SESSION, *AFTER))
    if scenario.first is not None:
        _known(file, "first", [scenario.first], [name for name in scenario.sources if name in _FIRST])
    if scenario.key == "item" and scenario.after:
        raise InputError(
            f"The scenario file {file} has 'after', but lists of items are made when their neighbours change."
        )
    return scenario


def _known(file: str, key: str, names: Collection[str], allowed: Collection[str]) -> None:
    for name in names:
        if name not in allowed:
            raise InputError(
                f"The scenario file {file} has {name!r} in {key!r}; allowed are {', '.join(allowed)}."
            )


def _check_home(file: str, home: Scenario) -> None:
    """Its lists are made with every event, by a shorter way."""
    for key in Scenario.__struct_fields__:
        if key not in _OF_HOME and getattr(home, key) != getattr(HOME_ALONE[HOME], key):
            raise InputError(
                f"The scenario file {file} has {key!r}; allowed there are {', '.join(_OF_HOME)}."
            )
    if home.after not in ((), (EVERY,)):
        raise InputError(f"The scenario file {file} has another 'after' than {EVERY!r}: leave it out.")


def find(scenarios: Mapping[str, Scenario], name: str) -> Scenario:
    """A scenario by name. Raises `InputError`, one sentence that names those that there are."""
    if name not in scenarios:
        raise InputError(f"There is no scenario {name!r}; there are {', '.join(sorted(scenarios))}.")
    return scenarios[name]


def parse_all(files: Mapping[str, str]) -> dict[str, Scenario]:
    """Scenarios from files, text by file name: `home.toml` is the scenario `home`. Raises `InputError`."""
    scenarios = {}
    for file in sorted(files):
        name = file.removesuffix(".toml")
        if not _NAME.fullmatch(name):
            raise InputError(
                f"The scenario file {file} has an unusable name: small letters, digits, - and _ only."
            )
        scenarios[name] = parse(file, files[file])
        if name == HOME:
            _check_home(file, scenarios[name])
    if len(scenarios) > MAX_SCENARIOS:
        raise InputError(f"There are {len(scenarios)} scenario files, and {MAX_SCENARIOS} may be.")
    return scenarios
