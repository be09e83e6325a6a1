"""The benchmark's own arithmetic: its workload, its reference job, its verdict."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from benchmarks import partitions, scale, slow_worker, throughput
from benchmarks.contender import MODULES, Turn
from benchmarks.page import markdown
from benchmarks.peers.job import TOP, WINDOW, PairCounts
from benchmarks.report import REFERENCE, figures
from benchmarks.stream_worker import WorkerTurn
from benchmarks.topics import partition_of
from benchmarks.verify import expected
from benchmarks.workload import SPAN_MS, encode, generate
from stream.config import EngineConfig
from stream.events.records import LogRecord
from stream.events.types import AnyEvent, Purchase

END_MS = 1_700_000_000_000


def turns(**factors: float) -> list[dict[str, Turn]]:
    """One turn at the reference rates, each times its factor."""
    return [
        {
            name: Turn(name, 1000, 1000 / (rate * factors.get(name, 1.0)), 1000)
            for name, rate in REFERENCE.items()
        }
    ]


def own(events_per_s: float = 20_000, lists: int = 1000, in_redis: int = 50) -> WorkerTurn:
    return WorkerTurn(1000, 1000 / events_per_s, 0.01, lists, 50, in_redis, 500, 0, 0.03)


def test_the_same_seed_gives_the_same_bytes():
    first, again, other = (list(encode(generate(500, END_MS, seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_event_is_a_valid_one_of_its_shopper():
    for _, key, value, ts_ms in encode(generate(2_000, END_MS)):
        event = msgspec.json.decode(value, type=AnyEvent)
        assert (event.user_id.encode(), event.ts) == (key, ts_ms)
        assert isinstance(event, Purchase) == (event.order_id is not None)


def test_the_log_is_in_time_order_inside_its_span_and_mostly_views():
    log = generate(20_000, END_MS)
    assert len(log) == 20_000
    assert (np.diff(log.ts_ms) >= 0).all()
    assert log.ts_ms[0] >= END_MS - SPAN_MS
    assert log.ts_ms[-1] < END_MS
    assert 0.85 < (log.kind == 0).mean() < 0.95


def test_popularity_is_skewed_and_an_event_has_about_170_bytes():
    log = generate(20_000, END_MS)
    seen = np.sort(np.bincount(log.item))[::-1]
    assert seen[:200].sum() > 0.08 * len(log), "a hundredth of the items, eight times their share"
    assert 160 < np.mean([len(value) for _, _, value, _ in encode(log)]) < 180


def test_the_reference_job_equals_the_plain_program():
    events = list(encode(generate(3_000, END_MS, 1, 60, 300)))
    wanted = expected(events)
    assert max(len(items) for _, items, _ in wanted) == TOP
    job = PairCounts()
    for (_, _, value, _), (_, items, scores) in zip(events, wanted, strict=True):
        event = msgspec.json.decode(value)
        answer = msgspec.json.decode(job.top(event["user_id"], event["item_id"]))
        assert answer == {"items": items, "scores": scores}


def test_a_pair_counts_only_within_the_window():
    job = PairCounts()
    for number in range(WINDOW + 1):
        job.top("u", f"i{number}")
    answer = msgspec.json.decode(job.top("u", "last"))
    # All tied at one: the greater id first, as text; i0 has left the window.
    assert answer["items"] == sorted((f"i{number}" for number in range(1, WINDOW + 1)), reverse=True)
    assert answer["scores"] == [1] * WINDOW


def test_keys_go_where_kafka_clients_send_them():
    # Known murmur2 hashes of the Java client's own tests: "21" -973932308, "foobar" -790332482.
    assert partition_of(b"21", 8) == (-973932308 & 0x7FFFFFFF) % 8
    assert partition_of(b"foobar", 8) == (-790332482 & 0x7FFFFFFF) % 8


def test_ratios_are_to_the_best_peer_turn_and_our_median():
    report = figures(
        turns(quix=0.9) + turns(), [own(10_000), own(20_000), own(60_000)], own(80_000), 70_000.0
    )
    assert report["void"] == []
    assert report["events_per_s"]["quix"] == pytest.approx(REFERENCE["quix"])
    assert report["events_per_s"]["stream"] == pytest.approx(20_000)
    assert report["ratio_to_quix"] == pytest.approx(20_000 / REFERENCE["quix"])
    assert {"ratio_to_stock_faust", "ratio_to_bytewax", "ratio_to_bare_aiokafka"} <= report.keys()


@pytest.mark.parametrize("peer", [name for name in MODULES if name != "bare_aiokafka"])
def test_a_handicapped_peer_voids_the_run(peer: str):
    assert figures(turns(**{peer: 0.81}), [own()], own(80_000), 70_000.0)["void"] == []
    (reason,) = figures(turns(**{peer: 0.79}), [own()], own(80_000), 70_000.0)["void"]
    assert reason.startswith(peer)


def test_lists_that_were_not_published_void_the_run():
    assert "the topic" in figures(turns(), [own(lists=899)], own(80_000), 70_000.0)["void"][0]
    assert "Redis" in figures(turns(), [own(in_redis=49)], own(80_000), 70_000.0)["void"][0]
    short = turns()
    short[0]["quix"] = Turn("quix", 1000, 0.1, 999)
    assert figures(short, [own()], own(80_000), 70_000.0)["void"] == [
        "quix published 999 lists for 1000 events"
    ]


def test_the_page_holds_every_contender_and_the_verdict():
    report = {
        **figures(turns(quix=0.5), [own()], own(80_000), 70_000.0),
        **dict.fromkeys(("events", "shoppers", "items", "verified_events"), 1000),
        **dict.fromkeys(("partitions", "turns", "seed", "window", "top", "cpus"), 2),
        "load_average": {"start": 0.5, "end": 1.5},
        "versions": {"python": "3.11"},
    }
    page = markdown(report)
    assert "**This run is void:** quix" in page
    assert page.count("\n| ") == 1 + len(REFERENCE) + 1
    assert "1.00 lists an event" in page


def test_the_command_line_refuses_nonsense(capsys: pytest.CaptureFixture[str]):
    for wrong in (["--events", "0"], ["--turns", "none"], ["--only", "spark"]):
        with pytest.raises(SystemExit, match="2"):
            throughput.arguments(wrong)
    assert "--only" in capsys.readouterr().err


def spent(events: tuple[int, ...], shoppers_s: float, items_s: float) -> scale.Spent:
    return scale.Spent(events, shoppers_s, items_s, sum(events) / 500, sum(events) // 100, sum(events) * 200)


def test_workers_are_judged_by_what_they_did_since_they_were_asked():
    before, after = spent((1_000, 0), 1.5, 0.5), spent((1_900, 1_100), 3.6, 0.6)
    told = scale.figures(before, after, 2_000, 2.0, 0.001)
    assert told == pytest.approx(
        {
            "events_per_s": 1_000.0,
            "skew": 1.1,
            "messages_per_event": 0.01,
            "bytes_per_event": 200.0,
            "events_per_batch": 500.0,
            "item_stage_us_per_event": 50.0,
            # Of 2.1 s in the shopper stage 2 were waited for nothing.
            "item_stage_share": 0.5,
        }
    )
    # One that has joined since was counting from nothing.
    joined = spent((1_900, 1_100, 500), 3.6, 0.6)
    assert scale.figures(before, joined, 2_500, 2.0, 0.001)["skew"] == pytest.approx(1_100 * 3 / 2_500)


@pytest.mark.parametrize(("rate", "code"), [(3_300.0, 0), (3_100.0, 1)])
def test_four_workers_that_hold_one_another_up_are_found(rate: float, code: int):
    report = scale.report({1: {"events_per_s": 1_000.0}, 4: {"events_per_s": rate}})
    assert report["efficiency_4"] == pytest.approx(rate / 4_000)
    assert scale.verdict(report) == code


def test_a_slow_worker_waits_for_every_event_and_does_its_work(monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []
    monkeypatch.setattr("benchmarks.slow_worker.time.sleep", waited.append)
    engine = slow_worker.SlowEngine(EngineConfig(max_items=64, max_shoppers=64), 0.002)
    engine.open_shoppers(0, 1)
    log = [
        LogRecord(k, END_MS, key, value) for k, (_, key, value, _) in enumerate(encode(generate(50, END_MS)))
    ]
    engine.shoppers(0, log, END_MS)
    assert waited == pytest.approx([0.1])
    assert engine.metrics.events == 50


def test_every_batch_has_one_message_for_every_partition():
    log = [(key, value) for _, key, value, _ in encode(generate(2 * partitions.BATCH, END_MS))]
    told = partitions.exchange(log, 4)
    assert told["messages_per_event"] == pytest.approx(4 / partitions.BATCH)
    assert told["popularity_bytes"] > 1_000
