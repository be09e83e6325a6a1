"""`python -m tests.mutations`: take out one guard after the other, and see that its test fails.

Each runs in a copy of the source. What `docs/guarantees.md` promises is held by these tests; a mutation that
none of them notices is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from stream.pipeline import warm_up
from tests.mutations.guards import MUTATIONS, Mutation
from tests.mutations.workshop import Workshop

AT_ONCE = 2


def main() -> int:
    """Every mutation, two at a time; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__.splitlines()[0])
    parser.add_argument("-k", default="", metavar="TEXT", help="only guards whose name holds this")
    text = parser.parse_args().k
    chosen = [mutation for mutation in MUTATIONS if text in mutation.guard]
    # What is compiled in the checkout is compiled once, and not in every copy.
    warm_up()
    with (
        tempfile.TemporaryDirectory(prefix="stream-mutations-") as folder,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        shops: SimpleQueue[Workshop] = SimpleQueue()
        for number in range(AT_ONCE):
            shops.put(Workshop(Path(folder) / str(number)))

        def tried(mutation: Mutation) -> bool:
            began, shop = time.monotonic(), shops.get()
            try:
                noticed = shop.notices(mutation)
            finally:
                shops.put(shop)
            said = "noticed" if noticed else "MISSED "
            print(f"{said} {time.monotonic() - began:5.1f} s  {mutation.guard}", flush=True)
            return noticed

        return 0 if all(list(pool.map(tried, chosen))) else 1


if __name__ == "__main__":
    sys.exit(main())
