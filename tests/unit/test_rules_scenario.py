"""Scenario files: those that are shipped, a shop's own, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stream.errors import InputError
from stream.rules.request import RequestContext
from stream.rules.scenario import parse, parse_all
from stream.runtime.scenarios import load


def test_the_shipped_scenarios_can_be_used():
    scenarios = load()
    assert {"home", "product", "cart", "email", "buy-again", "similar"} <= set(scenarios)
    assert scenarios["buy-again"].bought
    assert not scenarios["home"].bought
    assert not scenarios["email"].applies("rotate")
    assert scenarios["email"].applies("exclude")


def test_a_file_of_the_shop_takes_the_place_of_a_shipped_one(tmp_path: Path):
    (tmp_path / "home.toml").write_text('sources = ["trending"]\nlength = 7\n')
    (tmp_path / "checkout.toml").write_text('sources = ["bought"]\nseen = false\nfallback = []\n')
    scenarios = load(tmp_path)
    assert scenarios["home"].length == 7
    assert not scenarios["checkout"].seen
    assert scenarios["cart"] == load()["cart"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources = [", "is no TOML"),
        ("", "missing required field `sources`"),
        ("sources = []", "length >= 1 at 'sources'"),
        ('sources = ["views"]', "has 'views' in 'sources'; allowed are viewed, bought"),
        ('sources = ["viewed"]\nfallback = ["all"]', "has 'all' in 'fallback'; allowed are viewed"),
        ('sources = ["viewed"]\nrules = ["boots"]', "has 'boots' in 'rules'; allowed are exclude"),
        ('sources = ["viewed"]\nlength = 0', "`int` >= 1 at 'length'"),
        ('sources = ["viewed"]\nlength = 101', "`int` <= 100 at 'length'"),
        ('sources = ["viewed"]\nlenght = 5', "unknown field `lenght` (its keys are sources, length"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_sentence(text, said):
    with pytest.raises(InputError) as caught:
        parse("home.toml", text)
    assert str(caught.value).startswith("The scenario file home.toml ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_folders_and_numbers_have_limits(tmp_path: Path):
    with pytest.raises(InputError, match=r"file My Home\.toml has an unusable name"):
        parse_all({"My Home.toml": 'sources = ["viewed"]'})
    with pytest.raises(InputError, match="63 scenario files, and 62 may be"):
        parse_all({f"s{k}.toml": 'sources = ["viewed"]' for k in range(63)})
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "odd.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"odd\.toml cannot be read"):
        load(tmp_path)
    (tmp_path / "odd.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(InputError, match=r"odd\.toml is larger than"):
        load(tmp_path)


@pytest.mark.parametrize(
    "request_", [b'{"length":0}', b'{"length":101}', b'{"anchors":[""]}', b'{"scenario":""}', b'{"lenght":3}']
)
def test_a_request_is_checked_as_it_is_read(request_):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(request_, type=RequestContext)
