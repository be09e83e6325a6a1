"""Free loopback ports that stay free while their server is down."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from pathlib import Path

from stream.errors import StackError

LOOPBACK = "127.0.0.1"

# Ports the kernel hands to outgoing connections are unfit: while a server on one is down, any client on the
# machine may be given it, even the very client that keeps trying to reach the server (it then connects to
# itself). 20000 is above what is commonly assigned.
LOWEST, HIGHEST = 20_000, 32_767
_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 200  # a free one among 12,000 is found in the first few


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback interface now."""
    with socket.socket() as probe:
        # As servers do it: connections of a server that has just ended must not keep it from its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports(count: int, preferred: Iterable[int] = ()) -> list[int]:
    """`count` different free ports: `preferred` when all of them are free, else random ones.

    Another process can take one before it is used; callers try again with new ones.
    """
    wanted = list(preferred)
    if len(wanted) == count and all(is_free(port) for port in wanted):
        return wanted
    found: list[int] = []
    draw = random.SystemRandom()
    for _ in range(_TRIES):
        port = draw.randint(LOWEST, _highest())
        if port not in found and is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise StackError(
        f"no {count} free ports between {LOWEST} and {_highest()} on {LOOPBACK}: end programs that hold them."
    )


def _highest() -> int:
    try:
        first_ephemeral = int(_KERNEL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return HIGHEST
    # A machine whose range begins lower leaves nothing better than the usual one.
    return min(HIGHEST, first_ephemeral - 1) if first_ephemeral > LOWEST + 1_000 else HIGHEST


def answers(port: int, timeout_s: float = 1.0) -> bool:
    """Whether something accepts connections on `port` of the loopback interface."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False
