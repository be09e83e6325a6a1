from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.effects import version
from stream.runtime.newest import newest
from stream.state.texts import Texts

IDS = st.sampled_from([b"a", b"b", b"ab", b"c" * 40, "ä".encode()])
WRITES = st.lists(st.tuples(IDS, st.integers(0, 2), st.integers(0, 12)), max_size=40)


@given(WRITES)
def test_what_stays_is_what_one_by_one_would_have_stayed(writes):
    ids = Texts.of(entity for entity, _, _ in writes)
    values = Texts.of(b'{"version":"%s","k":%d}' % (version(*at), k) for k, (_, *at) in enumerate(writes))
    held: dict[bytes, tuple[bytes, int]] = {}
    for k, (entity, *at) in enumerate(writes):
        if entity not in held or version(*at) >= held[entity][0]:
            held[entity] = version(*at), k
    assert newest(ids, values).tolist() == sorted(k for _, k in held.values())


def test_of_many_ids_every_one_stays():
    ids = Texts.of(b"s%d" % k for k in range(5_000))
    assert len(newest(ids, Texts.of([b'{"version":"%s"}' % version(1, 1)] * 5_000))) == 5_000
