"""`stream worker` with a fault: ``faulty_worker.py STAGE HOW ITEM [ARGUMENT...]``.

It fails when it applies an event of that item (STAGE ``shoppers``) or what it means for the item (``items``).
HOW is ``raise``, ``kill`` (the process, by SIGKILL) or ``raise-silently`` (in a replay only). What comes
before in the same batch is applied.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from stream.cli import main
from stream.effects import Effects
from stream.engine import Engine
from stream.events.records import Record
from stream.items.inbox import Run
from stream.items.unit import ItemUnit


def fail(how: str) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ZeroDivisionError("told to fail")


def break_shoppers(how: str, item: bytes) -> None:
    """Have the engine fail at events of `item`."""
    apply = Engine.shoppers

    def faulty(
        self: Engine, partition: int, records: Sequence[Record], now_ms: int, silent: bool = False
    ) -> Effects:
        at = next((k for k, record in enumerate(records) if item in (record.value or b"")), None)
        if at is None or (how == "raise-silently" and not silent):
            return apply(self, partition, records, now_ms, silent)
        if at:
            apply(self, partition, records[:at], now_ms, silent)
        fail(how)
        return Effects()

    setattr(Engine, "shoppers", faulty)  # noqa: B010 - methods are not assigned to


def break_items(how: str, item: bytes) -> None:
    """Have item units fail at what is new to them of `item`."""
    add = ItemUnit._add

    def faulty(self: ItemUnit, run: Run) -> bool:
        names = run.names.split(b"\0")
        if item in (names[k] for k in run.touches.item.tolist()):
            fail(how)
        return add(self, run)

    setattr(ItemUnit, "_add", faulty)  # noqa: B010


if __name__ == "__main__":
    stage, how, item = sys.argv[1:4]
    {"shoppers": break_shoppers, "items": break_items}[stage](how, item.encode())
    sys.argv[1:4] = []
    main()
