"""The simulated shop as the command line uses it: events, prices, catalogue."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import get_args

import msgspec
import pytest

from stream.errors import InputError, SettingsError
from stream.events.types import AnyEvent, Cart, Impression, Purchase, Return, ShopEvent, View
from stream.simulate import Shop, ShopConfig

DAY_MS = 24 * 3_600_000
START_MS = 1_700_000_000_000
CONFIG = ShopConfig(seed=5, start_ms=START_MS)


def open_shop(config=CONFIG):
    return Shop(config)


@pytest.fixture(scope="module")
def history():
    """Three weeks of one shop: (shop, its events)."""
    shop = open_shop()
    return shop, shop.advance(START_MS + 21 * DAY_MS)


def some_days(config, days=2):
    return msgspec.json.encode(open_shop(config).advance(START_MS + days * DAY_MS))


def test_the_same_configuration_gives_the_same_bytes():
    assert some_days(CONFIG) == some_days(CONFIG)
    assert some_days(CONFIG) != some_days(dataclasses.replace(CONFIG, seed=6))


def test_how_the_time_is_cut_changes_nothing():
    whole = open_shop().advance(START_MS + DAY_MS)
    shop, pieces, n = open_shop(), [], 0
    while shop.clock_ms < START_MS + DAY_MS:
        n += 1
        before_ms = shop.clock_ms
        batch = shop.advance(min(shop.clock_ms + n * 50_000, START_MS + DAY_MS), max_events=n % 7)
        assert len(batch) <= n % 7
        assert all(before_ms <= event.ts <= shop.clock_ms for event in batch)
        assert before_ms <= shop.clock_ms
        pieces += batch
        shop.oracle("shopper-0001")
        if n % 7 == 0:
            assert batch == []
    assert pieces == whole
    assert shop.advance(START_MS) == []


def test_no_events_wanted_leaves_the_clock_where_it_is():
    shop = open_shop()
    shop.advance(START_MS + DAY_MS)
    assert shop.advance(START_MS + 2 * DAY_MS, max_events=0) == []
    assert shop.clock_ms == START_MS + DAY_MS


def test_set_prices_replay_to_the_same_bytes():
    def run():
        shop = open_shop()
        events = shop.advance(START_MS + DAY_MS // 2)
        for item in shop.catalogue()[:200]:
            shop.set_price(item.item_id, item.list_price * 0.8)
        return msgspec.json.encode(events + shop.advance(START_MS + DAY_MS))

    assert run() == run()


def test_every_event_survives_the_wire(history):
    decoder = msgspec.json.Decoder(AnyEvent)
    _, events = history
    names = {type(event).__name__ for event in events}
    assert names == {kind.__name__ for kind in get_args(ShopEvent)}
    for event in events[::5] + [event for event in events if isinstance(event, Return | Impression)]:
        assert decoder.decode(msgspec.json.encode(event)) == event


def test_time_moves_forward_and_ids_are_unique(history):
    shop, events = history
    times = [event.ts for event in events]
    assert times == sorted(times)
    assert times[0] >= START_MS
    assert times[-1] <= shop.clock_ms == START_MS + 21 * DAY_MS
    assert len({event.event_id for event in events}) == len(events)


def test_sessions_interleave_and_stay_apart(history):
    _, events = history
    views, last_seen = defaultdict(list), {}
    for n, event in enumerate(events):
        if isinstance(event, View):
            views[event.session_id].append(event)
            last_seen[event.session_id] = n
    assert all(len({event.user_id for event in session}) == 1 for session in views.values())
    assert all(len({event.item_id for event in session}) == len(session) for session in views.values())
    lengths = Counter(len(session) for session in views.values())
    assert max(lengths) == 12
    # Sessions cut by the end of the history, and those that ran out of items, are the shorter ones.
    assert sum(n for length, n in lengths.items() if length < 3) < 0.02 * len(views)
    assert sum(a.user_id != b.user_id for a, b in pairwise(events)) > 0.4 * len(events)


def test_nights_are_quieter_than_evenings(history):
    _, events = history
    by_hour = Counter(event.ts // 3_600_000 % 24 for event in events)
    assert by_hour[19] > 4 * by_hour[3]


def test_what_is_bought_costs_what_was_shown(history):
    _, events = history
    shown, orders = {}, defaultdict(set)
    for event in events:
        if isinstance(event, View):
            shown[event.session_id, event.item_id] = event.price
        elif isinstance(event, Purchase):
            assert event.price == shown[event.session_id, event.item_id]
            orders[event.order_id].add(event.item_id)
        elif isinstance(event, Return):
            assert event.item_id in orders[event.order_id]
    assert sum(len(items) > 1 for items in orders.values()) > 0.1 * len(orders)


def test_prices_are_nobodys_own():
    shop = open_shop()
    # The shop's own promotions change once a day, 24 hours after its start and so never here.
    last_ms = START_MS + DAY_MS - 1
    price = {item.item_id: shop.price(item.item_id) for item in shop.catalogue()}
    for event in shop.advance(last_ms):
        if isinstance(event, View):
            assert event.price == price[event.item_id]
    shop.set_price("item-000", 12.346)
    assert shop.price("item-000") == 12.35
    assert shop.price("item-001") == price["item-001"]


def test_promotions_vary_prices_until_one_is_set(history):
    _, events = history
    shop = open_shop()
    listed = {item.item_id: item.list_price for item in shop.catalogue()}
    tagged = [event for event in events if event.price and event.item_id in listed]
    ratios = [event.price / listed[event.item_id] for event in tagged]
    off = [ratio for ratio in ratios if abs(ratio - 1) > 0.01]
    assert 0.1 < len(off) / len(ratios) < 0.35
    assert 0.89 < min(off) < max(off) < 1.11

    for item_id, price in listed.items():
        shop.set_price(item_id, price * 1.07)
    for event in shop.advance(START_MS + 6 * DAY_MS):
        if isinstance(event, View) and event.item_id in listed:
            assert event.price == pytest.approx(listed[event.item_id] * 1.07, abs=0.006)


def test_realised_conversion_is_the_true_one(history):
    shop, events = history
    bought: Counter[str] = Counter()
    expected: defaultdict[str, float] = defaultdict(float)
    variance: defaultdict[str, float] = defaultdict(float)
    for event in events:
        if isinstance(event, View):
            chance = shop.true_conversion(event.item_id, event.price)
            expected[event.item_id] += chance
            variance[event.item_id] += chance * (1 - chance)
        elif isinstance(event, Purchase):
            bought[event.item_id] += 1
    # Baskets correlate purchases, which widens the spread of the sum a little.
    assert abs(sum(bought.values()) - sum(expected.values())) < 4 * math.sqrt(1.5 * sum(variance.values()))
    often = [item for item in expected if expected[item] > 10]
    z = [(bought[item] - expected[item]) / math.sqrt(variance[item]) for item in often]
    assert len(z) > 80
    assert max(map(abs, z)) < 4.5
    assert sum(value * value for value in z) / len(z) == pytest.approx(1.0, abs=0.35)


def test_dearer_items_sell_less():
    def sold(factor):
        shop = open_shop()
        for item in shop.catalogue():
            shop.set_price(item.item_id, item.list_price * factor)
        return sum(isinstance(event, Purchase) for event in shop.advance(START_MS + 7 * DAY_MS))

    # A logit slope of 3: a price 1.5 times as high sells about a third.
    assert 2.0 < sold(0.8) / sold(1.2) < 4.5


def test_catalogue_grows_and_hides_the_optimum(history):
    shop, _ = history
    new_shop = open_shop()
    first, later = new_shop.catalogue(), shop.catalogue(since_ms=START_MS)
    assert len(first) < len(first) + len(later) == len(shop.catalogue()) <= CONFIG.n_items
    assert not {item.item_id for item in first} & {item.item_id for item in later}
    for item in first:
        assert item.cost < item.floor < item.list_price < item.ceiling
        assert item.title
        assert item.category
        off = abs(math.log(shop.optimum_price(item.item_id) / item.list_price))
        assert 0.07 < off < 0.21
        assert msgspec.json.decode(msgspec.json.encode(item), type=type(item)) == item


def test_only_items_on_sale_are_viewed(history):
    shop, events = history
    launched = shop.catalogue(since_ms=START_MS)
    assert {event.item_id for event in events} & {item.item_id for item in launched}
    for day in range(21):
        later = {item.item_id for item in shop.catalogue(since_ms=START_MS + day * DAY_MS)}
        before = {event.item_id for event in events if event.ts < START_MS + day * DAY_MS}
        assert not before & later


def test_price_progress_counts_moves_towards_the_optimum():
    shop = open_shop()
    shop.advance(START_MS + 5 * DAY_MS)
    progress = shop.price_progress(exposures_min=50)
    assert progress.items > 50
    assert progress.towards == 0
    for n, item in enumerate(shop.catalogue()):
        optimum = shop.optimum_price(item.item_id)
        step = (optimum / item.list_price) ** 0.3
        shop.set_price(item.item_id, item.list_price * (step if n % 2 else 1 / step))
    progress = shop.price_progress(exposures_min=50)
    assert 0.3 * progress.items < progress.towards < 0.7 * progress.items


def test_a_shown_list_becomes_an_impression_and_its_id_follows_the_view():
    shop = open_shop()
    shop.advance(START_MS + DAY_MS)
    items = [item.item_id for item in shop.catalogue()][:120]
    for n in range(CONFIG.n_shoppers):
        shop.show(f"shopper-{n:04d}", f"r{n}", items)
    events = shop.advance(shop.clock_ms + DAY_MS)
    plain = open_shop()
    plain.advance(START_MS + DAY_MS)
    shown = [event for event in events if isinstance(event, Impression) and event.request_id]
    clicked = [event for event in events if isinstance(event, View) and event.request_id]
    assert 0 < len(clicked) < len(shown)
    assert len({event.user_id for event in shown}) == len(shown)
    assert all(event.item_id in items for event in clicked)
    assert [place.position for place in shown[0].items] == list(range(120))
    # What was clicked and then put into the cart and bought says so.
    named = {(event.session_id, event.item_id, event.request_id) for event in clicked}
    led_to = [event for event in events if isinstance(event, Cart | Purchase) and event.request_id]
    assert {type(event) for event in led_to} == {Cart, Purchase}
    assert {(event.session_id, event.item_id, event.request_id) for event in led_to} <= named
    # What is shown does not sway anybody.
    seen = [(event.user_id, event.item_id) for event in events if isinstance(event, View)]
    plain_events = plain.advance(plain.clock_ms + DAY_MS)
    assert seen == [(event.user_id, event.item_id) for event in plain_events if isinstance(event, View)]


@pytest.mark.parametrize("price", [0.0, 0.001, -1.0, math.nan, math.inf])
def test_impossible_prices_are_refused(price):
    shop = open_shop()
    with pytest.raises(InputError, match=r"item-000 must be at least 0\.01"):
        shop.set_price("item-000", price)


def test_unknown_names_are_refused():
    shop = open_shop()
    with pytest.raises(InputError, match="no item 'nothing'"):
        shop.price("nothing")
    with pytest.raises(InputError, match="no shopper 'nobody'"):
        shop.oracle("nobody")
    with pytest.raises(InputError, match="no shopper 'nobody'"):
        shop.show("nobody", "r", ["item-000"])


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"n_items": 100},
        {"n_categories": 2},
        {"n_shoppers": 0},
        {"sessions_per_day": 0.0},
        {"sessions_per_day": math.nan},
        {"currency": "EURO"},
    ],
)
def test_impossible_shops_are_refused(change):
    with pytest.raises(SettingsError):
        dataclasses.replace(CONFIG, **change)


def test_a_tiny_and_a_many_sided_shop_work():
    tiny = dataclasses.replace(CONFIG, n_items=36, n_shoppers=1, n_categories=3, sessions_per_day=50)
    assert len(open_shop(tiny).advance(START_MS + 5 * DAY_MS)) > 20
    wide = open_shop(dataclasses.replace(CONFIG, n_items=720, n_categories=60, sessions_per_day=50))
    assert len({item.category for item in wide.catalogue()}) == 60
    assert wide.advance(START_MS + DAY_MS)
