"""What a shopper said of himself lies in Redis as it stands, to be shown to him and corrected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.client import Client, Profile
from stream.effects import Effects, version
from stream.errors import LayoutError
from stream.refill import Refill
from tests.unit.core_helpers import T0, Worker, event, lists, log

HOUR_MS = 3_600_000


def told(effects: Effects) -> list[tuple[str, list[str], list[str]]]:
    return [(user, each["interests"], each["hidden"]) for user, each in lists(effects, "profile")]


def say(worker: Worker, n: int, kind: str, item: str | None = None, hours: int = 0, **fields: Any) -> Effects:
    return worker.feed(log([event(kind, "anna", item, T0 + n + hours * HOUR_MS, **fields)], n))


def test_it_is_written_with_each_change_and_nothing_else_is_said():
    worker = Worker()
    assert told(say(worker, 0, "view", "a")) == []
    stated = say(worker, 1, "profile", context={"interests": ["Shoes", "Acme"]})
    assert told(stated) == [("anna", ["shoes", "acme"], [])]
    assert told(say(worker, 2, "view", "b")) == []
    assert told(say(worker, 3, "hide", "b")) == [("anna", ["shoes", "acme"], ["b"])]
    assert told(say(worker, 4, "rating", "c", rating=1.0)) == [("anna", ["shoes", "acme"], ["b", "c"])]
    assert told(say(worker, 5, "like", "b")) == [("anna", ["shoes", "acme"], ["c"])]
    assert told(say(worker, 6, "profile", context={})) == [("anna", [], ["c"])]
    ((_, value),) = lists(say(worker, 7, "rating", "c", rating=5.0), "profile")
    assert (value["hidden"], value["version"]) == ([], version(1, 7).decode())


def test_a_batch_writes_it_once_for_each_shopper_and_not_to_a_topic():
    worker = Worker()
    events = [
        event("profile", user, ts=T0 + n, context={"interests": [f"i{n}"]})
        for n, user in enumerate(("anna", "ben", "anna"))
    ]
    effects = worker.feed(log(events))
    assert told(effects) == [("anna", ["i2"], []), ("ben", ["i1"], [])]
    assert [(values.topic, values.redis) for values in effects.values if values.kind == "profile"] == [
        (False, True)
    ]
    assert told(worker.feed(log(events), silent=True)) == []


def test_each_session_writes_it_anew_where_there_is_any():
    worker = Worker()
    say(worker, 0, "profile", context={"interests": ["shoes"]})
    assert told(say(worker, 1, "view", "a")) == []
    assert told(say(worker, 2, "view", "a", hours=3)) == [("anna", ["shoes"], [])]
    say(worker, 3, "profile", context={})
    assert told(say(worker, 4, "view", "a", hours=6)) == []


def test_a_redis_that_lost_it_gets_it_again():
    worker = Worker()
    worker.run(log([event("view", f"u{k}", "ab"[k % 2], T0 + k) for k in range(8)]))
    say(worker, 8, "profile", context={"interests": ["shoes"]})
    worker.talk()
    made = [values for _, some in Refill(worker.engine, 10**9).steps(T0) for values in some]
    assert told(Effects(values=made)) == [("anna", ["shoes"], [])]


def test_the_client_reads_it(monkeypatch: pytest.MonkeyPatch):
    client = Client("redis://127.0.0.1:1/0")
    kept = Profile(version(1, 2).decode(), T0, ["shoes"], ["b"])
    values = {"stream:v1:profile:{anna}": msgspec.json.encode(kept), "stream:v1:profile:{ben}": b"{"}
    monkeypatch.setattr(client._redis, "get", values.get)
    assert client.profile("anna") == kept
    assert client.profile("nobody") is None
    with pytest.raises(LayoutError, match=r"stream:v1:profile:\{ben\} is not one of this version's"):
        client.profile("ben")
