"""The rules a shop can write: one JSON object a message of the topic `rules`, key = the rule's id."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.events.types import ID_MAX_CHARS, Id
from stream.rules.attributes import NUMBERS
from stream.rules.condition import Condition, Refusal, check, check_attribute

LENGTH_MAX = 100
"""Items in the longest list."""

FACTOR_MAX = 100.0
"""Largest factor of a boost, on the odds (or the share) of an item; its inverse is the strongest bury. What
is meant to be stronger is a pin or an exclusion."""

DIVERSITY_ATTRIBUTES = 4
"""Attributes that one rule may compare items by."""

_Up = Annotated[float, Meta(gt=1.0, le=FACTOR_MAX)]
_Down = Annotated[float, Meta(ge=1.0 / FACTOR_MAX, lt=1.0)]
_Name = Annotated[str, Meta(min_length=1, max_length=64)]
_EpochMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What all rules share. `scenarios`: None means all. It is in force from `from_ms` on and before
    `until_ms` (event time, epoch ms). Of two that contradict each other the one of higher priority wins."""

    scenarios: Annotated[list[_Name], Meta(min_length=1, max_length=62)] | None = None
    from_ms: _EpochMs | None = None
    until_ms: _EpochMs | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0


class Targeted(Rule, frozen=True, kw_only=True, omit_defaults=True):
    """Rules that may be for one segment of shoppers, and for lists whose anchor (the page's item, the
    last of the cart) fulfils `context`."""

    segment: _Name | None = None
    context: Condition | None = None


class Exclude(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="exclude"):
    """No such item is shown."""

    where: Condition


class IncludeOnly(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="include-only"):
    """Only such items are shown; of several such rules an item must fulfil all."""

    where: Condition


class Boost(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="boost"):
    """Such items rank as if their odds (or share) were `factor` times as high."""

    where: Condition
    factor: _Up


class Bury(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="bury"):
    """As `Boost`, with a factor below 1."""

    where: Condition
    factor: _Down


class Freshness(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="freshness"):
    """Items that became available less than `days` ago are boosted by `factor` ** (1 - age / days)."""

    days: Annotated[float, Meta(gt=0.0, le=3650.0)]
    factor: _Up


class Rotate(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="rotate"):
    """What was shown `after` times in the shopper's last lists and not clicked ranks `factor` lower, and
    `factor` lower again with each further time, eight times at most."""

    after: Annotated[int, Meta(ge=1, le=100)]
    factor: _Down


class Pin(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="pin"):
    """`item` stands at `position` (1: first), if it may be shown; see `stream.rules.arrange`."""

    item: Id
    position: Annotated[int, Meta(ge=1, le=LENGTH_MAX)]


class Promote(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="promote"):
    """At least `share` of the places are for such items, as long as there are candidates."""

    where: Condition
    share: Annotated[float, Meta(gt=0.0, le=1.0)]


class Cap(Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="cap"):
    """At most `at_most` items of a list have the same value of `attribute`."""

    attribute: _Name
    at_most: Annotated[int, Meta(ge=1, le=LENGTH_MAX)]


class Diversity(
    Targeted, frozen=True, kw_only=True, omit_defaults=True, tag="diversity", rename={"lambda_": "lambda"}
):
    """Maximal marginal relevance: `lambda` of 1 leaves the order as it is, 0 asks for variety alone."""

    lambda_: Annotated[float, Meta(ge=0.0, le=1.0)]
    attributes: Annotated[list[_Name], Meta(min_length=1, max_length=DIVERSITY_ATTRIBUTES)]


class Hide(Rule, frozen=True, kw_only=True, omit_defaults=True, tag="hide"):
    """`item` is not shown."""

    item: Id


class Unhide(Rule, frozen=True, kw_only=True, omit_defaults=True, tag="unhide"):
    """Rules that hide `item`, of a lower priority than this one, do not hold."""

    item: Id


KINDS: dict[str, type[Rule]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        Exclude,
        IncludeOnly,
        Boost,
        Bury,
        Freshness,
        Rotate,
        Pin,
        Promote,
        Cap,
        Diversity,
        Hide,
        Unhide,
    )
}
"""Every kind by the name in its field `kind`."""

_AT = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)
_BYTES_MAX = 1 << 16


def parse(value: bytes) -> Rule:
    """The rule in a message, not yet checked against the catalogue; about 20 µs. Raises `Refusal`."""
    if len(value) > _BYTES_MAX:
        raise Refusal(f"the message has {len(value)} bytes; allowed are {_BYTES_MAX}")
    try:
        fields = msgspec.json.decode(value)
        if not isinstance(fields, dict):
            raise Refusal("the message is no JSON object")
        kind = _kind(fields)
        allowed = [str(name) for name in kind.__struct_encode_fields__]
        unknown = sorted(set(fields) - set(allowed) - {"kind"})
        if unknown:
            raise Refusal(f"a rule of its kind has no field {unknown[0]!r}; allowed are {', '.join(allowed)}")
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        said = f"{found[2]}: {found[1]}" if found else str(error)
        if "unknown field" in said:
            said += f"; allowed are {', '.join(map(str, Condition.__struct_encode_fields__))}"
        raise Refusal(said) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Refusal(f"the message is no JSON: {error}") from None
    except RecursionError:
        raise Refusal("the message goes too deep") from None


def _kind(fields: dict[str, Any]) -> type[Rule]:
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refusal(f"kind is {kind!r:.80}; allowed are {', '.join(KINDS)}")
    return KINDS[kind]


def check_rule(rule: Rule, attributes: Collection[str], scenarios: Collection[str]) -> None:
    """Raise `Refusal` if a rule names what is not there, or times the wrong way round; `UnknownAttribute` if
    that is all that is wrong."""
    for name in rule.scenarios or ():
        if name not in scenarios:
            raise Refusal(f"scenarios names {name!r}; allowed are {', '.join(sorted(scenarios))}")
    if rule.from_ms is not None and rule.until_ms is not None and rule.until_ms <= rule.from_ms:
        raise Refusal(f"until_ms is {rule.until_ms}; allowed is what lies after from_ms, {rule.from_ms}")
    if isinstance(rule, Pin | Hide | Unhide) and min(rule.item) < " ":
        raise Refusal("item holds a control character; allowed is an item id")
    for field in ("where", "context"):
        condition = getattr(rule, field, None)
        if isinstance(condition, Condition):
            check(condition, field, attributes)
    if isinstance(rule, Cap):
        _check_text(rule.attribute, "attribute", attributes)
    if isinstance(rule, Diversity):
        for name in rule.attributes:
            _check_text(name, "attributes", attributes)


def _check_text(name: str, field: str, attributes: Collection[str]) -> None:
    if name in NUMBERS:
        raise Refusal(f"{field} names {name}, which is a number; allowed are attributes with texts")
    check_attribute(name, field, attributes)


def check_key(key: bytes | None) -> str:
    """The id of a rule. Raises `Refusal`."""
    try:
        name = (key or b"").decode()
    except UnicodeDecodeError:
        name = ""
    if not 0 < len(name) <= ID_MAX_CHARS or min(name) < " ":
        raise Refusal(f"its key {(key or b'')[:64]!r} is no id; allowed are 1 to {ID_MAX_CHARS} characters")
    return name
