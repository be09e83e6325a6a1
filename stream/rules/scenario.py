"""Named scenarios: what kind of list a page asks for. Each is a small TOML file,
`stream/rules/scenarios/*.toml` or the shop's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from stream.errors import InputError
from stream.recommend.rank import LENGTH
from stream.recommend.sources import SOURCES
from stream.rules.rule import KINDS

MAX_SCENARIOS = 62
"""One bit each in an item's flags (`stream.rules.hidden`)."""

ALWAYS = frozenset({"exclude", "include-only", "hide", "unhide"})
"""Kinds that no scenario can do without: what must not be shown is not shown anywhere."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_AT = re.compile(r" - at `\$\.?(.*)`$")


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario. `sources`: where candidates come from (`stream.recommend.sources`); `length`: items of a
    list, at most; `rules`: kinds that apply beside `ALWAYS`, None means all."""

    sources: Annotated[tuple[str, ...], Meta(min_length=1, max_length=len(SOURCES))]
    length: Annotated[int, Meta(ge=1, le=LENGTH)] = LENGTH
    rules: tuple[str, ...] | None = None

    def applies(self, kind: str) -> bool:
        """Whether rules of a kind apply."""
        return self.rules is None or kind in self.rules or kind in ALWAYS


HOME = "home"
"""The scenario whose lists workers publish for every shopper."""

SHIPPED = {HOME: Scenario(sources=tuple(SOURCES))}
"""The scenarios of an engine that is told of no others: what the shipped files say."""


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
    return scenario


def _known(file: str, key: str, names: Collection[str], allowed: Collection[str]) -> None:
    for name in names:
        if name not in allowed:
            raise InputError(
                f"The scenario file {file} has {name!r} in {key!r}; allowed are {', '.join(allowed)}."
            )


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
    if len(scenarios) > MAX_SCENARIOS:
        raise InputError(f"There are {len(scenarios)} scenario files, and {MAX_SCENARIOS} may be.")
    return scenarios
