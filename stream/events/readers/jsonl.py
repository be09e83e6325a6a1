"""`jsonl`: the wire contract itself, one JSON object a line.

Events come in the order of the file, whatever their times: it is a log as it was written. A line with
``"type": "item"`` holds facts of an item. Blank lines are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from stream.events.readers.base import Bad, Reader, ReadResult, reason
from stream.events.readers.fields import CONTROL, ID_FIELDS
from stream.events.readers.lines import Log, raw
from stream.events.types import AnyEvent, Impression, Item


class _ItemLine(Item, frozen=True, kw_only=True, tag_field="type", tag="item"):
    """Facts of an item between the events of a file."""


_DECODER: Final = msgspec.json.Decoder(AnyEvent | _ItemLine)


def _read(log: Log) -> Iterator[ReadResult]:
    decode = _DECODER.decode
    for number, line in enumerate(log.lines(), 1):
        if not line or line.isspace():
            continue
        try:
            event = decode(line)
        except msgspec.ValidationError as error:
            yield Bad(raw(line), reason(error), str(error), number)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            yield Bad(raw(line), "malformed-json", str(error), number)
        else:
            # A control character can only stand in JSON as an escape, which few lines have.
            if "\\" in line and _has_control_character(event):
                yield Bad(raw(line), "invalid-field", "an id holds a control character", number)
            elif isinstance(event, _ItemLine):
                yield Item(**{field: getattr(event, field) for field in Item.__struct_fields__})
            else:
                yield event


def _has_control_character(event: AnyEvent | Item) -> bool:
    ids = [getattr(event, field, None) for field in ID_FIELDS]
    if isinstance(event, Impression):
        ids += [shown.item_id for shown in event.items]
    return any(CONTROL.search(id_) for id_ in ids if id_ is not None)


JSONL = Reader("this project's events, one JSON object a line", _read)
