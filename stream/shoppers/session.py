"""A shopper's session: where it begins, its window of items, and whether a person is behind the id."""

from __future__ import annotations

import numpy as np

from stream.cohorts import OF_VISIT
from stream.shoppers.row import RECENT, SEEN
from stream.state.jit import Row, kernel

SESSION_GAP_MS = 30 * 60_000
"""Without a session id, a pause of 30 minutes ends a session (the web-analytics convention)."""

CROWD_EVENTS_PER_HOUR = 1000
"""An id with more events in an hour of event time is a crowd or a bot: kept out of the pair counts."""

_HOUR_MS = 3_600_000


@kernel
def begin(row: Row, session: np.uint64, ts_ms: int) -> bool:
    """Open a new session if this event belongs to one; True if so."""
    if row.events == 0:
        new = True
    elif session != np.uint64(0):
        new = session != row.session
    else:
        new = ts_ms - row.last_ts_ms > SESSION_GAP_MS
    if new:
        row.in_session = 0
        row.in_basket = 0
        row.order = np.uint64(0)
        row.asked[0] = row.asked[1] = np.uint64(0)
        row.terms[:] = 0
        for k in range(OF_VISIT):
            row.cohorts[k] = 0
    if session != np.uint64(0) or new:
        row.session = session
    return new


@kernel
def is_crowd(row: Row, ts_ms: int) -> bool:
    """Whether too many events of one hour carry this id."""
    hour = ts_ms // _HOUR_MS
    if hour > row.hour:
        row.hour = hour
        row.in_hour = 0
    row.in_hour += 1
    # For good: a crowd is no person in its quiet hours either.
    row.crowd = row.crowd or row.in_hour > CROWD_EVENTS_PER_HOUR
    return row.crowd  # type: ignore[no-any-return]


@kernel
def look_at(row: Row, item: int) -> None:
    """Move `item` to the front of the window; what thereby leaves it was seen."""
    at = RECENT - 1
    for k in range(RECENT):
        if row.recent[k] == item + 1:
            at = k
            break
    if row.recent[at] > 0 and row.recent[at] != item + 1:
        row.seen[row.n_seen % SEEN] = row.recent[at]
        row.n_seen = (row.n_seen + 1) % (1 << 20)
    if at >= row.in_session:
        row.in_session = min(row.in_session + 1, RECENT)
    for k in range(at, 0, -1):
        row.recent[k] = row.recent[k - 1]
    row.recent[0] = item + 1
