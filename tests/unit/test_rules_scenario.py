"""Scenario files: those that are shipped, a shop's own, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stream.cli.rules import read_rules
from stream.cli.worker import engine_config
from stream.errors import InputError
from stream.recommend.rank import LENGTH
from stream.recommend.sources import SOURCES
from stream.rules.request import RequestContext
from stream.rules.scenario import HOME_ALONE, parse, parse_all
from stream.runtime.scenarios import load
from stream.runtime.settings import Settings


def test_an_engine_without_files_makes_the_shipped_lists_of_home():
    assert load()["home"] == HOME_ALONE["home"]
    assert HOME_ALONE["home"].sources == tuple(SOURCES)
    assert HOME_ALONE["home"].length == LENGTH


def test_scenarios_beside_home_are_shipped():
    shipped = load()
    assert sorted(shipped) == ["buy-again", "cart", "email", "home", "product"]
    assert {name: scenario.after for name, scenario in shipped.items()} == {
        "home": ("every",),
        "product": (),
        "cart": ("cart", "remove_from_cart", "purchase", "hide", "rating", "identify"),
        "email": ("session", "cart", "purchase", "hide", "rating", "identify"),
        "buy-again": ("purchase", "return", "hide", "rating", "identify"),
    }
    assert [name for name in shipped if shipped[name].key == "item"] == ["product"]
    assert shipped["buy-again"].sources == ("bought-before",)
    assert not {"window", "seen", "bought-before"} & set(shipped["product"].sources)


def test_a_file_of_the_shop_takes_the_place_of_a_shipped_one(tmp_path: Path):
    (tmp_path / "home.toml").write_text('sources = ["trending"]\nlength = 7\nrules = ["pin"]\n')
    home = load(tmp_path)["home"]
    assert (home.sources, home.length) == (("trending",), 7)
    assert home.applies("pin")
    assert home.applies("exclude")
    assert not home.applies("boost")


def test_a_shop_may_have_scenarios_of_its_own(tmp_path: Path):
    (tmp_path / "checkout.toml").write_text('sources = ["trending"]\nafter = ["cart"]\n')
    found = load(tmp_path)
    assert sorted(set(found) - set(load())) == ["checkout"]
    assert found["checkout"].after == ("cart",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('first = "markov"', "has 'first'; allowed there are sources, after, length, explore, rules"),
        ('key = "item"', "has 'key'"),
        ('after = ["cart"]', "has another 'after' than 'every'"),
    ],
)
def test_home_is_made_with_every_event_and_by_the_model(text, said):
    with pytest.raises(InputError, match=r"The scenario file home\.toml ") as caught:
        parse_all({"home.toml": f'sources = ["markov"]\n{text}\n'})
    assert said in str(caught.value)


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
        ('sources = ["recent"]\nlenght = 5', "unknown field `lenght` (its keys are key, after, anchors"),
        (
            'sources = ["recent"]\nafter = ["click"]',
            "has 'click' in 'after'; allowed are every, session, view",
        ),
        ('sources = ["recent"]\nafter = ["impression"]', "has 'impression' in 'after'"),
        ('sources = ["recent"]\nfirst = "markov"', "has 'markov' in 'first'; allowed are recent."),
        ('sources = ["popular"]\nfirst = "popular"', "has 'popular' in 'first'"),
        ('sources = ["recent"]\nwithout = ["seen"]', "'seen' at 'without[0]'"),
        (
            'sources = ["recent"]\nkey = "item"\nafter = ["cart"]',
            "has 'after', but lists of items are made when",
        ),
        ('sources = ["recent"]\nper_category = 0', "`int` >= 1 at 'per_category'"),
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


def test_rules_of_a_file_may_name_a_shops_own_scenarios(tmp_path: Path):
    (tmp_path / "checkout.toml").write_text('sources = ["trending"]\n')
    file = tmp_path / "rules.json"
    file.write_text('{"r": {"kind": "hide", "item": "a", "scenarios": ["checkout", "email"]}}')
    assert list(read_rules(file, load(tmp_path))) == ["r"]
    with pytest.raises(InputError, match="scenarios names 'checkout'; allowed are buy-again, cart"):
        read_rules(file, load())


def test_a_worker_does_not_start_with_a_file_that_it_cannot_use(tmp_path: Path, monkeypatch):
    (tmp_path / "cart.toml").write_text('sources = ["recent"]\nlenght = 5\n')
    monkeypatch.setenv("STREAM_SCENARIOS", str(tmp_path))
    with pytest.raises(InputError, match=r"The scenario file cart\.toml is unusable: .*`lenght`"):
        engine_config(Settings.load())


@pytest.mark.parametrize(
    "request_", [b'{"length":0}', b'{"length":101}', b'{"anchors":[""]}', b'{"scenario":""}', b'{"lenght":3}']
)
def test_a_request_is_checked_as_it_is_read(request_):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(request_, type=RequestContext)
