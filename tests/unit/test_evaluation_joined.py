from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.compare import feed_of, members_of, named, scores_of
from stream.effects import Effects, Values, version
from stream.errors import InputError
from stream.evaluation import joined
from stream.evaluation.joined import JoinedFeed
from stream.evaluation.log import Step
from stream.evaluation.prequential import Feed, Scores, run
from stream.events.types import AnyEvent, Item, Search
from stream.state.texts import Texts
from tests.unit.test_evaluation_alone import pairs, steps, view

ITEMS = 30


class Says:
    """A feed that always says this of what comes after an item."""

    def __init__(self, after: Callable[[int], Sequence[int]]) -> None:
        self.after = after
        self.offset = 0
        self.made: list[tuple[bytes, bytes]] = []

    def item(self, item: Item) -> None: ...

    def event(self, event: AnyEvent) -> int:
        items = [str(item) for item in self.after(int(event.item_id or 0))]
        told = {"items": items, "scores": [1.0 / (k + 1) for k in range(len(items))]}
        value = b'{"version":"%s",' % version(0, self.offset) + json.dumps(told).encode()[1:]
        self.made.append((event.user_id.encode(), value))
        self.offset += 1
        return self.offset - 1

    def flush(self) -> Effects:
        made, self.made = self.made, []
        return Effects([Values.of("recs", *zip(*made, strict=True))])

    def freeze(self) -> None: ...


def right(item: int) -> list[int]:
    """What comes next is first."""
    return [(item + k) % ITEMS for k in range(1, 11)]


def wrong(item: int) -> list[int]:
    """What comes next is not there."""
    return [(item + k) % ITEMS for k in range(11, 21)]


def late(item: int) -> list[int]:
    """What comes next is last but one."""
    return [*right(item)[2:], *right(item)[:2]]


def nothing(item: int) -> list[int]:
    return []


def rounds(sessions: int = 60) -> list[Step]:
    """Sessions of five items, each the next number."""
    rng = Random(1)
    return steps(
        *(
            view(5 * k + place, str((first + place) % ITEMS), f"u{k}")
            for k in range(sessions)
            for first in [rng.randrange(ITEMS)]
            for place in range(5)
        )
    )


def joining(*says: Callable[[int], Sequence[int]], lead: bool = False) -> JoinedFeed:
    members: dict[str, Feed] = {f"{k}": Says(each) for k, each in enumerate(says)}
    return JoinedFeed(members, "0" if lead else None)


def ranks(feed: Feed, log: Sequence[Step], batch: int = 64) -> list[int]:
    found: list[int] = run(feed, log, 0, batch=batch).rank.tolist()
    return found


@pytest.mark.parametrize("member", ["blend", "sessions", "popularity"])
def test_one_member_joined_with_nothing_is_that_member(member: str):
    log = steps(*pairs(150))
    alone, once = run(feed_of(member, 20), log, 0), JoinedFeed({member: feed_of(member, 20)}, member)
    assert ranks(once, log, 256) == alone.rank.tolist()


@pytest.mark.parametrize("lead", [True, False])
def test_whoever_is_right_is_followed_whoever_leads(lead: bool):
    for says in ((wrong, right), (late, right), (wrong, late, right), (nothing, right)):
        assert set(ranks(joining(*says, lead=lead), rounds())[40:]) == {0}


def test_at_the_start_the_leading_order_holds_and_others_follow():
    feed = joining(wrong, right, lead=True)
    feed.event(rounds()[0].event)
    (values,) = feed.flush().values
    item = int(str(rounds()[0].event.item_id))
    assert json.loads(values.values[0])["items"] == [str(each) for each in (*wrong(item), *right(item))]


def test_what_only_one_of_them_knows_is_found_for_both():
    """Each is right of every other item, and proposes something else of the rest."""
    even, odd = (lambda item, of=of: (right, wrong)[item % 2 == of](item) for of in (1, 0))
    found = ranks(joining(even, odd), rounds())[60:]
    assert max(found) < 20
    assert min(found) >= 0
    assert sum(rank < 2 for rank in found) > 0.9 * len(found)


def test_an_empty_member_changes_nothing():
    log = rounds()
    assert ranks(joining(late, right, nothing), log) == ranks(joining(late, right), log)
    assert ranks(joining(late, nothing), log) == ranks(joining(late), log)


def test_a_second_run_and_other_batches_give_the_same():
    log = steps(*pairs(150))
    once, again, single = (
        ranks(JoinedFeed({name: feed_of(name, 40) for name in ("sessions", "popularity")}), log, batch)
        for batch in (256, 256, 1)
    )
    assert once == again == single


def test_with_frozen_members_nothing_is_learned():
    feed = joining(late, right, lead=True)
    feed.freeze()
    assert set(ranks(feed, rounds())) == {8}


def test_more_shoppers_than_are_kept_start_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(joined, "WAITING", 2)
    log = steps(*(view(n, str(n // 6), f"u{n % 6}") for n in range(120)))
    found = run(joining(wrong, right), log, 0)
    assert (found.rank >= 0).all(), "lists are made of what is proposed now"
    assert (found.rank == 1).all(), "and nothing is learned of lists that were given up"


def test_feeds_that_were_given_other_events_are_refused():
    old = Says(right)
    old.event(rounds()[0].event)
    with pytest.raises(InputError, match="were given the same events"):
        JoinedFeed({"old": old, "new": Says(right)}).event(rounds()[0].event)


def test_any_names_can_be_joined_and_those_of_the_blend_are_one_member():
    given = "blend,markov+content,blend+sessions,sessions+markov+content+two-hop,blend+markov,sessions+deep"
    assert list(map(members_of, named(given))) == [
        ["blend"],
        ["markov+content"],
        ["blend", "sessions"],
        ["markov+two-hop", "sessions", "content"],
        ["blend", "markov"],
        ["sessions", "deep"],
    ]
    assert all(members_of(name) == [name] for name in named("all"))


@pytest.mark.parametrize("name", ["blend+sesions", "blend+", "+", "all+blend"])
def test_an_unknown_name_in_a_join_is_said(name: str):
    with pytest.raises(InputError, match=r"There is no source .*: choose from blend, co-occurrence, .*deep"):
        named(name)


def test_nothing_is_joined_with_itself():
    with pytest.raises(InputError, match="has 'sessions' twice"):
        named("sessions+blend+sessions")


def test_a_join_of_the_blend_scores_what_the_blend_scores():
    log = steps(*pairs(150))
    scores: dict[str, Scores] = {name: scores_of(name, log, 0) for name in ("blend", "blend+sessions")}
    assert len(scores["blend"].rank) == len(scores["blend+sessions"].rank) == 150
    assert (scores["blend+sessions"].rank[-50:] == 0).all()


def test_a_join_has_a_row_of_its_own(tmp_path: Path):
    file = tmp_path / "log.txt"
    file.write_text("".join(f"{k % 7}a {k % 7}b\n" for k in range(60)))
    args = [
        "evaluate",
        "recs",
        str(file),
        "--format",
        "sessions",
        "--sources",
        "sessions+popularity,sessions",
    ]
    said = CliRunner().invoke(app, [*args, "--json"])
    assert said.exit_code == 0, said.stderr
    told = json.loads(said.stdout)["sources"]
    assert list(told) == ["sessions+popularity", "sessions"]
    assert told["sessions+popularity"]["hr@20"] == 1.0


def test_reloads_are_foretold_beside_what_the_blend_says():
    """Every item is looked at twice: half of what follows is the same item, half the other of its pair."""
    twice = [event for each in pairs(120) for event in (each, each)]
    log = steps(
        *(view(n, event.item_id or "", event.user_id, event.session_id) for n, event in enumerate(twice))
    )
    found = {name: scores_of(name, log, 0).rank[-150:] for name in ("blend", "reload", "blend+reload")}
    share = {name: float((rank >= 0).mean()) for name, rank in found.items()}
    assert share["reload"] == pytest.approx(2 / 3)
    assert share["blend"] == pytest.approx(1 / 3)
    assert share["blend+reload"] == 1.0
    assert (found["blend+reload"] <= 1).all()


def test_what_is_about_no_item_is_no_reload():
    feed = feed_of("reload", 20)
    feed.event(view(0, "a", "u"))
    feed.event(Search(event_id="1", ts=1_500_000_000_000, user_id="u", query="lamp"))
    ((shopper, value),) = (pair for of in feed.flush().values for pair in zip(of.ids, of.values, strict=True))
    assert (shopper, json.loads(value)["items"]) == (b"u", ["a"])
    assert feed.flush().values[0].ids == Texts.of([])
