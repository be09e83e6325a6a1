from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.cli.demo import feeds
from stream.cli.demo.command import _Course
from stream.cli.demo.crew import Crew
from stream.cli.demo.feeds import CALM_MS_PER_S, DAY_MS, FILE_EVENTS_PER_S, FileFeed, ShopFeed
from stream.cli.demo.summary import summary
from stream.cli.demo.view import Glance, print_summary
from stream.errors import InputError, SettingsError, StackError
from stream.events.types import Event
from stream.local import Stack
from stream.runtime.kafka_sink import Outgoing
from stream.runtime.settings import Settings
from stream.values import key_of

NOW_MS = 1_760_000_000_000

STATUS: dict[str, Any] = {
    "at_ms": NOW_MS,
    "lag": {"shoppers": 7, "items": 2},
    "freshness_p50_ms": 12.0,
    "freshness_p99_ms": 80.5,
    "engine": {
        "events": 1200,
        "duplicates": 3,
        "recommendations": 1100,
        "prices": 40,
        "price_moves": 2,
        "item_lists": 90,
        "last_event_ts_ms": NOW_MS,
        "model": "river-1",
        "labelled_lists": 300,
        "quality": {"popular": {"hr@20": 0.1}, "published": {"hr@20": 0.31}},
    },
}


class FakeWorker:
    """A process that runs, or has ended with a code."""

    def __init__(self, code: int | None = None) -> None:
        self._code = code

    def poll(self) -> int | None:
        return self._code


class FakeRedis:
    """Values by key."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def put(self, kind: str, name: str, value: Mapping[str, Any]) -> None:
        self.values[key_of("stream", kind, name)] = json.dumps(value).encode()

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    def scan_iter(self, match: str, count: int) -> Iterator[str]:
        return (key for key in self.values if fnmatch(key, match))


class FakeFeed:
    """Two priced items, and what it was told of them."""

    def __init__(self) -> None:
        self.done = self.waits = False
        self.shoppers = {"s-1", "s-2"}
        self.last: Event | None = None
        self.shown: dict[str, float] = {}

    def step(self, seconds: float) -> list[Outgoing]:
        return []

    def show_prices(self, prices: Mapping[str, float]) -> None:
        self.shown.update(prices)

    def items(self) -> list[str]:
        return ["lamp", "desk", "rug"]


class FakeView:
    """Keeps what it is shown."""

    live = None

    def __init__(self) -> None:
        self.glances: list[Glance] = []

    def show(self, glance: Glance) -> None:
        self.glances.append(glance)


@pytest.fixture
def reads() -> FakeRedis:
    found = FakeRedis()
    found.put("worker", "demo", STATUS)
    found.put("recs", "s-1", {"items": ["desk"]})
    found.put("recs", "s-2", {"items": ["lamp"]})
    found.put("similar", "lamp", {"items": ["desk"]})
    return found


@pytest.fixture
def crew(reads: FakeRedis, tmp_path: Path) -> Crew:
    stack = Stack("127.0.0.1:1", "redis://127.0.0.1:2/0", tmp_path, {}, {}, "pip", "nothing")
    worker: Any = FakeWorker()
    return Crew(stack, Settings.model_validate({"worker_id": "demo"}), worker, tmp_path / "worker.log", reads)


@pytest.fixture
def _short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """One day instead of seven weeks, at the same speed, and two days instead of a year."""
    monkeypatch.setattr(feeds, "HISTORY_S", feeds.HISTORY_S / feeds.HISTORY_DAYS)
    monkeypatch.setattr(feeds, "HISTORY_DAYS", 1)
    monkeypatch.setattr(feeds, "LONG_AGO_DAYS", 2)


# -- a file ------------------------------------------------------------------------------------------


def write_events(path: Path, count: int) -> list[bytes]:
    lines = [
        b'{"event_id":"e%d","type":"view","ts":%d,"user_id":"u%d","item_id":"i"}' % (k, NOW_MS + k, k % 5)
        for k in range(count)
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return lines


def test_a_file_is_sent_at_its_pace_and_then_done(tmp_path: Path):
    write_events(tmp_path / "shop.jsonl", 1_100)
    feed = FileFeed(tmp_path / "shop.jsonl", "jsonl", None)
    seconds = 500 / FILE_EVENTS_PER_S
    sizes = []
    while not feed.done:
        sizes.append(len(feed.step(seconds)))
    assert sizes == [500, 500, 100]
    assert feed.shoppers == {f"u{k}" for k in range(5)}
    assert feed.last is not None
    assert feed.last.event_id == "e1099"
    assert feed.step(seconds) == []


def test_events_are_keyed_by_shopper_and_bad_rows_travel_as_they_are(tmp_path: Path):
    good = write_events(tmp_path / "shop.jsonl", 2)
    bad = [b"not json", b'{"type":"gaze","user_id":"u9"}', b"\xff\xfe"]
    (tmp_path / "shop.jsonl").write_bytes(b"\n".join([bad[0], good[0], bad[1], good[1], bad[2]]))
    feed = FileFeed(tmp_path / "shop.jsonl", "jsonl", None)
    sent = feed.step(1.0)
    assert feed.done
    assert [message.topic for message in sent] == ["events"] * 5
    assert [message.key for message in sent] == [None, b"u0", None, b"u1", None]
    assert [sent[k].value for k in (0, 2, 4)] == bad
    assert [json.loads(sent[k].value or b"") for k in (1, 3)] == [json.loads(line) for line in good]
    assert feed.shoppers == {"u0", "u1"}


def test_item_facts_of_a_file_go_to_the_catalogue(tmp_path: Path):
    (tmp_path / "shop.csv").write_text("when,who,sku,shelf\n2025-02-03T09:14:00Z,c1,lamp,light\n")
    (tmp_path / "shop.toml").write_text(
        '[fields]\nts = "when"\nuser_id = "who"\nitem_id = "sku"\n[item]\ncategory = "shelf"\n'
        '[constants]\ntype = "view"\n'
    )
    feed = FileFeed(tmp_path / "shop.csv", "mapping", tmp_path / "shop.toml")
    sent = {message.topic: message for message in feed.step(1.0)}
    assert sent.keys() == {"items", "events"}
    assert sent["items"].key == b"lamp"
    assert json.loads(sent["items"].value or b"")["category"] == "light"
    assert feed.items() == []


def test_a_wrong_format_is_one_sentence(tmp_path: Path):
    write_events(tmp_path / "shop.jsonl", 1)
    with pytest.raises(InputError, match="There is no format 'cvs'"):
        FileFeed(tmp_path / "shop.jsonl", "cvs", None).step(1.0)


# -- the simulated shop ------------------------------------------------------------------------------


@pytest.mark.usefixtures("_short_history")
def test_the_shop_lives_through_its_history_and_is_done():
    feed = ShopFeed(NOW_MS, seed=3, forever=False)
    sent: list[Outgoing] = []
    steps = 0
    while not feed.done:
        sent += feed.step(0.05)
        steps += 1
    assert steps == pytest.approx(feeds.HISTORY_S / 0.05, abs=1)
    facts = [message.key for message in sent if message.topic == "items"]
    events = [json.loads(message.value or b"") for message in sent if message.topic == "events"]
    assert len(facts) == len(set(facts))
    assert {key.decode() for key in facts if key} == set(feed.items())
    known: set[str] = set()
    for message in sent:
        body = msgspec.json.decode(message.value or b"")
        if message.topic == "items":
            known.add(body["item_id"])
        else:
            assert message.key == body["user_id"].encode()
            assert body.get("item_id") is None or body["item_id"] in known, (
                "an item is told before it is seen"
            )
    assert feed.shoppers == {event["user_id"] for event in events}
    assert feed.last is not None
    assert feed.last.event_id == events[-1]["event_id"]
    assert NOW_MS - DAY_MS <= events[0]["ts"] <= events[-1]["ts"] <= NOW_MS


def test_every_two_days_of_its_history_the_shop_waits_for_the_worker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feeds, "HISTORY_S", feeds.HISTORY_S * 5 / feeds.HISTORY_DAYS)
    monkeypatch.setattr(feeds, "HISTORY_DAYS", 5)
    monkeypatch.setattr(feeds, "LONG_AGO_DAYS", 6)
    feed = ShopFeed(NOW_MS, seed=3, forever=True)
    waited = []
    for _ in range(12):
        feed.step(feeds.HISTORY_S / 10)
        if feed.waits:
            waited.append((feed.shop.clock_ms - NOW_MS) // DAY_MS + 6)
    assert waited == [2, 4]


@pytest.mark.usefixtures("_short_history")
def test_on_a_terminal_the_shop_goes_on_slowly_after_its_history():
    feed = ShopFeed(NOW_MS, seed=3, forever=True)
    feed.step(feeds.HISTORY_S)
    assert not feed.done
    assert feed.shop.clock_ms == NOW_MS - DAY_MS
    feed.step(1.0)
    assert feed.shop.clock_ms == NOW_MS - DAY_MS + CALM_MS_PER_S


@pytest.mark.usefixtures("_short_history")
def test_the_same_seed_gives_the_same_events_and_moved_prices_are_shown():
    first, second = (ShopFeed(NOW_MS, seed=3, forever=False) for _ in range(2))
    assert first.step(0.05) == second.step(0.05)
    item = first.items()[0]
    first.show_prices({item: 12.34})
    assert first.shop.price(item) == 12.34
    assert second.shop.price(item) != 12.34


def test_a_seed_that_cannot_be_is_one_sentence():
    with pytest.raises(SettingsError, match="not negative"):
        ShopFeed(NOW_MS, seed=-1, forever=False)


# -- the crew ----------------------------------------------------------------------------------------


def test_the_crew_reads_what_is_published(crew: Crew):
    status = crew.status()
    assert status is not None
    assert status["engine"]["events"] == 1200
    assert crew.values("recs", ["s-1", "nobody"]) == {"s-1": {"items": ["desk"]}}
    assert crew.values("recs", []) == {}
    assert crew.count("recs") == 2
    assert crew.count("similar") == 1


def test_before_the_workers_first_word_there_is_no_status(crew: Crew, reads: FakeRedis):
    reads.values.clear()
    assert crew.status() is None


@pytest.mark.parametrize(
    ("log", "last"), [("one\nRedis refuses.\n", "Redis refuses."), ("", "it said nothing")]
)
def test_a_worker_that_has_ended_is_told_with_its_last_words(crew: Crew, log: str, last: str):
    ended: Any = FakeWorker(2)
    crew.worker = ended
    crew.log.write_text(log)
    with pytest.raises(StackError, match=f"^The worker ended with code 2: {last}$"):
        crew.wait_ready()


def test_moved_prices_reach_the_shop_once_and_are_told(crew: Crew, reads: FakeRedis):
    reads.put("price", "lamp", {"price": 47.5, "list_price": 50.0, "since_ms": NOW_MS, "reason": "explore"})
    reads.put("price", "desk", {"price": 99.0, "list_price": 99.0, "since_ms": 0, "reason": "start"})
    feed, view = FakeFeed(), FakeView()
    course = _Course(crew, feed, view)
    course._look()
    assert feed.shown == {"lamp": 47.5}
    feed.shown.clear()
    course._look()
    assert feed.shown == {}
    reads.put("price", "lamp", {"price": 49.0, "list_price": 50.0, "since_ms": NOW_MS, "reason": "exploit"})
    course._look()
    assert feed.shown == {"lamp": 49.0}
    last = view.glances[-1]
    assert last.price_news == ["lamp: 50.0 → 47.5 (explore)", "lamp: 47.5 → 49.0 (exploit)"]
    assert (last.day, last.events, last.lag) == ("09 Oct 2025", 1200, 7)
    assert last.hit_rates == {"popular": 0.1, "published": 0.31}


async def test_the_shop_goes_on_when_all_that_was_sent_is_applied_and_sees_its_prices(
    crew: Crew, reads: FakeRedis, monkeypatch: pytest.MonkeyPatch
):
    stand = STATUS | {"records": {"shoppers": 9}, "lag": {"shoppers": 0, "items": 0}}
    stands = [
        stand,
        stand | {"records": {"shoppers": 10}, "lag": {"shoppers": 0, "items": 1}},
        stand | {"records": {"shoppers": 10}},
    ]
    feed = FakeFeed()

    async def later(seconds: float) -> None:
        assert feed.shown == {}
        reads.put("worker", "demo", stands.pop(0))
        if not stands:
            reads.put(
                "price", "lamp", {"price": 4.5, "list_price": 5.0, "since_ms": NOW_MS, "reason": "trial"}
            )

    monkeypatch.setattr("asyncio.sleep", later)
    reads.values.clear()
    await _Course(crew, feed, FakeView())._through(10)
    assert stands == []
    assert feed.shown == {"lamp": 4.5}


def test_a_look_without_a_status_shows_nothing(crew: Crew, reads: FakeRedis):
    reads.values.clear()
    view = FakeView()
    assert _Course(crew, FakeFeed(), view)._look() is None
    assert view.glances == []


# -- the summary -------------------------------------------------------------------------------------

OF_ANY_FEED = {
    "events": 1200,
    "duplicates": 3,
    "dead_letters": 4,
    "shoppers": 2,
    "shoppers_with_recommendations": 2,
    "recommendations": 1100,
    "similar_items": 1,
    "prices": 40,
    "price_moves": 2,
    "seconds": 2.5,
    "events_per_s": 480.0,
    "freshness_p50_ms": 12.0,
    "freshness_p99_ms": 80.5,
    "model": "river-1",
    "labelled_lists": 300,
    "hit_rate": {"popular": 0.1, "published": 0.31},
}


def test_the_summary_of_a_file(crew: Crew):
    assert summary(crew, FakeFeed(), STATUS, 2.5, 4) == OF_ANY_FEED


@pytest.mark.usefixtures("_short_history")
def test_the_summary_of_the_shop_adds_what_only_the_shop_knows(crew: Crew):
    feed = ShopFeed(NOW_MS, seed=3, forever=False)
    feed.step(feeds.HISTORY_S)
    told = summary(crew, feed, STATUS, 2.5, 0)
    assert told.keys() == {*OF_ANY_FEED, "items_with_500_exposures", "moved_towards_optimum"}
    assert 0.0 < told["hit_rate"]["oracle"] <= 1.0
    assert told["items_with_500_exposures"] == 0
    assert told["moved_towards_optimum"] == 0.0
    json.dumps(told)


def test_the_summary_is_printed_on_standard_output(capsys: pytest.CaptureFixture[str]):
    print_summary(OF_ANY_FEED)
    out, err = capsys.readouterr()
    assert err == ""
    rows = dict(line.strip().split("  ", 1) for line in out.splitlines())
    assert rows["events"].strip() == "1,200"
    assert rows["events per s"].strip() == "480.0"
    assert rows["hit rate"].strip() == "popular 0.100   published 0.310"
