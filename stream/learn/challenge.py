"""Challengers as the topic `models` tells of them: linear models that are to be judged, not published."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from stream.errors import InputError
from stream.learn.experts import BLEND
from stream.learn.model import Expert, Snapshot, pack_snapshot, scorer, unpack_snapshot

CHALLENGER_KEY = b"challenger:"
"""Key of a challenger, before its name."""

PROMOTED_KEY = b"promoted"
"""Key of the challenger that the learner was last told to go on from."""

MOST = 8
"""Challengers at once: each costs the learner 1 µs a list, 3 µs if it learns."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class Challenge(msgspec.Struct, frozen=True):
    """A challenge as it travels: whether the model learns on, when it was written (epoch ms), the model.

    It has no `layout` of its own, so that a version which knows nothing of challengers takes it for no model.
    """

    learn: bool
    at_ms: int
    snapshot: msgspec.Raw


class Challenger(NamedTuple):
    """A model to be judged, and what it goes on from if it learns."""

    at_ms: int
    learn: bool
    expert: Expert


def check_name(name: str) -> str:
    """The name, if a challenger may have it: it is a label of metrics. `InputError` if not."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"A challenger cannot be called {name!r}: use at most 32 of a to z, 0 to 9, dot, dash and _."
        )
    return name


def published(snapshot: Snapshot) -> Expert:
    """The expert that a snapshot publishes; `ValueError` if its features are not this version's."""
    if scorer(snapshot) is None:
        raise ValueError("the model has other features or contexts than this version's")
    for expert in snapshot.experts.values():
        if expert.weights == snapshot.weights:
            return expert
    return Expert(snapshot.weights, (), 0.0)


def with_published(snapshot: Snapshot, expert: Expert) -> Snapshot:
    """A snapshot that publishes this expert and no other."""
    return msgspec.structs.replace(snapshot, weights=expert.weights, experts={BLEND: expert}, network=None)


def pack_challenge(snapshot: Snapshot, learn: bool, at_ms: int) -> bytes:
    """JSON of a challenge."""
    alone = msgspec.structs.replace(snapshot, network=None, challengers={}, learned={})
    return msgspec.json.encode(Challenge(learn, at_ms, msgspec.Raw(pack_snapshot(alone))))


def unpack_challenge(value: bytes) -> Challenger:
    """The challenger in `value`.

    Raises `LayoutError` for a model of another layout, `ValueError` for one of other features, and
    `msgspec.MsgspecError` for anything else.
    """
    challenge = msgspec.json.decode(value, type=Challenge)
    return Challenger(challenge.at_ms, challenge.learn, published(unpack_snapshot(challenge.snapshot)))


class Told:
    """What the topic says: challengers by name, and the one that was promoted last."""

    def __init__(self) -> None:
        self.challengers: dict[str, Challenger] = {}
        self.promoted: Challenger | None = None

    def take(self, key: bytes, value: bytes | None) -> str | None:
        """Take one message in; why it is refused, or None. Raises what `unpack_challenge` does."""
        if key == PROMOTED_KEY:
            self.promoted = unpack_challenge(value) if value else None
            return None
        if not key.startswith(CHALLENGER_KEY):
            return f"the key {key!r} of models is none that this version knows"
        name = key.removeprefix(CHALLENGER_KEY).decode()
        # Whatever was there is no longer meant, also if what comes is refused.
        self.challengers.pop(name, None)
        if not value:
            return None
        if not _NAME.fullmatch(name):
            return f"a challenger cannot be called {name!r}"
        if len(self.challengers) >= MOST:
            return f"the challenger {name!r} is one more than {MOST}: remove another first"
        self.challengers[name] = unpack_challenge(value)
        return None
