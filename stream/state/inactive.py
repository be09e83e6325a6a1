"""When to look for rows that nobody has touched for long."""

from __future__ import annotations

from stream.state.jit import kernel

LOOKS = 8
"""How often in the time of inactivity it is looked who has gone."""


@kernel
def is_due(before_ms: int, clock_ms: int, inactive_ms: int) -> bool:
    """Whether the clock has just passed one of the moments to look who has been away for `inactive_ms`."""
    every_ms = inactive_ms // LOOKS + 1
    return clock_ms // every_ms > before_ms // every_ms
