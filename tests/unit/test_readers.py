"""What holds for every reader: files, packing, errors, ids, order, and that no row is ever lost."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import InputError
from stream.events.readers import FORMATS, REASONS, Bad, read, size_bytes
from stream.events.readers.lines import CHUNK_BYTES
from stream.events.readers.rows import QUOTED_LINES_MAX
from stream.events.types import AnyEvent, Item

HEADERS = {
    "rees46": "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
    "online-retail": "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
    "retailrocket": "timestamp,visitorid,event,itemid,transactionid",
    "yoochoose": "SessionId\tItemId\tTime",
    "movielens": "userId,movieId,rating,timestamp",
}
RETAILROCKET = HEADERS["retailrocket"] + "\n{}"


def write(folder: Path, text: str | bytes, name: str = "events") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read_all(path: Path, format: str) -> list[Any]:
    return list(read(path, format))


def test_menu():
    assert set(FORMATS) == {
        "jsonl", "rees46", "online-retail", "retailrocket", "yoochoose", "movielens", "sessions",
    }  # fmt: skip
    assert all(reader.about for reader in FORMATS.values())


@pytest.mark.parametrize(
    "unpack",
    [
        lambda text: text,
        gzip.compress,
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: gzip.compress(b"\xef\xbb\xbf" + text),
        lambda text: gzip.compress(text[:90]) + gzip.compress(text[90:]),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b"\n", b"\n\n"),
    ],
    ids=["plain", "gzip", "bom", "gzip-bom", "gzip-members", "crlf", "no-last-newline", "blank-lines"],
)
def test_packing_does_not_change_the_events(tmp_path, unpack):
    text = RETAILROCKET.format("7,u,view,a,\n8,u,addtocart,b,\n9,u,transaction,b,o1\n")
    plain = read_all(write(tmp_path, text), "retailrocket")
    packed = read_all(write(tmp_path, unpack(text.encode()), "packed"), "retailrocket")
    assert [(e.ts, e.item_id, type(e)) for e in packed] == [(e.ts, e.item_id, type(e)) for e in plain]
    assert len(plain) == 3


def test_same_file_same_ids_and_other_lines_other_ids(tmp_path):
    text = "a b\na b\n"
    first = [e.event_id for e in read_all(write(tmp_path, text), "sessions")]
    assert first == [e.event_id for e in read_all(write(tmp_path, gzip.compress(text.encode())), "sessions")]
    assert len(set(first)) == 4
    other = [e.event_id for e in read_all(write(tmp_path, "a c\na b\n", "other"), "sessions")]
    assert not set(first[:2]) & set(other[:2])
    grown = [e.event_id for e in read_all(write(tmp_path, text + "c\n", "grown"), "sessions")]
    assert grown[:4] == first


def test_progress_ends_at_the_size_on_disk(tmp_path):
    text = "\n".join(f"{k} {k * 7919 % 100003}" for k in range(60_000)).encode()
    for name, data in (("plain", text), ("packed", gzip.compress(text))):
        path = write(tmp_path, data, name)
        seen: list[int] = []
        assert sum(1 for _ in read(path, "sessions", on_bytes=seen.append)) == 120_000
        assert seen == sorted(seen)
        assert len(seen) > 2
        assert seen[-1] == size_bytes(path) == len(data)


def test_lines_across_chunks(tmp_path):
    wide = "x" * (CHUNK_BYTES + 17)
    lines = [f'{{"no": "{wide}"}}', "{}", f'{{"é": "{wide[:-9]}"}}', "[]"]
    bad = read_all(write(tmp_path, "\n".join(lines)), "jsonl")
    assert [entry.raw.decode() for entry in bad] == lines
    assert [entry.line for entry in bad] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "format", "says"),
    [
        ("none.csv", "rees46", "There is no file .*none.csv"),
        (".", "rees46", "not a regular file"),
        ("zip", "rees46", "zip is a zip archive: turn it into"),
        ("empty", "rees46", "empty is not a rees46 file: .*event_time.* is 'nothing'"),
        ("other", "rees46", "other is not a rees46 file"),
        ("other", "yoochoose", "other is not a yoochoose file"),
        ("other", "movielens", "other is not a movielens file"),
        ("other", "csv", r"There is no format 'csv': choose one of jsonl, .*sessions, mapping\."),
        ("other", "mapping", "needs a mapping file .*docs/formats.md"),
    ],
)
def test_unusable_input_is_named_before_anything_is_read(tmp_path, name, format, says):
    write(tmp_path, b"PK\x03\x04rest", "zip")
    write(tmp_path, b"", "empty")
    write(tmp_path, "a,b,c\n1,2,3\n", "other")
    with pytest.raises(InputError, match=says):
        read(tmp_path / name, format)


def test_mapping_file_with_another_format(tmp_path):
    path = write(tmp_path, "1 2\n")
    with pytest.raises(InputError, match="give one of the two"):
        read(path, "sessions", mapping=path)


def test_cut_gzip(tmp_path):
    packed = gzip.compress(bytes(str(list(range(99_999))), "ascii").replace(b",", b"\n"))
    path = write(tmp_path, packed[: len(packed) // 2])
    results = read(path, "sessions")
    with pytest.raises(InputError, match="cut or damaged"):
        for _ in results:
            pass
    with pytest.raises(InputError, match="cut or damaged"):
        read_all(write(tmp_path, b"\x1f\x8bnot gzip at all", "damaged"), "sessions")


def test_a_file_without_lines_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.events.readers.lines.LINE_MAX_BYTES", CHUNK_BYTES)
    path = write(tmp_path, b"x" * (3 * CHUNK_BYTES))
    with pytest.raises(InputError, match="not a file with one event a line"):
        read_all(path, "jsonl")


def test_sorted_formats_are_stable_and_put_bad_rows_first(tmp_path):
    rows = "30,u,view,c,\n10,u,view,a,\nx,u,view,?,\n30,u,view,b,\n20,u,view,d,\n10,u,buy,e,\n"
    out = read_all(write(tmp_path, RETAILROCKET.format(rows)), "retailrocket")
    assert [e.line if isinstance(e, Bad) else e.item_id for e in out] == [4, "a", 7, "d", "c", "b"]


def test_quoted_cells_and_stray_quotes(tmp_path):
    rows = [
        '1,u,view,"a,b",',
        '2,u,view,"two',
        'lines",',
        '3,u,view,"stray,',
        "4,u,view,after,",
        '5,u,view,in"ch,',
        '6,u,view,"say ""hi""",',
    ]
    out = read_all(write(tmp_path, RETAILROCKET.format("\n".join(rows))), "retailrocket")
    bad = {e.line: e for e in out if isinstance(e, Bad)}
    assert set(bad) == {3, 5}
    assert bad[3].raw == b'2,u,view,"two\nlines",'
    assert bad[3].reason == "invalid-field"  # an id with a line break
    assert bad[5].raw == b'3,u,view,"stray,'
    assert [e.item_id for e in out if not isinstance(e, Bad)] == ["a,b", "after", 'in"ch', 'say "hi"']


def test_a_stray_quote_costs_its_own_line_only(tmp_path):
    count = 3 * QUOTED_LINES_MAX
    rows = [f'{k},u,view,"{k},' if k % 10 == 0 else f"{k},u,view,{k}," for k in range(count)]
    out = read_all(write(tmp_path, RETAILROCKET.format("\n".join(rows))), "retailrocket")
    bad = [e for e in out if isinstance(e, Bad)]
    good = [e for e in out if not isinstance(e, Bad)]
    assert [e.raw.decode() for e in bad] == [row for row in rows if '"' in row]
    assert [e.line for e in bad] == [k + 2 for k in range(0, count, 10)]
    assert [e.item_id for e in good] == [str(k) for k in range(count) if k % 10]


def test_bytes_that_are_not_utf8_are_handed_on_untouched(tmp_path):
    rows = b"1,u,view,caf\xe9,\n2,u,view,ok,\n"
    out = read_all(write(tmp_path, RETAILROCKET.format("").encode() + rows), "retailrocket")
    assert isinstance(out[0], Bad)
    assert (out[0].raw, out[0].reason) == (b"1,u,view,caf\xe9,", "malformed-row")
    assert out[1].item_id == "ok"


WORDS = [
    "view", "cart", "purchase", "addtocart", "transaction", "7", "-3", "0.0", "19.99", "nan", "inf", "1e300",
    "-0.01", "2019-10-01 00:00:00 UTC", "2011-01-05 14:44:00", "1/5/2011 9:30", "881250949", "C536", "536",
    "POST", "85123a", "x" * 129, "\x00", "\u2028", "", "",
]  # fmt: skip
CELLS = st.sampled_from(WORDS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters='\r\n",\t:'), max_size=9
)


@given(st.sampled_from(sorted(HEADERS)), st.lists(st.lists(CELLS, min_size=1, max_size=10), max_size=6))
def test_every_row_gives_one_valid_event_or_one_bad_row(tmp_path_factory, format, table):
    header = HEADERS[format]
    delimiter = "\t" if "\t" in header else ","
    width = header.count(delimiter) + 1
    # Half of the rows have the right number of cells, so that what is in them is looked at.
    rows = [row if k % 2 else (row * width)[:width] for k, row in enumerate(table)]
    lines = [delimiter.join(row) for row in rows]
    path = write(tmp_path_factory.getbasetemp(), "\n".join([header, *lines]), "fuzzed")
    results = [entry for entry in read_all(path, format) if not isinstance(entry, Item)]
    assert len(results) == sum(1 for line in lines if line)
    bad = [entry for entry in results if isinstance(entry, Bad)]
    assert all(lines[entry.line - 2].encode() == entry.raw and entry.reason in REASONS for entry in bad)
    for event in results:
        if not isinstance(event, Bad):
            assert msgspec.json.decode(msgspec.json.encode(event), type=AnyEvent) == event
            assert all(
                ord(c) > 31 for c in f"{event.user_id}{event.item_id}{event.session_id}{event.order_id}"
            )
