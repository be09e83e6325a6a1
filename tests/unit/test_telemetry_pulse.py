from __future__ import annotations

import asyncio
import time

from stream.runtime.telemetry.pulse import ALIVE_S, ENGINE, LOOP, Guard, Pulse
from stream.runtime.telemetry.watchdog import STALL_S


def test_who_was_not_heard_of_for_long_is_named():
    pulse = Pulse()
    assert pulse.lost() is None
    pulse.heard_s[ENGINE] = time.monotonic() - 2 * ALIVE_S
    assert "the engine's thread has not answered for" in (pulse.lost() or "")
    pulse.beat(ENGINE)
    assert pulse.lost() is None


async def test_a_loop_that_turns_beats():
    pulse = Pulse()
    pulse.heard_s[LOOP] = 0.0
    beating = asyncio.create_task(pulse.run())
    await asyncio.sleep(0)
    assert pulse.heard_s[LOOP] > 0
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


def test_the_guard_ends_a_process_in_which_one_of_both_is_stuck(caplog):
    pulse, ended = Pulse(), list[int]()
    guard = Guard(pulse, 1, ended.append)
    now_s = time.monotonic()
    for second in range(int(STALL_S) + 2):
        pulse.heard_s[LOOP] = now_s + second
        if guard.look(now_s + second):
            break
    assert ended == [1]
    assert f"The engine's thread has not answered for {STALL_S:.0f} s: the worker ends" in caplog.text


def test_a_process_that_was_frozen_is_not_ended_when_it_wakes():
    pulse, ended = Pulse(), list[int]()
    guard = Guard(pulse, 1, ended.append)
    now_s = time.monotonic()
    guard.look(now_s)
    assert not guard.look(now_s + 10 * STALL_S)
    assert ended == []


def test_the_guard_starts_and_stops():
    guard = Guard(Pulse(), 1, lambda code: None)
    guard.start()
    guard.stop()
