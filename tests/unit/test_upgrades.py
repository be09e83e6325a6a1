"""Versions side by side: what any version has written stays readable, and what is newer does no harm."""

from __future__ import annotations

import re
import struct
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cramjam
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import exchange
from stream.client import decode_list
from stream.config import EngineConfig
from stream.engine import Engine
from stream.errors import LayoutError
from stream.events import types
from stream.events.records import LogRecord
from stream.items import saved as saved_items
from stream.learn import model
from stream.learn.learner import Learner
from stream.runtime import archive
from stream.runtime.commits import Committed, parse_committed
from stream.shoppers import saved as saved_shoppers
from stream.state import bucket
from stream.values import KEY_VERSION, Price
from tests.exchange_writer import encode
from tests.unit.core_helpers import (
    T0,
    Worker,
    event,
    item_counts,
    log,
    pair_bits,
    pair_weights,
    shopper_states,
)
from tests.unit.scenario_kit import known

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "upgrades.md").read_text()

# What version 0.1 wrote of ann, who views lamp and desk, buys two desks and hides chair. These bytes stay as
# they are: who changes a layout makes them readable, and adds what the new one writes.
EXCHANGE_1 = b64decode(
    "U1RSWAEAAAD//////////wMAAAAAAAAAAwAAAAMAAAADAAAAAgAAAAkAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAIAAAAAAAAAAGjl"
    "z4sBAADoa+XPiwEAANBv5c+LAQAAtgMAAAAAAABAHwAAAAAAAEAfAAAAAAAAAAAAAAEAAAACAAAAAAAAAAEAAAABAAAAAQAAAAEA"
    "AAACAAAAAQAAAAEAAAACAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAADASGCbGFtcABkZXNr"
)
# The same with marks of shoppers after the names, and how many these are in what was spare in the header.
EXCHANGE_2 = EXCHANGE_1[:44] + struct.pack("<I", 3) + EXCHANGE_1[48:] + bytes([7, 7, 7])
SHOPPER_BUCKET_1 = b64decode(
    "KLUv/WCRBAUPAMZYWT5QbdMBqDfDpii1gKSi5Y5C2lIDZv10RhdZX/jG8HUtwqSMHDulrY1ke0l2S1rOAZu8gIPCTat4Ovfogd1f"
    "pkUARABIAD4fUiCMwmNcdkA74V9zx8iXfDTY7uetVk0eJw70fnHYW40vjhvGEMrkaqKWzbbDCad0F8hLvi6nnsMXN9+DTeoZFzcY"
    "AhsnL0Oq7fCfX2SXaXxKfkSqb7Wfbb6LIDaS6s9mCFzxcLEmvi0affqAWn9I6KhpL8vFrZ5fgPpsufbodlD9BzewZygDF+qWyjMU"
    "obCJsvowLqfO7katIYADHFGV1KkOlSV9vyLwh8yyyLO7FVFryNU7S8XusgF1Nk8sSSonGRS4BgikKvlJ74gwuZAgG2+1r6SzXrvI"
    "AUoaCyVIUhQ4YdKp4MCAAAISGHBYYGi42FDqpalnQra+6K2ZnyO19kCa2vwepDQ1M+FsRx94LBZgxAwUJDDLRrQQTFMnFTEgYAIi"
    "RmY7fRIZ46YL1JAByAGTq20ZvTGOJEUUb3ayqwnBjsLHaVQw/+Mw1DJLIII1AdsiPycOLMwVNy5aHcOwuf26LtxjOf3BXgzWez4a"
    "M9Dy4jqZpDcYAey0C44kgHjxvd2Vr9gh5faLYMNjpn/uLalYZMOV9w=="
)
# Of bea, who put lamp and desk into the cart and took lamp out, and was shown rug, sofa and rug again: in
# columns that were added since.
SHOPPER_BUCKET_1_WITH_CART = b64decode(
    "KLUv/WB6BmUQAAbaWj1ga9MBMESHCDnlWRxSfT+1hbbRUwlhAMQ6+ojRIXHLSLRT2jeT2zrJLn3DGBy+dOgoALhkK44OHGbbmkwBSABG"
    "AEgAzTfKnh6pjTbBKy0zJCrBIW+Gx0M+F03145erpLakjMQbyzS/3E5vOVqaiLmVlFEwyh1nnPJhGy4Xw5ryzE5v+qXNrC3PwmAEciMX"
    "yu5Q1ei5o/s6R7VdfELcE71fzqeb/qwPhaL3yQthJzYEtIPzlVktaUCONZ6Ddp0yqdj1LK184YD3vR5f3lIk7zBmCJYZJ7/sQUe1gbgN"
    "Fj+pKWvKhG/kRLRvDystJchxBECBAXqZNcfKzBuLsB6q2qC3cDqOI5Dj+CHxcyt/lIrnXeeIqGqT+MkrbRX8cl7Jd0F+loYDAhZMDEQJ"
    "LnzQfBhQYEBgLCg0sAA5KLh4IA+TTYAIggI/cdYWjT602vGuZ6J37KEKqapEGwhXmvJNxU/5pI7IcYcXwkhxAkMgoIIRsqkOrkgPI4yx"
    "ixZv/JuyVQTrVimGRfEk6z6UqD0D0AEnV1sZs7FvIcHA4ssycQcwJ6kRhjsBdWQpwlkC4dVTCw+fch60JwN4Ytignasa4xDDbCZzRFWJ"
    "Y8ZCCe8F+Axm+JjWQuoCDv9g/2Quzl5YV9xgiwpgBqyrOhTXQyB+D814+zkrZ9wzQOGWcrHhPaMvvxemut6GK0MB"
)
ITEM_BUCKET_1 = b64decode(
    "KLUv/WB+CPUQAIYbXjxgi9IBEgSJsMNfNe+mDXzwQ5Rp2/NFF5gv03SQTWSSficpESO5R5LdJI+oDFzYKi1gGQwAeMAGY9/RZApM"
    "AEsATACQved7IYuaS297vpujsDS6YtkBQDW6xe0w4ZMOx1LtNIwuEj8JpJkCWQ2jndhG90IovhdpZnhoZOfOJaMqNFx3mp2Yt2b5"
    "ZAjseUQICgo8L9mbFFOqi6NzwibQN4zaI2/2OLq+rUdWbVZyklrrd7aovd0T0fVxciv5wYW1vm2s2AJl/UZXxC9ky0TIAPXQEc7H"
    "0seK4gcVFN+RXcvFRJYWeAIQFN8rZzOVWQEVlZccHcygqgp92yinr9wQAX173FG7i5OzzSySnJSIQt8umaQL+q7WYRoEYHDg+Sm6"
    "Flc6BgcTAqpa0SGwMcAhY1GiqhwLJWNRIqFh1BfJYIvsbdijtq/yI6qVd8s0OYNEspSLsSFxoYvELZPbSoMuErjuPiDo8Hx0bMLY"
    "kLh4/jFnn2hbrcOMhAhHILACEZziBrHByRPkuMCQ4O6COsHqwhOYXDC5VLgZaB+kURs47vMzbsCjM1QrA2toCzYPDmAymAAW2E1S"
    "GVSAvoukCkwIcAfqMcjB9YzaWgiz92NkACyHDgLHouacAb1hatncrZz2N079A4hGG9AZUOPC5I/BJiYe4syZc8Dj6JiV81BKZTYG"
    "Pq5ZGzlRhhfHmQ86OID4ILT7htuApJhgGOoe"
)
SNAPSHOT_1 = (
    b'{"layout":1,"name":"logistic","features":["log_share","log_popular"],"weights":[0.5,-0.25],'
    b'"means":[0.0,1.0],"deviations":[1.0,2.0],"bias":0.125,"active":true,"examples":10,"lists":2,'
    b'"quality":{"model":{"hr@20":0.5,"mrr@20":0.25}}}'
)


def snapshot_2() -> bytes:
    """A model of today's layout."""
    return model.pack_snapshot(Learner().snapshot())


LIST_1 = (
    b'{"version":"0000000000001-0000000000000004","generated_at":1700000000000,"model":"share",'
    b'"items":["desk"],"scores":[0.53333],"reasons":["viewed"]}'
)
PRICE_1 = (
    b'{"version":"0000000000001-0000000000000004","generated_at":1700000000000,"price":9.5,"proposed":9.0,'
    b'"mode":"auto","reason":"demand","since_ms":1700000000000,"list_price":9.9,"currency":"EUR"}'
)
COMMIT_1 = "1760000000000"

ANN = {
    "events": 4,
    "recent": ["desk", "lamp"],
    "window": ["desk", "lamp"],
    "basket": ["desk"],
    "bought": ["desk"],
    "hidden": ["chair"],
}
COUNTS = {"lamp": (1, 0, 0, 0, 0), "desk": (1, 0, 1, 2, 0)}


def applied(*values: bytes) -> Worker:
    """A worker whose item stage has read these messages."""
    worker = Worker()
    worker.engine.items(0, [LogRecord(k, T0, None, value) for k, value in enumerate(values)], T0)
    return worker


def restored(shoppers: bytes, items: bytes) -> Worker:
    worker = Worker()
    saved_shoppers.load(worker.engine.shopper_units[0], bucket.decode(shoppers))
    saved_items.load(worker.engine.item_units[0], bucket.decode(items))
    return worker


def changed(saved: bytes, **fields: Any) -> bytes:
    """A saved bucket with other fields, or more of them."""
    told = msgspec.msgpack.decode(bytes(cramjam.zstd.decompress(saved)))
    return bytes(cramjam.zstd.compress(msgspec.msgpack.encode(told | fields), 1))


def commit(metadata: str | None) -> Any:
    return SimpleNamespace(offset=7, metadata=metadata)


# -- what was written stays readable -------------------------------------------------------------------


def test_an_exchange_message_of_layout_1():
    message = exchange.decode(EXCHANGE_1)
    assert (message.source, message.since, message.upto) == (0, -1, 3)
    assert message.names.split(b"\0") == [b"lamp", b"desk"]
    worker = applied(EXCHANGE_1)
    assert item_counts(worker.engine) == COUNTS
    assert pair_weights(worker.engine) == pytest.approx(
        {("viewed", "lamp", "desk"): 1.0, ("led_to", "lamp", "desk"): 0.5, ("viewed", "desk", "lamp"): 0.6},
        rel=1e-5,
    )


def test_an_exchange_message_with_marks_of_shoppers():
    assert exchange.decode(EXCHANGE_1).mark.tolist() == []
    assert exchange.decode(EXCHANGE_2).mark.tolist() == [7, 7, 7]
    before, since = applied(EXCHANGE_1), applied(EXCHANGE_2)
    assert item_counts(since.engine) == COUNTS
    assert pair_weights(since.engine) == pair_weights(before.engine)
    assert set(pair_bits(before.engine).values()) == {0}, "who it was is not known"
    assert set(pair_bits(since.engine).values()) == {1 << 7}


def test_buckets_of_layout_1():
    worker = restored(SHOPPER_BUCKET_1, ITEM_BUCKET_1)
    assert shopper_states(worker.engine) == {"ann": ANN}
    # Lamp lies in another bucket.
    assert item_counts(worker.engine) == {"desk": COUNTS["desk"]}
    assert bucket.decode(SHOPPER_BUCKET_1).ends == {0: 3}
    assert bucket.decode(ITEM_BUCKET_1).ends == {0: 3}


def test_carts_and_what_was_shown_which_older_buckets_lack():
    (ann,) = known(restored(SHOPPER_BUCKET_1, ITEM_BUCKET_1)).values()
    assert (ann.cart, ann.shown) == ([], {})
    (bea,) = known(restored(SHOPPER_BUCKET_1_WITH_CART, ITEM_BUCKET_1)).values()
    assert (bea.cart, bea.shown) == (["desk"], {"rug": 2, "sofa": 1})


def test_what_a_visitor_left_by_an_older_worker_has_neither():
    told = {"type": "inherit", "event_id": "e", "ts": 1, "user_id": "anna", "session_id": "anon", "events": 1}
    older = told | {"viewed": ["lamp"], "in_session": 1, "seen": [], "bought": [], "hidden": []}
    found = msgspec.convert(older, types.Inherit)
    assert (found.cart, found.shown) == ([], [])


def test_a_model_snapshot_of_layout_1_is_left_unused_until_the_learner_is_upgraded():
    with pytest.raises(LayoutError, match="layout 1, older than 2: left unused until the learner"):
        model.unpack_snapshot(SNAPSHOT_1)


def test_published_values_of_key_version_1():
    assert [(i.id, i.score, i.reason) for i in decode_list(LIST_1)] == [("desk", 0.53333, "viewed")]
    price = msgspec.json.decode(PRICE_1, type=Price)
    assert (price.price, price.proposed, price.currency) == (9.5, 9.0, "EUR")


def test_metadata_of_a_commit():
    assert parse_committed(commit(COMMIT_1)) == Committed(7, 1_760_000_000_000)
    for by_hand in ("", None):
        assert parse_committed(commit(by_hand)) == Committed(7, 0)


# -- additions are left alone --------------------------------------------------------------------------


@given(st.sampled_from([EXCHANGE_1, EXCHANGE_2]), st.binary(max_size=50))
def test_what_is_added_to_an_exchange_message_changes_nothing(value: bytes, more: bytes):
    mine: Any
    theirs: Any
    for mine, theirs in zip(exchange.decode(value), exchange.decode(value + more), strict=True):
        if isinstance(mine, tuple):
            assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
        else:
            assert np.array_equal(mine, theirs)


def test_codes_that_are_not_known_yet_count_nothing():
    one = exchange.decode(EXCHANGE_1)
    touches, pairs = one.touches, one.pairs
    newer = encode(
        one._replace(
            touches=touches._replace(code=np.full_like(touches.code, 200)),
            pairs=pairs._replace(code=np.full_like(pairs.code, 3 << 6 | 1)),
        )
    )
    worker = applied(newer)
    assert item_counts(worker.engine) == {}
    assert pair_weights(worker.engine) == {}
    rows = worker.engine.table.rows
    assert not rows["popular"].any()
    assert not rows["trending"].any()


def test_what_is_added_to_a_bucket_changes_nothing():
    values = []
    for saved in (SHOPPER_BUCKET_1, ITEM_BUCKET_1):
        columns = bucket.decode(saved).columns
        more = {"shoppers.mood": b"\1", "items.mood": b"\1", "more.mood": b"\1\2"}
        values.append(changed(saved, columns=columns | more, mood="good"))
    worker = restored(*values)
    assert shopper_states(worker.engine) == {"ann": ANN}
    assert item_counts(worker.engine) == {"desk": COUNTS["desk"]}


def test_a_column_that_an_older_bucket_lacks_is_zero():
    columns = bucket.decode(ITEM_BUCKET_1).columns
    older = {name: column for name, column in columns.items() if name != "items.units_sold"}
    worker = restored(SHOPPER_BUCKET_1, changed(ITEM_BUCKET_1, columns=older))
    assert item_counts(worker.engine) == {"desk": (1, 0, 1, 0, 0)}


def test_what_is_added_to_other_messages_changes_nothing():
    def added(value: bytes) -> bytes:
        return value[:-1] + b',"mood":"good"}'

    assert model.unpack_snapshot(added(snapshot_2())) == model.unpack_snapshot(snapshot_2())
    assert decode_list(added(LIST_1)) == decode_list(LIST_1)
    assert msgspec.json.decode(added(PRICE_1), type=Price) == msgspec.json.decode(PRICE_1, type=Price)
    assert parse_committed(commit(COMMIT_1 + " and more")) == Committed(7, int(COMMIT_1))
    one, other = Worker(), Worker(item_partitions=2)
    views = log([event("view", f"u{k % 3}", f"i{k % 5}", T0 + k, price=9.0) for k in range(60)])
    one.run(views, [30])
    told = one.engine.tick(T0 + 10_000).messages
    assert {(message.key or b"").partition(b":")[0] for message in told} == {b"popular", b"demand"}
    for message in told:
        assert other.engine.control(message.topic, message.key, added(message.value)) is None
    assert other.engine.adopt(b"lamp", added(LIST_1), None) is None


# -- a newer version is refused in one sentence --------------------------------------------------------


@given(st.integers(exchange.LAYOUT + 1, 2**16 - 1), st.binary(max_size=80))
def test_a_newer_exchange_message_whatever_it_looks_like(layout: int, rest: bytes):
    with pytest.raises(LayoutError, match=rf"layout {layout}, newer than 1: upgrade this worker first$"):
        exchange.decode(b"STRX" + struct.pack("<H", layout) + rest)


def test_a_newer_exchange_message_is_neither_counted_nor_put_among_the_dead_letters():
    newer = b"STRX" + struct.pack("<H", exchange.LAYOUT + 1)
    with pytest.raises(LayoutError, match="newer"):
        applied(newer)


def test_a_newer_bucket_whatever_it_looks_like():
    newer = cramjam.zstd.compress(msgspec.msgpack.encode({"layout": 2, "rows": "elsewhere"}), 1)
    with pytest.raises(LayoutError, match=r"layout 2, newer than 1: upgrade this worker first$"):
        bucket.decode(bytes(newer))


def test_a_newer_model_snapshot_leaves_the_model_in_force():
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    for newer in (b'{"layout":3}', snapshot_2().replace(b'"layout":2', b'"layout":3')):
        refused = engine.control("models", b"ranking", newer) or ""
        assert refused.endswith("layout 3, newer than 2: left unused until this worker is upgraded")
        assert engine.model is None


@pytest.mark.parametrize("metadata", ["v2", "v2 1760000000000", "-1", "1760000000000;more", "²"])
def test_metadata_that_are_not_of_this_version_are_not_taken_for_none(metadata: str):
    with pytest.raises(LayoutError, match="is not of this version: upgrade this worker first"):
        parse_committed(commit(metadata))


def test_demand_of_another_version_stops_no_other():
    engine = Engine(EngineConfig(max_items=64, max_shoppers=64))
    sums = '"sums":[3.0,1.0,0.0,1.0,0.0,-4.0,0.0,0.0,0.0,0.0'
    ours = b'{"version":"0000000000001-0000000000000004",%s]}' % sums.encode()
    theirs = b'{"version":"0000000000001-0000000000000004",%s,1.0]}' % sums.encode()
    before = engine.prices.prior
    assert "run one version of stream" in (engine.control("aggregates", b"demand:0", theirs) or "")
    assert engine.prices.prior == before
    assert engine.control("aggregates", b"demand:1", ours) is None
    assert engine.prices.prior != before


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("saved bucket", bucket.LAYOUT),
        ("exchange message", exchange.LAYOUT),
        ("model snapshot", model.LAYOUT),
        ("backup", archive.LAYOUT),
        ("published value", f"`{KEY_VERSION}`, in the key"),
    ],
)
def test_the_page_names_the_layouts_of_today(name: str, layout: Any):
    assert re.search(rf"^\| {name} \|[^|]*\| {layout} \|", PAGE, re.MULTILINE)
