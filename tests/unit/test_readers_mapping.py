"""A shop's own file, described by a mapping file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stream.errors import InputError
from stream.events.readers import Bad, read
from stream.events.types import Cart, Impression, Item, Purchase, Shown, View

ROOT = Path(__file__).resolve().parents[2]


def results(folder: Path, mapping: str, text: str) -> list[Any]:
    described = folder / "mapping.toml"
    described.write_text(mapping, encoding="utf-8")
    path = folder / "shop"
    path.write_text(text, encoding="utf-8")
    return list(read(path, "mapping", mapping=described))


CSV = """
delimiter = ";"
[fields]
ts = "when"
type = "what"
user_id = "who"
item_id = "sku"
price = "cents"
order_id = "order"
quantity = "n"
[constants]
currency = "EUR"
[types]
addtocart = "cart"
sold = "purchase"
[time]
format = "%d.%m.%Y %H:%M"
[prices]
scale = 0.01
[item]
title = "name"
list_price = "cents"
"""


def test_csv(tmp_path):
    out = results(
        tmp_path,
        CSV,
        "sku;name;when;what;who;cents;order;n;unused\n"
        "a; Lamp ;01.02.2020 10:30;addtocart;u;1999;;;x\n"
        'a;"Lamp";01.02.2020 10:31;sold;u;1999;o1;2.0;x\n'
        "a;;01.02.2020 10:32;view;u;1899;;;x\n"
        "a;;01.02.2020 10:33;seen;u;1899;;;x\n"
        "a;;2020-02-01;view;u;1899;;;x\n"
        ";;01.02.2020 10:33;view;u;1899;;;x\n"
        "a;;01.02.2020 10:33;view;u;-5;;;x\n"
        "a;;01.02.2020 10:33;sold;u;5;;1.5;x\n"
        "a;b\n",
    )
    lamp, cart, bought, cheaper, view, *bad = out
    assert lamp == Item(item_id="a", title="Lamp", list_price=19.99)
    assert cheaper == Item(item_id="a", title="Lamp", list_price=18.99)
    assert (type(cart), cart.ts, cart.price, cart.currency, cart.quantity) == (
        Cart, int(datetime(2020, 2, 1, 10, 30, tzinfo=UTC).timestamp() * 1000), 19.99, "EUR", 1,
    )  # fmt: skip
    assert (type(bought), bought.order_id, bought.quantity) == (Purchase, "o1", 2)
    assert (type(view), view.price) == (View, 18.99)
    assert [(e.line, e.reason) for e in bad] == [
        (5, "unknown-type"),
        (6, "invalid-field"),
        (7, "missing-field"),
        (8, "invalid-field"),
        (9, "invalid-field"),
        (10, "malformed-row"),
    ]


def test_event_ids_are_the_files_own_where_it_has_some(tmp_path):
    mapping = 'constants = {type = "view"}\nfields = {ts="t", user_id="u", item_id="i", event_id="id"}\n'
    first, second = results(tmp_path, mapping, "t,u,i,id\n2020-01-01T00:00:00Z,u,a,mine\n2020-01-01,u,a,\n")
    assert first.event_id == "mine"
    assert re.fullmatch("3-[0-9a-f]{8}", second.event_id)
    assert first.ts == second.ts == 1577836800000


def test_headerless_csv_sorted_by_time_with_decimal_commas(tmp_path):
    mapping = """
delimiter = "\\t"
columns = ["who", "unix", "item", "paid"]
sort_by_time = true
constants = {type = "purchase"}
fields = {ts = "unix", user_id = "who", item_id = "item", price = "paid"}
time = {unit = "s"}
prices = {decimal = ","}
"""
    bad, first, second = results(tmp_path, mapping, "u\t20.5\ta\t1.299,90\nv\t10\tb\t0,5\nw\tnever\tc\t1\n")
    assert isinstance(bad, Bad)
    assert [(e.user_id, e.ts, e.price) for e in (first, second)] == [("v", 10000, 0.5), ("u", 20500, 1299.9)]


@pytest.mark.parametrize(
    ("unit", "value"),
    [("s", "1500000000.25"), ("ms", "1500000000250"), ("us", "1500000000250000"), ("ns", "15e17")],
)
def test_units_of_time(tmp_path, unit, value):
    mapping = f'fields = {{ts="t", user_id="u", item_id="i", type="k"}}\ntime = {{unit = "{unit}"}}\n'
    (event,) = results(tmp_path, mapping, f"t,u,i,k\n{value},u,i,view\n")
    assert event.ts == (1500000000000 if unit == "ns" else 1500000000250)


def test_json_lines(tmp_path):
    mapping = """
format = "jsonl"
time = {unit = "ms"}
[types]
shown = "impression"
[fields]
ts = "at"
type = "event.kind"
user_id = "customer.id"
item_id = "sku"
price = "price"
items = "list"
context = "page"
"""
    view, shown, *bad = results(
        tmp_path,
        mapping,
        '{"at": 1500000000250, "event": {"kind": "view"}, "customer": {"id": 7}, "sku": "a", "price": 2}\n'
        '{"at": "1500000000250", "event.kind": "shown", "customer": {"id": 7.0}, "page": {"x": 1}, '
        '"list": [{"item_id": "a", "position": 0}]}\n'
        '{"at": 1500000000250, "event": "view", "customer": {"id": 7}, "sku": "a"}\n'
        '{"at": 1500000000250, "event": {"kind": "view"}, "customer": {"id": true}, "sku": "a"}\n'
        "[1]\n"
        "{\n",
    )
    assert (type(view), view.user_id, view.price, view.ts) == (View, "7", 2.0, 1500000000250)
    assert (type(shown), shown.user_id, shown.context) == (Impression, "7", {"x": 1})
    assert shown.items == [Shown(item_id="a", position=0)]
    assert [(e.line, e.reason) for e in bad] == [
        (3, "missing-field"),
        (4, "invalid-field"),
        (5, "malformed-json"),
        (6, "malformed-json"),
    ]


MINIMAL = '[fields]\nts="t"\nuser_id="u"\ntype="k"\nitem_id="i"\n'


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("fields = [", "mapping.toml is not TOML"),
        ("", "missing required field `fields`"),
        ('colour = "red"\n' + MINIMAL, "unknown field `colour`"),
        ('delimiter = ";;"\n' + MINIMAL, r"\$\.delimiter"),
        (MINIMAL + 'colour = "c"\n', r"unknown field 'colour' under \[fields\]: choose from .*item_id"),
        (MINIMAL + 'context = "c"\n', r"unknown field 'context' under \[fields\]"),
        (MINIMAL + '[constants]\nts = "c"\n', r"unknown field 'ts' under \[constants\]"),
        (MINIMAL + "[constants]\nsession_id = 3\n", r"'session_id' under \[constants\] .* quotes"),
        (MINIMAL + '[item]\nstocks = "c"\n', r"unknown field 'stocks' under \[item\]"),
        (MINIMAL + '[types]\nbuy = "bought"\n', "unknown event type 'bought': choose from cart,"),
        ('[constants]\ntype = "bought"\n' + MINIMAL, "unknown event type 'bought'"),
        ('[fields]\nts="t"\ntype="k"\n', r"does not say where 'user_id' comes from"),
        ('[time]\nunit = "s"\nformat = "%Y"\n' + MINIMAL, r"keep one of them"),
        ('columns = ["t", "u", "k"]\n' + MINIMAL, r"column 'i' and does not list it under `columns`"),
        (MINIMAL.replace('"i"', '"no"'), "is not what the mapping file describes: .*columns t, u, k, no"),
    ],
)  # fmt: skip
def test_unusable_mapping_files(tmp_path, mapping, says):
    with pytest.raises(InputError, match=says):
        results(tmp_path, mapping, "t,u,k,i\n")


def test_missing_mapping_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml cannot be read"):
        read(ROOT / "pyproject.toml", "mapping", mapping=tmp_path / "none.toml")


def test_the_example_of_the_documentation_works(tmp_path):
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(toml|csv|json)\n(.*?)```", page, re.S)
    mappings = [text for kind, text in blocks if kind == "toml"]
    files = [text for kind, text in blocks if kind != "toml"]
    assert len(mappings) == len(files) == 3
    for mapping, text in zip(mappings, files, strict=True):
        out = results(tmp_path, mapping, text)
        assert out
        assert not [entry for entry in out if isinstance(entry, Bad)]
