from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SettingsError
from stream.items.facts import new_facts
from stream.recommend.features import FEATURES, HELD, N_CONTEXTS, N_FEATURES, new_description
from stream.recommend.pool import FILL, LIMIT, OWNED, SHARE, ban, clear, new_pool, put
from stream.recommend.rank import (
    KEPT,
    chances,
    new_ranking,
    no_scorer,
    order_by_model,
    order_plainly,
    probability,
)
from stream.recommend.sources import SOURCES, used
from stream.state.interner import Interner

ranking = new_ranking()
pool = new_pool()
facts = new_facts(4 * LIMIT)
interner = Interner(4 * LIMIT)
interner.intern("\0".join(f"item-{k}" for k in range(4 * LIMIT)).encode(), 4 * LIMIT)
ALL = used()
HASHES = interner.names.entries["hash"]

# As they come: shares, sums of a few of them, what has nearly decayed, and the fallback's tiny scores.
scores = st.one_of(
    st.floats(1e-6, 8.0), st.floats(1e-30, 1e-7), st.sampled_from([0.25, 0.5, 1.0, 1e-6, 1e-6 / 3])
)


def filled(given_scores: list[float]) -> int:
    clear(pool, facts)
    for k, score in enumerate(given_scores):
        pool.score[SHARE, put(pool, facts, k, 0)] = score
    return len(given_scores)


@given(st.lists(scores, max_size=LIMIT))
def test_the_plain_order_is_by_share_and_ties_go_by_the_ids_hash(given_scores):
    n = filled(given_scores)
    order_plainly(pool, ALL, interner.names, ranking, KEPT)
    kept = np.array(given_scores, np.float32)
    expected = sorted((c for c in range(n) if kept[c] > 0), key=lambda c: (-kept[c], HASHES[c]))[:KEPT]
    assert ranking.plain_order[: ranking.size[1]].tolist() == expected


def test_the_plain_order_leaves_out_what_was_bought_and_what_nothing_speaks_for():
    filled([0.5, 0.0, 0.25])
    pool.score[OWNED, 0] = 1.0
    pool.score[FILL, put(pool, facts, 9, 0)] = 1e-7
    order_plainly(pool, ALL, interner.names, ranking, KEPT)
    assert pool.item[ranking.plain_order[: ranking.size[1]]].tolist() == [2, 9]


@given(st.integers(0, 10_000), st.integers(0, 300))
def test_the_models_order_is_that_of_the_weighted_sums(seed, n):
    random = np.random.default_rng(seed)
    filled(random.random(n).tolist())
    description, scorer = new_description(), no_scorer()
    description.context[:] = 0, 2, 7, 12
    description.value[:, :n] = random.integers(-3, 4, (N_FEATURES, n))
    scorer.weights[:] = random.integers(-3, 4, (N_CONTEXTS, N_FEATURES))
    order_by_model(pool, interner.names, description, scorer, ranking, KEPT)
    worth = scorer.weights[description.context].sum(axis=0) @ description.value[:, :n]
    assert np.array_equal(ranking.worth[:n], worth)
    expected = sorted(range(n), key=lambda c: (-worth[c], HASHES[c]))[:KEPT]
    assert ranking.order[: ranking.size[0]].tolist() == expected
    if n:
        chances(n, ranking)
        exact = np.exp(worth - worth.max())
        assert ranking.chance[:n] == pytest.approx(exact / exact.sum(), rel=0.01, abs=1e-9)


def test_calibration_turns_a_chance_into_a_probability():
    scorer = no_scorer()
    scorer.calibration[:] = 0.5, 0.0, 1.0
    assert probability(0.25, scorer) == pytest.approx(0.125)
    scorer.calibration[:] = 1.0, 0.0, 0.5
    assert probability(0.9, scorer) == pytest.approx(0.75)
    assert 0 <= probability(0.0, scorer) < probability(1.0, scorer) <= 1


numbers = st.integers(0, 4 * LIMIT - 1)


@given(st.lists(numbers, max_size=700), st.sets(numbers, max_size=40), st.sets(numbers, max_size=40))
def test_the_pool_is_a_dictionary(items, banned, withdrawn):
    clear(pool, facts)
    for item in banned:
        ban(pool, facts, item + 1)
    facts.item["withdrawn"][list(withdrawn)] = True
    known: dict[int, int] = {}
    for item in items:
        if item not in known and item not in banned | withdrawn and len(known) < LIMIT:
            known[item] = len(known)
        assert put(pool, facts, item, 0) == known.get(item, -1)
    assert pool.item[: pool.size[0]].tolist() == list(known)
    facts.item["withdrawn"] = False
    clear(pool, facts)
    assert not facts.mark.any(), "the next list begins without a mark"
    assert not pool.score.any()


def test_a_source_that_there_is_not_is_refused_with_those_there_are():
    assert used(["markov"]).sum() == 1
    with pytest.raises(SettingsError, match=r"no source 'marcov'.*markov, two-hop"):
        used(["marcov"])
    assert sorted(SOURCES.values()) == list(range(len(SOURCES)))


def test_every_feature_has_a_name_and_every_context_a_kind():
    assert len(set(FEATURES)) == N_FEATURES
    assert HELD < N_CONTEXTS
