from __future__ import annotations

import doctest
import json
from fnmatch import fnmatch

import msgspec
import numpy as np
import pytest
import redis
from typer.testing import CliRunner

import stream.client
import stream.values
from stream.cli.app import app
from stream.client import Client, Recommended, decode_list
from stream.errors import BrokerError, LayoutError
from stream.recommend.candidates import REASONS
from stream.recommend.encode import Writer, new_lists
from stream.state.interner import Interner

LIST = {
    "version": "0000000000005-0000000000000007",
    "generated_at": 1_738_574_040_123,
    "model": "logistic",
    "items": ["lamp", "d\u00e9sk {1}", "chair"],
    "scores": [0.9, 0.5, 0.25],
    "reasons": ["viewed", "bought", "trending"],
}
PRICE = {
    "version": LIST["version"],
    "generated_at": LIST["generated_at"],
    "price": 39.35,
    "proposed": 41.71,
    "mode": "shadow",
    "reason": "max-step",
    "since_ms": 0,
    "currency": "EUR",
}


class FakeRedis:
    """What the client calls of redis-py, on a dictionary."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values

    def get(self, key: str | bytes) -> bytes | None:
        return self.values.get(key.decode() if isinstance(key, bytes) else key)

    def scan_iter(self, pattern: str, count: int) -> list[bytes]:
        return [key.encode() for key in self.values if fnmatch(key, pattern)]

    def close(self) -> None:
        self.values = {}


def test_every_reason_without_shoppers_behind_it_has_words():
    for reason in REASONS:
        assert (reason in stream.values.DID) != bool(stream.values.in_words(reason, None, 0)), reason


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What Redis holds."""
    values = {
        "stream:v1:recs:{s 1}": json.dumps(LIST).encode(),
        "stream:v1:recs-cart:{s 1}": json.dumps(LIST | {"model": "share"}).encode(),
        "stream:v1:recs-product:{lamp}": json.dumps(LIST | {"model": "page"}).encode(),
        "stream:v1:similar:{lamp}": json.dumps(LIST).encode(),
        "stream:v1:together:{lamp}": json.dumps(LIST | {"model": "share"}).encode(),
        "stream:v1:trending:{all}": json.dumps(LIST).encode(),
        "stream:v1:trending:{a.b}": json.dumps(LIST | {"items": [], "scores": [], "reasons": []}).encode(),
        "stream:v1:price:{lamp}": json.dumps(PRICE).encode(),
        "stream:v1:worker:{w2}": b'{"worker":"w2","ready":false}',
        "stream:v1:worker:{w1}": b'{"worker":"w1","ready":true}',
        "other:v1:recs:{s 1}": json.dumps(LIST | {"model": "theirs"}).encode(),
        "stream:v1:recs:{broken}": b'{"version": 5}',
        "stream:v1:recs:{uneven}": json.dumps(LIST | {"scores": [0.1]}).encode(),
    }
    monkeypatch.setattr(redis.Redis, "from_url", lambda *_, **__: FakeRedis(values))
    return values


@pytest.mark.parametrize("module", [stream.client, stream.values])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 0


def test_lists_become_objects(held: dict[str, bytes]):
    with Client("redis://here") as client:
        found = client.recommendations("s 1", limit=2)
        assert found is not None
        assert found.items == (
            Recommended("lamp", 0.9, "viewed"),
            Recommended("d\u00e9sk {1}", 0.5, "bought"),
        )
        assert [item.id for item in found] == ["lamp", "d\u00e9sk {1}"]
        assert (found.version, found.generated_at, found.model) == (
            LIST["version"],
            LIST["generated_at"],
            "logistic",
        )
        assert len(client.similar("lamp") or ()) == 3
        together = client.together("lamp")
        assert together is not None
        assert together.model == "share"
        assert len(client.trending() or ()) == 3
        nothing_yet = client.trending("a.b")
        assert nothing_yet is not None
        assert len(nothing_yet) == 0


def test_scenarios_have_lists_of_their_own(held: dict[str, bytes]):
    client = Client("redis://here")
    for found, model in (
        (client.recommendations("s 1", scenario="home"), "logistic"),
        (client.recommendations("s 1", scenario="cart"), "share"),
        (client.product("lamp"), "page"),
    ):
        assert found is not None
        assert found.model == model
    assert client.recommendations("s 1", scenario="email") is client.product("x") is None


def test_nothing_published_is_none(held: dict[str, bytes]):
    client = Client("redis://here")
    assert client.recommendations("nobody") is None
    assert client.similar("x") is client.together("x") is client.trending("x") is None
    assert client.price("x") is None


def test_prices(held: dict[str, bytes]):
    price = Client("redis://here").price("lamp")
    assert price is not None
    assert (price.price, price.proposed, price.reason, price.currency) == (39.35, 41.71, "max-step", "EUR")
    assert price.list_price is None


def test_places_say_what_stands_behind_them():
    behind = {"anchors": ["rug", "bed"], "because": [1, 0, -1], "shoppers": [9, 0, 0]}
    found = decode_list(json.dumps(LIST | behind).encode())
    assert [item.because for item in found] == ["bed", "rug", None]
    assert [item.sentence() for item in found] == [
        "you viewed bed; at least 9 shoppers viewed both", None, "many look at it now",
    ]  # fmt: skip
    (of_an_item, *_) = decode_list(json.dumps(LIST | {"shoppers": [9, 0, 0]}).encode())
    assert of_an_item.sentence() == "at least 9 shoppers viewed both"


@pytest.mark.parametrize("wrong", [{"because": [0, 0, 0]}, {"shoppers": [5]}, {"shoppers": [0, -1, 0]}])
def test_places_that_say_what_cannot_be_are_refused(wrong: dict[str, list[int]]):
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode_list(json.dumps(LIST | wrong).encode())


def test_prefixes_keep_shops_apart(held: dict[str, bytes]):
    theirs = Client("redis://here", prefix="other").recommendations("s 1")
    assert theirs is not None
    assert theirs.model == "theirs"


@pytest.mark.parametrize("shopper", ["broken", "uneven"])
def test_what_something_else_wrote_is_refused(held: dict[str, bytes], shopper: str):
    with pytest.raises(LayoutError, match="stream:v1:recs:"):
        Client("redis://here").recommendations(shopper)


def test_workers_by_name(held: dict[str, bytes]):
    assert [status["worker"] for status in Client("redis://here").workers()] == ["w1", "w2"]


def test_a_cluster_is_read_as_one(held: dict[str, bytes], monkeypatch: pytest.MonkeyPatch):
    class Node(FakeRedis):
        def get(self, key: str | bytes) -> bytes | None:
            raise redis.exceptions.MovedError("5 127.0.0.1:7")

        def close(self) -> None:
            """The dictionary is still read by the other."""

    monkeypatch.setattr(redis.Redis, "from_url", lambda *_, **__: Node(held))
    monkeypatch.setattr(redis.cluster.RedisCluster, "from_url", lambda *_, **__: FakeRedis(held))
    assert Client("redis://here").similar("lamp") is not None


def test_a_redis_that_is_away():
    with Client("redis://user:secret@127.0.0.1:1/0") as client:
        for ask in (client.trending, client.workers):
            with pytest.raises(BrokerError, match=r"Redis at 127\.0\.0\.1:1 does not serve") as caught:
                ask()
            assert "secret" not in str(caught.value)


def test_an_unusable_url():
    with pytest.raises(BrokerError, match="The Redis URL is not usable"):
        Client("nonsense://x")


def test_what_the_engine_encodes_can_be_read():
    names = Interner(16)
    names.intern_one(b"lamp")
    odd = 'd\u00e9"sk\\'
    names.intern_one(odd.encode())
    lists = new_lists(1, 20)
    lists.item[0, :2] = 0, 1
    lists.score[0, :2] = 0.75, 0.5
    lists.reason[0, :2] = 1, 0
    lists.size[0] = 2
    (value,) = Writer(1, 20, REASONS).write(lists, 1, names.names, 5, np.array([7]), 99, "share")
    found = decode_list(value)
    assert [(item.id, item.score) for item in found] == [("lamp", 0.75), (odd, 0.5)]
    assert (found.version, found.generated_at, found.model) == (LIST["version"], 99, "share")
    assert [item.reason for item in found] == [REASONS[1], REASONS[0]]


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*args, "--redis-url", "redis://here"])
    return result.exit_code, result.stdout, result.stderr


def test_commands_print_tables(held: dict[str, bytes]):
    code, out, _ = run("recs", "s 1", "--limit", "2")
    assert code == 0
    assert "ranked by logistic" in out
    assert "d\u00e9sk {1}" in out
    assert "chair" not in out
    code, out, _ = run("price", "lamp")
    assert code == 0
    assert "max-step" in out
    assert "never moved" in out


def test_commands_print_one_object(held: dict[str, bytes]):
    code, out, err = run("similar", "lamp", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["item_id"] == "lamp"
    assert told["items"][1] == {
        "id": "d\u00e9sk {1}", "score": 0.5, "reason": "bought", "because": None, "shoppers": 0,
    }  # fmt: skip
    assert json.loads(run("similar", "lamp", "--together", "--json")[1])["model"] == "share"
    assert json.loads(run("trending", "--category", "a.b", "--json")[1])["items"] == []
    assert json.loads(run("price", "lamp", "--json")[1])["proposed"] == 41.71


def test_the_command_reads_the_list_of_a_scenario(held: dict[str, bytes], tmp_path, monkeypatch):
    code, out, _ = run("recs", "s 1", "--scenario", "cart", "--json")
    assert (code, json.loads(out)["user_id"], json.loads(out)["model"]) == (0, "s 1", "share")
    code, out, _ = run("recs", "lamp", "--scenario", "product", "--json")
    assert (code, json.loads(out)["item_id"]) == (0, "lamp")
    code, _, err = run("recs", "s 1", "--scenario", "checkout")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "There is no scenario 'checkout'; there are buy-again, cart, email, home, product." in err
    (tmp_path / "checkout.toml").write_text('sources = ["popular"]\nafter = ["cart"]\n')
    monkeypatch.setenv("STREAM_SCENARIOS", str(tmp_path))
    code, _, err = run("recs", "s 1", "--scenario", "checkout")
    assert code == 1
    assert err.startswith("Nothing is published for shopper s 1 in the scenario checkout: ")


@pytest.mark.parametrize(
    "args", [("recs", "nobody"), ("similar", "x"), ("trending", "--category", "x"), ("price", "x")]
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_commands_say_when_nothing_is_published(
    held: dict[str, bytes], args: tuple[str, ...], form: list[str]
):
    code, out, err = run(*args, *form)
    assert (code, out) == (1, "")
    assert err.startswith("Nothing is published for ")
    assert len(err.splitlines()) == 1
