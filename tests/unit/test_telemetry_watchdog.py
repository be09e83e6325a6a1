from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.telemetry.watchdog import GAP_S, STALL_S, Watchdog


class Clock:
    """Shows a watchdog the same marks once a second."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.dog = Watchdog()

    def show(self, seconds: float, **marks: int) -> str | None:
        """What the watchdog says at last, or as soon as it says something."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 1.0
            said = self.dog.see(self.now_s, marks)
            if said is not None:
                return said
        return None


def test_what_stands_still_for_longer_than_the_limit_is_named():
    clock = Clock()
    assert clock.show(STALL_S, a=5) is None
    assert clock.show(2, a=5) == "a"
    assert clock.dog.stood_s > STALL_S


def test_whoever_gets_on_however_slowly_is_left_alone():
    clock = Clock()
    for mark in range(20):
        assert clock.show(STALL_S - 1, a=mark) is None
    assert clock.dog.stood_s < STALL_S


def test_one_that_stands_is_found_among_those_that_move():
    clock = Clock()
    said = None
    for mark in range(int(STALL_S) + 2):
        said = said or clock.show(1, moves=mark, stands=7)
    assert said == "stands"


def test_nothing_to_do_or_an_excuse_begins_the_count_anew():
    clock = Clock()
    assert clock.show(STALL_S - 1, a=5) is None
    assert clock.show(1) is None
    assert clock.dog.stood_s == 0
    assert clock.show(STALL_S, a=5) is None
    clock.dog.rest()
    assert clock.show(STALL_S, a=5) is None
    assert clock.show(2, a=5) == "a"


def test_time_in_which_nobody_looked_hardly_counts():
    clock = Clock()
    assert clock.show(2, a=5) is None
    clock.now_s += 100 * STALL_S
    assert clock.show(1, a=5) is None
    assert clock.dog.stood_s <= GAP_S + 2


def test_a_clock_that_goes_back_harms_nothing():
    clock = Clock()
    clock.show(10, a=5)
    clock.now_s -= 500
    assert clock.show(1, a=5) is None
    assert clock.dog.stood_s <= 11


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 2), st.booleans()), max_size=60))
def test_it_speaks_only_after_the_limit_of_looks_at_one_mark(looks):
    dog, now_s, since_s, mark = Watchdog(), 0.0, None, None
    for passed_s, at, excused in looks:
        now_s += passed_s
        if excused or at != mark:
            since_s, mark = (None, None) if excused else (now_s, at)
        said = dog.see(now_s, {} if excused else {"a": at})
        if said is not None:
            assert since_s is not None
            assert now_s - since_s > STALL_S
