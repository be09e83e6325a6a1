"""Each real data set reads to its end with the counts that it is known to have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from stream.events.readers import Bad, read
from stream.events.types import Item

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


class Known(NamedTuple):
    format: str
    file: str
    types: dict[str, int]
    bad: dict[str, int]
    shoppers: int
    items: int


SETS = [
    Known(
        "rees46",
        "rees46_oct2019_sample/2019-Oct.csv.gz",
        {"View": 17_055, "Cart": 165, "Purchase": 214},
        {"malformed-row": 1},
        4_504,
        6_493,
    ),
    Known(
        "online-retail",
        "online_retail_uci/online_retail_concat.csv.gz",
        {"Purchase": 527_826, "Return": 8_704},
        {"not-a-product": 2_912, "stock-adjustment": 2_467},
        5_773,
        3_818,
    ),
    Known("sessions", "diginetica_sessions/sessions.txt.gz", {"View": 906_140}, {}, 186_670, 43_097),
    Known("movielens", "movielens_100k/ml-100k.inter.gz", {"Rating": 100_000}, {}, 943, 1_682),
    Known(
        "yoochoose",
        "yoochoose_100k/yoochoose-clicks-100k_train_full.txt.gz",
        {"View": 70_278},
        {},
        17_794,
        2_933,
    ),
    Known(
        "yoochoose", "yoochoose_100k/yoochoose-clicks-100k_test.txt.gz", {"View": 13_568}, {}, 3_416, 1_771
    ),
]


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize("known", SETS, ids=lambda known: Path(known.file).name)
def test_known_counts(known):
    events: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    ids, shoppers, items = set(), set(), set()
    last_ms = 0
    for entry in read(DATA / known.file, known.format):
        if isinstance(entry, Bad):
            bad[entry.reason] += 1
        elif not isinstance(entry, Item):
            events[type(entry).__name__] += 1
            ids.add(entry.event_id)
            shoppers.add(entry.user_id)
            items.add(entry.item_id)
            assert isinstance(entry.ts, int)
            assert entry.ts >= last_ms
            last_ms = entry.ts
    assert events == known.types
    assert bad == known.bad
    assert len(ids) == events.total()
    assert (len(shoppers), len(items)) == (known.shoppers, known.items)
