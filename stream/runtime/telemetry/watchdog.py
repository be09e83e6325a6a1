"""The watchdog: tells when something that has work to do has stood still for too long.

Pure: it is shown where things stand, again and again, and told the time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

STALL_S = 120.0
"""Nothing that goes on takes so long: a delivery to Kafka is given up, and tried again, after 40 s."""
GAP_S = 5.0
"""Most that counts between two looks. After a longer gap the process itself was stopped (a debugger, a
frozen container), and what stood still meanwhile has done nothing wrong."""


class Stalled(Exception):
    """Something stands still that a restart would help. One sentence."""


@dataclass(slots=True)
class _Watched:
    mark: Hashable
    stood_s: float = 0.0


class Watchdog:
    """Looks at any number of things by name; each stands at a mark, which changes as it gets on."""

    def __init__(self) -> None:
        self._seen_s: float | None = None
        self._watched: dict[str, _Watched] = {}

    @property
    def stood_s(self) -> float:
        """How long the one has stood still that has done so for longest; 0 when all get on."""
        return max((watched.stood_s for watched in self._watched.values()), default=0.0)

    def see(self, now_s: float, marks: Mapping[str, Hashable]) -> str | None:
        """Where everything stands now that has work to do, and no excuse; a name that is beyond the limit.

        What is left out has its count begun anew when it is next there.
        """
        passed_s = 0.0 if self._seen_s is None else min(max(now_s - self._seen_s, 0.0), GAP_S)
        self._seen_s = now_s
        for name in self._watched.keys() - marks.keys():
            del self._watched[name]
        for name, mark in marks.items():
            watched = self._watched.get(name)
            if watched is None or watched.mark != mark:
                self._watched[name] = _Watched(mark)
            else:
                watched.stood_s += passed_s
        late = [(watched.stood_s, name) for name, watched in self._watched.items()]
        stood_s, name = max(late, default=(0.0, ""))
        return name if stood_s > STALL_S else None

    def rest(self) -> None:
        """Begin every count anew."""
        self._watched.clear()
