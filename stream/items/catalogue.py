"""Facts about items, from the compacted topic `items`: what may be shown, in which category, at what
cost. Every worker reads all of it."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.events.codes import NO_PRICE
from stream.events.decode import to_minor
from stream.events.types import ID_MAX_CHARS, Item
from stream.items.meanings import learn, learn_name
from stream.items.newcomers import MAX_CATEGORIES, arrive, look_on, read_again
from stream.items.postings import offer, retract
from stream.items.stand_ins import StandIns
from stream.items.table import ItemTable
from stream.items.words import add, drop, new_vocabulary, sign, terms_of, text_of
from stream.state.interner import Interner

_SPACE = 0x20

STOCK_MOST = 1 << 31

REMOVED_SHARE = 8
"""Of all item numbers, an eighth may be those of removed items that are remembered: the latest."""

OFFERED = 16
"""Popular items, and others, that one call of `look_on` offers to those who search for their words."""

GREW = 4
"""Times as many items, after which it is worked out anew which of their words are rare."""


class Catalogue:
    """The latest facts by item id. Money is in minor units."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self.facts: dict[bytes, Item] = {}
        self.stand_ins = StandIns(table)
        self.removed: dict[bytes, None] = {}
        """Ids of removed items, the latest last: they keep their numbers, events about them may come yet."""
        self.withdrawals = 0
        """How often an item that could be shown was removed, or sold out."""
        self.changed: set[bytes] = set()
        """Ids whose facts changed since whoever compiles rules last looked, and emptied this."""
        self.categories = Interner(MAX_CATEGORIES)
        # Category 0 stands for none, as in a zeroed row.
        self.categories.intern_one(b"\x01none")
        self._vocabulary = new_vocabulary()
        self._signed_at = self._offered = 0
        self._turn: list[bytes] = []
        self._brands: set[tuple[str, int]] = set()

    def update(self, key: bytes | None, value: bytes | None) -> str | None:
        """Take in one message; a null value removes the item. Returns why it was refused, or None.

        A refused message leaves the facts that were known.
        """
        if not key:
            return "an entry of the catalogue has no key: the key is the item id"
        if value is None:
            if len(key) > 4 * ID_MAX_CHARS or min(key) < _SPACE:
                return f"the catalogue has no item {key[:64]!r}: that is no item id"
            gone = self.facts.pop(key, None)
            number = int(self._table.numbers(key, 1)[0])
            if gone is not None:
                self.changed.add(key)
                self._drop(number, text_of(gone))
            # Also before anybody has seen it.
            self.removed[key] = None
            if len(self.removed) > self._table.interner.capacity // REMOVED_SHARE:
                del self.removed[next(iter(self.removed))]
            self._withdraw(number, True)
            self._judge(self.stand_ins.put(key, None, ()))
            return None
        try:
            facts = msgspec.json.decode(value, type=Item)
            parent = facts.parent_id.encode() if facts.parent_id else None
            replaces = sorted({old.encode() for old in facts.replaces})
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return f"the catalogue entry of {key!r} is unusable: {error}"
        if facts.item_id.encode() != key or min(facts.item_id, default="\0") < " ":
            return f"the catalogue entry {facts.item_id!r} has another key: {key!r}"
        for other in [*replaces, *([parent] if parent else [])]:
            if min(other) < _SPACE:
                return f"the catalogue entry of {key!r} names {other!r}: that is no item id"
        if replaces or parent not in (None, key):
            path = self.stand_ins.cycle(key, parent, replaces)
            if path is not None:
                return _refused(path)
        before = self.facts.get(key)
        self.facts[key] = facts
        self.removed.pop(key, None)
        self.changed.add(key)
        number = int(self._table.numbers(key, 1)[0])
        self._table.facts.item["category"][number] = self._category(facts.category)
        self._withdraw(number, facts.stock == 0)
        self._judge(self.stand_ins.put(key, parent, replaces))
        self._read(number, before, facts)
        return None

    def _judge(self, products: set[bytes]) -> None:
        """See which may be shown of items that may have variants. A product is for sale while any of them is;
        what was removed is not, whatever its variants say."""
        for name in products:
            facts = self.facts.get(name)
            gone = facts is not None and facts.stock == 0
            if facts is None or not facts.stock:
                for variant in self.stand_ins.variants(name):
                    entry = self.facts.get(variant)
                    gone = entry is not None and entry.stock == 0
                    if entry is not None and not gone:
                        break
            self._withdraw(int(self._table.numbers(name, 1)[0]), gone or name in self.removed)

    def _withdraw(self, number: int, withdrawn: bool) -> None:
        fact = self._table.facts.item[number]
        # Nobody was shown what nobody has come to yet.
        self.withdrawals += withdrawn and not fact["withdrawn"] and bool(fact["heard"])
        fact["withdrawn"] = withdrawn

    def look_on(self, popular: NDArray[np.int32]) -> None:
        """Let newcomers move up where others are well known by now; and let some of the `popular` items, and
        of all in turn, be found by their words in place of others. Some 200 µs."""
        if not self.facts:
            return
        facts = self._table.facts
        look_on(facts.new, facts.item, facts.words, self._table.interner.used)
        self._offered = self._offered + OFFERED if self._offered < len(popular) else 0
        name, find = self._table.interner.name, self._table.interner.find
        turn = [name(number) for number in popular[self._offered : self._offered + OFFERED].tolist()]
        if not self._turn:
            self._turn = list(self.facts)
        for key in (*turn, *self._turn[-OFFERED:]):
            known, number = self.facts.get(key), find(key)
            if known is not None and number >= 0:
                offer(facts.postings, facts.item, terms_of(text_of(known)), number)
        del self._turn[-OFFERED:]

    def _read(self, number: int, before: Item | None, now: Item) -> None:
        """Learn what an item is about. Some 30 µs."""
        text, facts = text_of(now), self._table.facts
        was = None if before is None else text_of(before)
        if was != text:
            if was is not None:
                self._drop(number, was)
            self._know(number, add(self._vocabulary, text))
            offer(facts.postings, facts.item, terms_of(text), number)
        sold = (now.brand or "", int(facts.item["category"][number]))
        if sold not in self._brands:
            self._brands.add(sold)
            learn(facts.meanings, *sold)
        arrive(facts.new, facts.item, facts.words, number, was is None)
        if len(self.facts) >= GREW * self._signed_at:
            self._sign_again()

    def _drop(self, number: int, text: bytes) -> None:
        """An item has these words no more."""
        drop(self._vocabulary, text)
        facts = self._table.facts
        retract(facts.postings, facts.item, terms_of(text), number)

    def _know(self, number: int, words: NDArray[np.uint64]) -> None:
        facts = self._table.facts
        facts.words[number] = words
        facts.item["listed"][number] = words.any()

    def _sign_again(self) -> None:
        """Which words are rare is another matter with several times as many items."""
        self._signed_at = len(self.facts)
        for name, item in self.facts.items():
            number = self._table.interner.find(name)
            if number >= 0:
                self._know(number, sign(self._vocabulary, text_of(item)))
        read_again(self._table.facts.new, self._table.facts.words)

    def _category(self, name: str | None) -> int:
        if not name:
            return 0
        known = len(self.categories)
        category = max(0, self.categories.intern_one(name.encode()))
        if len(self.categories) > known:
            learn_name(self._table.facts.meanings, name, category)
        return category

    def money(self, ids: list[bytes], field: str) -> NDArray[np.int64]:
        """One money field (`list_price`, `cost`, `floor`, `ceiling`) in minor units, -1 where unknown."""
        empty = Item(item_id="-")
        return np.array([to_minor(getattr(self.facts.get(name, empty), field)) for name in ids], np.int64)

    def stock(self, ids: list[bytes]) -> NDArray[np.int64]:
        """Units on hand, -1 where unknown; `STOCK_MOST` is that or more: some shops write 2^64 - 1 for
        what never runs out."""
        empty = Item(item_id="-")
        values = (self.facts.get(name, empty).stock for name in ids)
        return np.array([NO_PRICE if each is None else min(each, STOCK_MOST) for each in values], np.int64)


def _refused(path: list[bytes]) -> str:
    """Why an entry is refused by which an item would come to stand for itself, over all of `path`."""
    first, *others = [repr(name.decode()) for name in path]
    if not others:
        return f"the catalogue entry of {first} says that it replaces itself: take it out of `replaces`"
    return (
        f"by the catalogue entry of {first} it would stand for itself, by way of {', '.join(others)}: take "
        "their `parent_id` and `replaces` back first"
    )
