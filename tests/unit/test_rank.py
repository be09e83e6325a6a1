from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.recommend.candidates import LIMIT, POOL, new_scratch
from stream.recommend.rank import choose, new_ranking
from stream.state.interner import Interner

ranking = new_ranking()
scratch = new_scratch(LIMIT)
interner = Interner(LIMIT)
interner.intern("\0".join(f"item-{k}" for k in range(LIMIT)).encode(), LIMIT)

# As they come: shares, sums of a few of them, what has nearly decayed, and the fallback's tiny scores.
scores = st.one_of(
    st.floats(1e-7, 8.0), st.floats(1e-30, 1e-7), st.sampled_from([0.25, 0.5, 1.0, 1e-6, 1e-6 / 3])
)


@given(st.lists(scores, max_size=LIMIT))
def test_the_pool_is_the_best_in_order_and_ties_go_by_the_ids_hash(given_scores):
    n = len(given_scores)
    scratch.item[:n] = np.arange(n)
    scratch.score[:n] = given_scores
    scratch.size[0] = n
    choose(scratch, interner.names, ranking)
    hashes = interner.names.entries["hash"]
    expected = sorted(range(n), key=lambda c: (-given_scores[c], hashes[c]))[:POOL]
    assert ranking.place[: ranking.size[0]].tolist() == expected
