"""`mapping`: a shop's own CSV or JSON lines, described by a TOML file.

The file says which column holds which field of the wire contract, what is the same for all rows, and
how times, prices and kinds of events are written: see `MappingFile` and `docs/formats.md`.
"""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.errors import InputError
from stream.events import types
from stream.events.readers.base import Reader
from stream.events.readers.fields import ID_FIELDS
from stream.events.readers.mapped_rows import AS_IS, KINDS, Plan, read_csv, read_json

MAPPING = "mapping"
"""The name of this format."""

UNIT_MS = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}

EVENT_FIELDS = frozenset({*types.Event.__struct_fields__, "type"})
FACT_FIELDS = frozenset(types.Item.__struct_fields__) - {"item_id", "labels", "attributes", "available_from"}
MUST_HAVE = ("ts", "user_id", "type")
"""What every event needs; what a type needs besides is checked row by row."""


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How times are written: a strptime `format`, or a number of `unit` since 1970; else ISO 8601."""

    format: str | None = None
    unit: Literal["s", "ms", "us", "ns"] | None = None


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How prices are written: value x `scale` is the main unit (0.01 for cents); decimal sign."""

    scale: Annotated[float, Meta(gt=0)] = 1.0
    decimal: Literal[".", ","] = "."


class MappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The mapping file. In JSON lines, "customer.id" names the key `id` inside the object `customer`.

    `fields`: field of an event = column. `constants`: field = value of every row, also of those whose
    column is empty. `types`: word in the file = event type. `item`: field of `Item` = column.
    `columns` names the columns of a CSV file without header. `sort_by_time` reads the file whole.
    """

    fields: dict[str, str]
    format: Literal["csv", "jsonl"] = "csv"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    columns: list[str] | None = None
    sort_by_time: bool = False
    constants: dict[str, str | int | float] = {}
    types: dict[str, str] = {}
    time: Time = Time()
    prices: Prices = Prices()
    item: dict[str, str] = {}


def mapping_reader(path: Path) -> Reader:
    """The reader that the mapping file `path` describes. InputError, naming what is wrong in it."""
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text("utf-8-sig")), MappingFile)
    except OSError as error:
        raise InputError(
            f"The mapping file {path} cannot be read ({error.strerror}): check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The mapping file {path} is not TOML ({error}): see docs/formats.md.") from error
    except msgspec.ValidationError as error:
        raise InputError(f"The mapping file {path} is wrong ({error}): see docs/formats.md.") from error
    _check(path, mapping)
    plan = Plan(
        fields=mapping.fields,
        facts=mapping.item,
        constants=mapping.constants,
        types={**{name: name for name in KINDS}, **mapping.types},
        time_format=mapping.time.format,
        time_unit_ms=UNIT_MS[mapping.time.unit] if mapping.time.unit else None,
        price_scale=mapping.prices.scale,
        price_decimal=mapping.prices.decimal,
        sort_by_time=mapping.sort_by_time,
    )
    if mapping.format == "jsonl":
        return Reader(f"JSON lines described by {path}", partial(read_json, plan))
    return Reader(f"CSV described by {path}", partial(read_csv, plan, mapping.delimiter, mapping.columns))


def _check(path: Path, mapping: MappingFile) -> None:
    for table, names, known in (
        ("fields", mapping.fields, EVENT_FIELDS if mapping.format == "jsonl" else EVENT_FIELDS - AS_IS),
        ("constants", mapping.constants, EVENT_FIELDS - AS_IS - {"event_id", "ts"}),
        ("item", mapping.item, FACT_FIELDS),
    ):
        for name in names:
            if name not in known:
                raise InputError(
                    f"The mapping file {path} names the unknown field {name!r} under [{table}]: "
                    f"choose from {', '.join(sorted(known))}."
                )
    for name, value in mapping.constants.items():
        if name in ID_FIELDS and not isinstance(value, str):
            raise InputError(
                f"The mapping file {path} gives a number for {name!r} under [constants] and ids are text: "
                "put it in quotes."
            )
    for name in MUST_HAVE:
        if name not in mapping.fields and name not in mapping.constants:
            raise InputError(
                f"The mapping file {path} does not say where {name!r} comes from: name its column "
                "under [fields]."
            )
    wanted = [*mapping.types.values()]
    if "type" in mapping.constants:
        wanted.append(str(mapping.constants["type"]))
    for name in wanted:
        if name not in KINDS:
            raise InputError(
                f"The mapping file {path} names the unknown event type {name!r}: choose from "
                f"{', '.join(sorted(KINDS))}."
            )
    if mapping.time.format is not None and mapping.time.unit is not None:
        raise InputError(
            f"The mapping file {path} has both a format and a unit under [time]: keep one of them."
        )
