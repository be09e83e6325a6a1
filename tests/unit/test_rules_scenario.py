"""Scenario files: those that are shipped, a shop's own, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stream.errors import InputError
from stream.recommend.rank import LENGTH
from stream.recommend.sources import SOURCES
from stream.rules.request import RequestContext
from stream.rules.scenario import SHIPPED, parse, parse_all
from stream.runtime.scenarios import load


def test_what_is_shipped_is_what_an_engine_without_files_does():
    assert load() == SHIPPED
    assert SHIPPED["home"].sources == tuple(SOURCES)
    assert SHIPPED["home"].length == LENGTH


def test_a_file_of_the_shop_takes_the_place_of_a_shipped_one(tmp_path: Path):
    (tmp_path / "home.toml").write_text('sources = ["trending"]\nlength = 7\nrules = ["pin"]\n')
    home = load(tmp_path)["home"]
    assert (home.sources, home.length) == (("trending",), 7)
    assert home.applies("pin")
    assert home.applies("exclude")
    assert not home.applies("boost")


def test_a_file_of_a_list_that_is_not_made_is_refused(tmp_path: Path):
    (tmp_path / "cart.toml").write_text('sources = ["trending"]\n')
    with pytest.raises(InputError, match=r"file cart\.toml is of no list there is; allowed is home\.toml"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources = [", "is no TOML"),
        ("", "missing required field `sources`"),
        ("sources = []", "length >= 1 at 'sources'"),
        ('sources = ["views"]', "has 'views' in 'sources'; allowed are co-occurrence, recent"),
        ('sources = ["recent"]\nrules = ["boots"]', "has 'boots' in 'rules'; allowed are exclude"),
        ('sources = ["recent"]\nlength = 0', "`int` >= 1 at 'length'"),
        ('sources = ["recent"]\nlength = 21', "`int` <= 20 at 'length'"),
        ('sources = ["recent"]\nlenght = 5', "unknown field `lenght` (its keys are sources, length"),
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
        parse_all({"My Home.toml": 'sources = ["recent"]'})
    with pytest.raises(InputError, match="63 scenario files, and 62 may be"):
        parse_all({f"s{k}.toml": 'sources = ["recent"]' for k in range(63)})
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "home.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"home\.toml cannot be read"):
        load(tmp_path)
    (tmp_path / "home.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(InputError, match=r"home\.toml is larger than"):
        load(tmp_path)


@pytest.mark.parametrize(
    "request_", [b'{"length":0}', b'{"length":101}', b'{"anchors":[""]}', b'{"scenario":""}', b'{"lenght":3}']
)
def test_a_request_is_checked_as_it_is_read(request_):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(request_, type=RequestContext)
