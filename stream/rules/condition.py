"""Conditions on an item's attributes: a small language in JSON, closed under `all`, `any` and `not`.

::

    {"attribute": "brand", "is": "Acme"}
    {"any": [{"attribute": "price", "below": 50}, {"not": {"attribute": "tags", "has": "premium"}}]}

A test of an attribute that the item does not have fails; so its `not` holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from stream.events.types import Text
from stream.rules.attributes import NUMBERS, TEXTS

MAX_DEPTH = 8
"""How deep conditions may lie in one another."""

MAX_TESTS = 64
"""Tests in one condition: 64 at some 5 ns over 200,000 items are 60 ms."""

MAX_VALUES = 256
"""Values after `in`."""

Number = Annotated[int, Meta(ge=-(2**53), le=2**53)] | float
Value = bool | Number | Text

TESTS = ("is", "in", "below", "at_least", "has")
"""What an attribute may be asked. `is`: this value, or one of its values if it has several; `in`: one of
these; `has`: the same as `is`, and reads better for tags; `below` and `at_least`: numbers."""

_PARTS = ("all", "any", "not", "attribute")


class Refusal(ValueError):
    """Why a rule cannot be used, without its name: the field, and what is allowed there."""


class UnknownAttribute(Refusal):
    """A condition asks for an attribute that no item of the catalogue has had yet."""


class Condition(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"all_": "all", "any_": "any", "not_": "not", "is_": "is", "in_": "in"},
):
    """One of `all`, `any`, `not`, or an `attribute` with one of `TESTS`."""

    all_: Annotated[list[Condition], Meta(min_length=1, max_length=MAX_TESTS)] | None = None
    any_: Annotated[list[Condition], Meta(min_length=1, max_length=MAX_TESTS)] | None = None
    not_: Condition | None = None
    attribute: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    is_: Value | None = None
    in_: Annotated[list[Value], Meta(min_length=1, max_length=MAX_VALUES)] | None = None
    below: Number | None = None
    at_least: Number | None = None
    has: Text | None = None

    @property
    def parts(self) -> list[Condition]:
        """The conditions that this one is made of; none if it is a test."""
        return self.all_ or self.any_ or ([self.not_] if self.not_ is not None else [])

    @property
    def values(self) -> list[Value]:
        """What `is`, `in` or `has` compares with; none if the test is another one."""
        single = self.has if self.is_ is None else self.is_
        return self.in_ or ([] if single is None else [single])


def tests(condition: Condition) -> Iterator[Condition]:
    """Its tests, as they stand."""
    if condition.attribute is not None:
        yield condition
    for part in condition.parts:
        yield from tests(part)


def check(condition: Condition, field: str, known: Collection[str]) -> None:
    """Raise a `Refusal` if `condition`, which stands in `field`, cannot be meant. `known`: attributes."""
    _check(condition, field, 1)
    if sum(1 for _ in tests(condition)) > MAX_TESTS:
        raise Refusal(f"{field} has more than {MAX_TESTS} tests")
    for test in tests(condition):
        if test.attribute is not None:
            check_attribute(test.attribute, field, known)


def check_attribute(name: str, field: str, known: Collection[str]) -> None:
    """Raise `UnknownAttribute` unless `name`, which stands in `field`, is one of `known`."""
    if name not in known:
        allowed = ", ".join(sorted(known)[:40])
        raise UnknownAttribute(
            f"{field} names the attribute {name!r}, which no item of the catalogue has; allowed are {allowed}"
        )


def _check(condition: Condition, field: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refusal(f"{field} goes deeper than {MAX_DEPTH} conditions in one another")
    given = [
        name
        for name, part in zip(
            _PARTS, (condition.all_, condition.any_, condition.not_, condition.attribute), strict=True
        )
        if part is not None
    ]
    if len(given) != 1:
        raise Refusal(f"{field} needs exactly one of {', '.join(_PARTS)}, and has {_listed(given)}")
    values = (condition.is_, condition.in_, condition.below, condition.at_least, condition.has)
    asked = [name for name, value in zip(TESTS, values, strict=True) if value is not None]
    if condition.attribute is None:
        if asked:
            raise Refusal(f"{field} has {_listed(asked)} without an attribute; it goes beside one")
        for part in condition.parts:
            _check(part, f"{field}.{given[0]}", depth + 1)
        return
    if len(asked) != 1:
        raise Refusal(
            f"{field} needs exactly one of {', '.join(TESTS)} for {condition.attribute!r}, "
            f"and has {_listed(asked)}"
        )
    _check_kind(condition, asked[0], field)


def _check_kind(condition: Condition, test: str, field: str) -> None:
    """What is a number is not compared with a text, nor the reverse."""
    name = condition.attribute
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in condition.values]
    if name in NUMBERS and not all(numbers):
        raise Refusal(
            f"{field} compares {name} with a text: it is a number; allowed are is, in, below, at_least"
        )
    if name in TEXTS and (test in ("below", "at_least") or any(numbers)):
        raise Refusal(f"{field} compares {name} with a number: it is a text; allowed are is, in and has")


def _listed(names: list[str]) -> str:
    return " and ".join(names) or "none"
