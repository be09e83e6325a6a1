"""Whether a worker is ready: it holds what it was given, and keeps up with it. Pure; it is told the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

KEEPS_UP_S = 30.0
"""Behind by more, lists are not of this visit any more."""
WINDOW_S = 15.0
"""A lag is shrinking when it is less than so long before: several commits and a fetch of every partition."""


class Readiness:
    """The verdict of the last look."""

    def __init__(self) -> None:
        self.reason: str | None = "the worker is starting"
        """Why it is not ready; None when it is."""
        self._past: deque[tuple[float, float]] = deque()

    def see(self, now_s: float, phase: str | None, lag_s: Mapping[str, float], away: str | None) -> None:
        """`phase`: what it is doing instead of working; `lag_s` by stage; `away`: whom it waits for."""
        worst = max(lag_s, key=lambda stage: lag_s[stage], default="")
        behind_s = lag_s.get(worst, 0.0)
        if phase is not None:
            self._past.clear()
            self.reason = phase
            return
        self._past.append((now_s, behind_s))
        while len(self._past) > 1 and self._past[1][0] <= now_s - WINDOW_S:
            self._past.popleft()
        then_s, before_s = self._past[0]
        shrinking = then_s <= now_s - WINDOW_S and behind_s < before_s
        if behind_s <= KEEPS_UP_S or shrinking:
            self.reason = None
            return
        self.reason = (
            f"{worst} is {behind_s:.0f} s behind, more than {KEEPS_UP_S:.0f} s and not catching up"
            + (f", because {away} does not serve" if away else "")
        )
