from __future__ import annotations

import asyncio
import threading

import pytest

from stream.runtime.engine_thread import EngineThread


async def test_calls_run_one_at_a_time_in_the_order_asked_and_in_one_thread():
    thread = EngineThread()
    order: list[int] = []
    threads: set[int] = set()

    def note(number: int) -> int:
        order.append(number)
        threads.add(threading.get_ident())
        return number * 2

    assert await asyncio.gather(*(thread.call(note, k) for k in range(50))) == list(range(0, 100, 2))
    assert order == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    await thread.stop()


async def test_the_loop_goes_on_meanwhile_and_errors_come_back():
    thread = EngineThread()
    gate = threading.Event()

    def wait_for_the_loop() -> None:
        assert gate.wait(5.0)
        raise LookupError("as told")

    call = asyncio.create_task(thread.call(wait_for_the_loop))
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(LookupError, match="as told"):
        await call
    await thread.stop()


async def test_a_call_that_has_begun_ends_even_if_nobody_waits_for_it_any_more():
    thread = EngineThread()
    begun, gate = threading.Event(), threading.Event()
    done: list[str] = []

    def act() -> None:
        begun.set()
        assert gate.wait(5.0)
        done.append("first")

    first = asyncio.create_task(thread.call(act))
    assert await asyncio.to_thread(begun.wait, 5.0)
    waiting = asyncio.create_task(thread.call(done.append, "second"))
    await asyncio.sleep(0)
    first.cancel()
    stopping = asyncio.create_task(thread.stop())
    gate.set()
    await stopping
    assert done in (["first"], ["first", "second"]), "what had not begun may be dropped"
    assert waiting.done() or waiting.cancel()
